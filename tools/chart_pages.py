"""Writes the chart's table of values and its schema from deploy/helm/ai-gateway/values.yaml.

Called by `make docs`; tests/chart fails when a file differs from the values' output. A value's type comes
from its default; the tables here hold the facts missing from a default: choices, bounds, objects with open
ends.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml

from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from services.node_agent.settings import NodeAgentSettings

CHART: Final = Path(__file__).resolve().parents[1] / "deploy" / "helm" / "ai-gateway"
VALUES: Final = CHART / "values.yaml"
PAGE: Final = CHART / "README.md"
SCHEMA: Final = CHART / "values.schema.json"

Json = dict[str, Any]

_OPEN: Final = re.compile(r"(affinity|[sS]ecurityContext|behavior|resources)$")
"""Paths whose object is Kubernetes' own, or whose names are the operator's."""

_PORT: Final[Json] = {"type": "integer", "minimum": 1, "maximum": 65_535}
_PORTS: Final[Json] = {"type": "array", "items": _PORT, "minItems": 1}
_COUNT: Final[Json] = {"type": "integer", "minimum": 1}
_TEXTS: Final[Json] = {"type": "array", "items": {"type": "string", "minLength": 1}}
_OBJECTS: Final[Json] = {"type": "array", "items": {"type": "object"}}
_SECONDS: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 3_600}
_PERCENT: Final[Json] = {"type": "integer", "minimum": 0, "maximum": 1_000}
_NETWORKS: Final[Json] = {
    "type": "array",
    "items": {"type": "string", "pattern": r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"},
}
_ADDRESS: Final[Json] = {"type": "string", "pattern": r"^$|^[^\s@]+$"}
"""A scheme or path passes here, because the templates refuse them with a sentence."""
_OBJECT_NAME: Final = r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?"
"""A DNS subdomain (RFC 1123), as most objects of Kubernetes are named."""
_KEY: Final = r"[-._a-zA-Z0-9]{1,253}"
_LABEL_NAME: Final = r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_ANY: Final[Json] = {"type": "object"}
_STRINGS: Final[Json] = {"type": "object", "additionalProperties": {"type": "string"}}
_LABELS: Final[Json] = {
    "type": "object",
    "propertyNames": {"pattern": f"^{_LABEL_NAME}$"},
    "additionalProperties": {
        "type": "string",
        "pattern": "^(?:[A-Za-z0-9](?:[-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$",
    },
}
_ANNOTATIONS: Final[Json] = _STRINGS | {"propertyNames": {"pattern": f"^{_LABEL_NAME}$"}}


_QUANTITIES: Final[Json] = {"type": "object", "additionalProperties": {"type": ["string", "number"]}}


def _objects_with(*names: str) -> Json:
    return {"type": "array", "items": {"type": "object", "required": list(names)}}


def _text(pattern: str, *, may_be_empty: bool = True) -> Json:
    return {"type": "string", "pattern": f"^(?:{pattern})?$" if may_be_empty else f"^(?:{pattern})$"}


def _object_names() -> Json:
    return {"type": "array", "items": _text(_OBJECT_NAME, may_be_empty=False)}


_BUDGET: Final[Json] = {
    "oneOf": [
        {"type": "null"},
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^[0-9]{1,3}%$"},
    ]
}

# The most specific pattern that matches the end of a path wins: they are tried in this order.
_FORMS: Final[tuple[tuple[str, Json], ...]] = (
    (r"^environment$", {"enum": ["production", "development"]}),
    (r"^image\.pullPolicy$", {"enum": ["Always", "IfNotPresent", "Never"]}),
    (r"^image\.digest$", {"type": "string", "pattern": r"^$|^sha256:[0-9a-f]{64}$"}),
    (r"^image\.pullSecrets$", _object_names()),
    (r"^image\.registry$", _text(r"[A-Za-z0-9][-.:A-Za-z0-9]*(?:/[-._a-z0-9]+)*")),
    (r"^image\.repository$", _text(r"[a-z0-9]+(?:[-._/]+[a-z0-9]+)*", may_be_empty=False)),
    (r"^image\.tag$", _text(r"[A-Za-z0-9_][-.A-Za-z0-9_]{0,127}")),
    (r"^(name|fullname)Override$", _text(r"[a-z](?:[-a-z0-9]{0,51}[a-z0-9])?")),
    (r"^listenAddress$", _text(r"[0-9a-fA-F.:]+", may_be_empty=False)),
    (r"^dev\.storage$", _text(r"[0-9]+(?:Ki|Mi|Gi|Ti|k|M|G|T)?", may_be_empty=False)),
    (r"(existingSecret|\.secret|\.configMap|tlsSecret|[cC]lassName|^serviceAccounts\.[a-z]+Plane)$",
     _text(_OBJECT_NAME)),
    (r"^tokens\.platformKey$|sentinelPasswordKey$", _text(_KEY)),
    (r"(Key|\.key)$", _text(_KEY, may_be_empty=False)),
    (r"^vault\.(mount|audience)$", _text(r"[^\s?#&%]+", may_be_empty=False)),
    (r"^vault\.(prefix|namespace|authMount|[a-z]+PlaneRole)$", _text(r"[^\s?#&%]+")),
    (r"^redis\.([a-z]+PlaneUser|sentinelService)$", _text(r"[^\s:/?#@%]+")),
    (r"alertLabels$", _STRINGS | {"propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}}),
    (r"([lL]abels|nodeSelector)$", _LABELS),
    (r"[aA]nnotations$", _ANNOTATIONS),
    (r"^global$", {
        "type": "object",
        "properties": {
            "imageRegistry": {"type": ["string", "null"]},
            "imagePullSecrets": {"type": ["array", "null"], "items": {
                "type": ["string", "object"], "minLength": 1, "required": ["name"]}},
        },
    }),
    (r"^(redis|vault)\.address$", _ADDRESS),
    (r"^vault\.auth$", {"enum": ["kubernetes", "jwt", "approle", "token"]}),
    (r"^vault\.tokenSeconds$", {"type": "integer", "minimum": 600, "maximum": 86_400}),
    (r"^providers\.addressExceptions$|\.except$", _NETWORKS),
    (r"^providers\.egressProxy\.address$", {"type": "string", "pattern": r"^$|^\S+:[0-9]{1,5}$"}),
    (r"^migration\.mode$", {"enum": ["initContainer", "hook", "job", "none"]}),
    (r"Folder$", {"type": "string", "pattern": "^/[^:]+$"}),
    (r"\.portalOrigin$|^dataPlane\.controlPlaneUrl$|\.dataPlaneAdminUrl$|prometheusAddress$",
     {"type": "string", "pattern": r"^$|^https?://[^\s]+$"}),
    (r"^controlPlane\.issuers$", {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["issuer", "audience"],
            "properties": {
                "issuer": {"type": "string", "minLength": 1},
                "audience": {"type": "string", "minLength": 1},
                "jwks_url": {"type": "string", "pattern": "^https?://"},
                "jwks_file": {"type": "string", "pattern": "^/"},
                "assume_email_verified": {"type": "boolean"},
            },
            "additionalProperties": False,
        },
    }),
    (r"^dataPlane\.kind$", {"enum": ["Deployment", "DaemonSet"]}),
    (r"^dataPlane\.identity\.mode$", {"enum": ["proxy-tlv", "header", "static"]}),
    (r"^dataPlane\.accessLog$", {"enum": ["stderr", "stdout", "off"]}),
    (r"internalTrafficPolicy$", {"enum": ["Cluster", "Local"]}),
    (r"\.service\.type$", {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]}),
    (r"terminationGraceSeconds$", {"oneOf": [{"type": "null"}, {"type": "integer", "minimum": 1}]}),
    (r"drainSeconds$", _SECONDS),
    (r"preStopSeconds$", {"type": "integer", "minimum": 1, "maximum": 600}),
    (r"podDisruptionBudget\.(min|max)[A-Za-z]+$", _BUDGET),
    (r"[rR]eplicas$", _COUNT),
    (r"(cpuPercent|openExchanges)$", _PERCENT | {"maximum": 1_000_000}),
    (r"daemonSetMaxUnavailable$", {"type": "integer", "minimum": 0}),
    (r"topologySpreadConstraints$", {"oneOf": [{"type": "null"}, _OBJECTS]}),
    (r"^networkPolicy\.[a-z]+\.ports$", _PORTS),
    (r"^networkPolicy\.flavor$", {"enum": ["kubernetes", "cilium"]}),
    (r"\.port$|\.ports\.[a-z]+$", _PORT),
    (r"trustedProxies$", {
        "type": "array",
        "items": {"type": "string", "pattern": r"^[0-9a-fA-F.:]+(/[1-9][0-9]{0,2})?$"},
    }),
    (r"resources$", {
        "type": "object",
        "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES, "claims": _OBJECTS},
        "additionalProperties": False,
    }),
    (r"extraEnv$", {
        "type": "array",
        "items": {"type": "object", "required": ["name"], "properties": {"value": {"type": "string"}}},
    }),
    (r"extraVolumes$", _objects_with("name")),
    (r"extraVolumeMounts$", _objects_with("name", "mountPath")),
    (r"^extraObjects$", _objects_with("apiVersion", "kind", "metadata")),
    (r"^networkPolicy\.([a-z]+\.(to|from)|boxes|portal|monitoring|dns|issuers)$", {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"ipBlock": _ANY, "namespaceSelector": _ANY, "podSelector": _ANY},
            "additionalProperties": False,
            "minProperties": 1,
        },
    }),
    (r"^ingress\.host$", _text(_OBJECT_NAME)),
    (r"^httpRoute\.hostnames$",
     {"type": "array", "items": _text(r"(?:\*\.)?" + _OBJECT_NAME, may_be_empty=False)}),
    (r"(authorities|disabled|targets)$", _TEXTS),
    (r"^redis\.database$", {"type": "integer", "minimum": 0}),
    (r"interval$", {"type": "string", "pattern": "^[0-9]+(ms|s|m)$"}),
)  # fmt: skip


def descriptions() -> dict[str, str]:
    """Give the `# -- ` comment of each value, by its dotted path; a comment's further lines are included."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    words: list[str] | None = None
    for line in VALUES.read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            words = [text.removeprefix("# -- ")]
        elif text.startswith("#") and words is not None:
            words.append(text.removeprefix("# "))
        elif match := re.match(r"^( *)([A-Za-z][A-Za-z0-9]*):", line):
            indent = len(match[1])
            path = [part for part in path if part[0] < indent] + [(indent, match[2])]
            if words is not None:
                found[".".join(name for _, name in path)] = " ".join(words)
            words = None
    return found


