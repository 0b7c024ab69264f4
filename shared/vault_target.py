"""Address and login of Vault, as a single URL read by both planes.

    vault://host[:8200]/mount[/prefix][?auth=approle&role=…&ca_file=…]

| parameter | |
|---|---|
| `auth` | `token` (default), `approle`, `kubernetes` or `jwt` |
| `role` | approle: the role id; kubernetes, jwt: the role's name |
| `auth_mount` | where the auth method is mounted; its own name by default |
| `credential_file` | the token, secret id or JWT, read at every login; kubernetes: the pod's by default |
| `namespace` | Vault Enterprise's or OpenBao's namespace |
| `tls` | `on` (default) or `off`, for a sidecar or a development server |
| `ca_file` | verifies the server, in place of the system's authorities |

The credential itself never stands in the URL: the credential is the setting `AIGW_VAULT_CREDENTIAL`, or in
the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args
from urllib.parse import parse_qs, unquote, urlsplit

from shared.secret_document import path_of

if TYPE_CHECKING:
    from shared.providers import ProviderName

SCHEME: Final = "vault"
DEFAULT_PORT: Final = 8200
POD_JWT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

Auth = Literal["token", "approle", "kubernetes", "jwt"]

_PARAMETERS: Final = {"auth", "role", "auth_mount", "credential_file", "namespace", "tls", "ca_file"}
_SEGMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class VaultUrlError(ValueError):
    """The URL names no secret engine; the message gives the reason and quotes no value of the URL."""


@dataclass(frozen=True, slots=True)
class VaultTarget:
    """A KV v2 engine and its login.

    Attributes:
        address: `https://host:port`.
        mount: where the engine is mounted.
        prefix: the text before every path in the engine, without slashes at the ends; may be empty.
        auth, role, auth_mount, credential_file, namespace, ca_file: as in the URL.
    """

    address: str
    mount: str
    prefix: str
    auth: Auth
    role: str
    auth_mount: str
    credential_file: Path | None
    namespace: str | None
    ca_file: Path | None

    def path(self, org: str, provider: ProviderName) -> str:
        """Where the secret of an integration is, below the mount; raises `SecretDocumentError`."""
        return "/".join(filter(None, (self.prefix, path_of(org, provider))))


def is_vault_url(text: str) -> bool:
    """Whether this is meant as the URL of a Vault; `parse_vault_url` judges the URL."""
    return text.startswith(f"{SCHEME}://")


def parse_vault_url(text: str) -> VaultTarget:
    """Read a URL of the form above; raises `VaultUrlError`."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        raise VaultUrlError("the Vault URL is malformed") from None
    if parts.scheme != SCHEME or not host or parts.fragment:
        raise VaultUrlError("a Vault URL is vault://host/mount/prefix?auth=…")
    if "@" in parts.netloc:
        raise VaultUrlError("a Vault URL holds no credential; set AIGW_VAULT_CREDENTIAL or its _FILE variant")
    segments = [unquote(segment) for segment in parts.path.strip("/").split("/")]
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise VaultUrlError(
            "the path of a Vault URL is the engine's mount, and a prefix in it if there is one"
        )
    options = _options(parts.query)
    auth = _auth(options)
    file = options.get("credential_file")
    scheme = "http" if options.get("tls", "on") == "off" else "https"
    shown_host = f"[{host}]" if ":" in host else host
    return VaultTarget(
        address=f"{scheme}://{shown_host}:{port}",
        mount=segments[0],
        prefix="/".join(segments[1:]),
        auth=auth,
        role=options.get("role", ""),
        auth_mount=options.get("auth_mount", auth).strip("/"),
        credential_file=Path(file) if file else POD_JWT if auth == "kubernetes" else None,
        namespace=options.get("namespace"),
        ca_file=Path(options["ca_file"]) if "ca_file" in options else None,
    )


def _options(query: str) -> dict[str, str]:
    pairs = parse_qs(query, keep_blank_values=True)
    if unknown := sorted(set(pairs) - _PARAMETERS):
        raise VaultUrlError(f"a Vault URL has no parameter {', '.join(unknown)}")
    if any(len(values) > 1 or not values[0] for values in pairs.values()):
        raise VaultUrlError("each parameter of a Vault URL is given once, with a value")
    options = {name: values[0] for name, values in pairs.items()}
    if options.get("tls", "on") not in {"on", "off"}:
        raise VaultUrlError("tls is on or off")
    if "ca_file" in options and options.get("tls") == "off":
        raise VaultUrlError("ca_file needs tls=on")
    return options


def _auth(options: dict[str, str]) -> Auth:
    wanted = options.get("auth", "token")
    for known in get_args(Auth):
        if wanted == known:
            if (known == "token") == ("role" in options):
                raise VaultUrlError("a role belongs to auth approle, kubernetes and jwt, and each needs one")
            auth: Auth = known
            return auth
    raise VaultUrlError(f"auth is one of {', '.join(get_args(Auth))}")