def values() -> Json:
    """Read the chart's defaults."""
    read: Json = yaml.safe_load(VALUES.read_text())
    return read


def page() -> str:
    """Give the chart's README, with a row for each described value."""
    defaults = values()
    rows = "".join(
        f"| `{path}` | {_shown(_at(defaults, path))} | {text.replace('|', chr(92) + '|')} |\n"
        for path, text in descriptions().items()
    )
    return _HEAD + rows


def schema() -> str:
    """Give values.schema.json."""
    document = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "run9 AI Gateway"}
    return json.dumps(document | _form("", values(), descriptions()), indent=1, ensure_ascii=False) + "\n"


def setting_names() -> dict[str, list[str]]:
    """Give the names allowed in the `settings` of each part."""
    return {
        "controlPlane.settings": sorted(name.upper() for name in ControlPlaneSettings.model_fields),
        "dataPlane.settings": sorted(name.upper() for name in DataPlaneSettings.model_fields),
        "nodeAgent.settings": sorted(name.upper() for name in NodeAgentSettings.model_fields),
    }


def _form(path: str, default: object, told: dict[str, str]) -> Json:
    form = _typed(path, default, told)
    return {"description": told[path]} | form if path in told else form


def _typed(path: str, default: object, told: dict[str, str]) -> Json:
    for pattern, form in _FORMS:
        if re.search(pattern, path):
            return form
    if (names := setting_names().get(path)) is not None:
        value = {"type": ["string", "number", "boolean"]}
        return {"type": "object", "propertyNames": {"enum": names}, "additionalProperties": value}
    if isinstance(default, dict):
        if path and _OPEN.search(path):
            return {"type": "object"}
        inner = {name: _form(f"{path}.{name}".lstrip("."), value, told) for name, value in default.items()}
        needed = [name for name, value in default.items() if _is_needed(value, inner[name])]
        required = {"required": needed} if needed else {}
        return {"type": "object", "properties": inner, "additionalProperties": False} | required
    if isinstance(default, list):
        return _OBJECTS
    return {"type": _SCALARS[type(default)]}


def _is_needed(default: object, form: Json) -> bool:
    """Whether the templates need this value: null takes a value away, and is refused for such a value."""
    takes_null = any(choice.get("type") == "null" for choice in form.get("oneOf", ()))
    return default not in ("", None) and not takes_null


_SCALARS: Final[dict[type, str]] = {bool: "boolean", int: "integer", str: "string"}


def _at(defaults: Json, path: str) -> object:
    place: Any = defaults
    for name in path.split("."):
        place = place[name]
    return place


def _shown(default: object) -> str:
    if isinstance(default, dict) and default and len(json.dumps(default)) > _LONG_DEFAULT:
        return "see values.yaml"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


_LONG_DEFAULT: Final = 120

_HEAD: Final = """\
# Helm chart of the run9 AI Gateway

<!-- Generated by `make docs` from values.yaml. Do not edit. -->

Control plane, data plane, and what runs them safely: policies, budgets, scaling, monitoring. Postgres, Redis
and Vault are yours and named by Secrets. [docs/helm.md](../../../docs/helm.md) installs it in ten minutes;
`examples/` has values for a minimal, a production and a node-local installation, for Argo CD, and for a
parent chart.

A value that does not exist, or does not fit the others, is refused with a sentence, before anything is made.

## Values

| value | default | meaning |
|---|---|---|
"""

if __name__ == "__main__":
    PAGE.write_text(page())
    SCHEMA.write_text(schema())
