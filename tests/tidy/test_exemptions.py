"""Every exemption from a rule stands in a list with its reason, and no list holds more than is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

import pytest

from tests.tidy.tree import Source, listing, named_nodes, sources

REVEALS: dict[str, str] = {
    "shared/secret_document.py to_fields": "the secret store keeps the text",
    "services/control_plane/bootstrap.py _secret_store": "the operator's pepper becomes an HMAC key",
    "services/control_plane/bootstrap.py _egress_proxy": "the proxy is shown its password",
    "services/control_plane/settings.py ControlPlaneSettings.issuer_proxy_for": "so is the proxy of issuers",
    "services/control_plane/rules/key.py judge_key": "a typed key is judged by its characters",
    "services/control_plane/rules/key.py label_key": "the last four characters and the fingerprint are made",
    "services/control_plane/key_test/credential.py credential_headers": "a test call has it",
    "services/control_plane/key_test/stored_key.py StoredKeyTester.__init__": "same token",
    "shared/feed_signature.py FeedKeys.__init__": "the keys of HMACs are made",
    "shared/otlp/settings.py OtlpSettings.collector_headers": "the collector is shown the operator's headers",
    "shared/redis_link.py connect": "the passwords of Redis and its sentinels are sent",
    "shared/vault_session.py VaultSession._attempt": "the token goes with each call to Vault",
    "shared/vault_session.py VaultSession._proof": "the secret id or JWT of a login is sent",
    "services/data_plane/relay/upstream/egress.py ProxyEgress._request": "the proxy is shown its password",
    "services/node_agent/bootstrap.py read_node_key": "the node's PEM becomes its signing key",
    "services/data_plane/table/compile.py compile_integration": "the credential line of the hot path is made",
    "services/control_plane/sign_in/oidc.py OidcSignIn._client_auth": "the issuer is shown the secret",
    "services/data_plane/table/fleet_client.py fleet_client": "the fleet's token is sent",
    "aigw/demo/provider/api.py DemoApi._checked": "the demo provider compares the key that it was sent",
    "aigw/rest_client/session.py ApiSession.__init__": "the command line shows its token to the REST API",
    "aigw/embedded/seed.py Seeder.seed": "the embedded start calls the real REST API with its tokens",
    "aigw/embedded/seed.py Seeder._integrate": "the embedded start sets the demo keys by the real REST API",
    "aigw/embedded/up.py _Embedded._ready": "the ready file, mode 0600, hands the tokens to scripts",
}
"""Where a `Secret` gives its text away: `<path> <function>`, and what for."""

TASK_DOORS: dict[str, str] = {
    "shared/tasks.py TaskSet.start": "the door itself: holds the task and logs its failure",
    "aigw/embedded/parts.py Parts.start": "the group holds the task and raises its failure",
    "aigw/embedded/up.py run_up": "same",
    "services/data_plane/relay/upstream/resolver.py Resolver.resolve": "held until it is done",
}
"""Where a task is made: everything else goes through `TaskSet`."""

SKIPS: dict[str, str] = {
    "tests/chart/test_on_a_node.py <module>": "starts a Kubernetes node, which needs root",
    "tests/chart/test_page_on_a_node.py <module>": "same",
    "tests/image/test_compose_run.py <module>": "runs containers, which needs root",
    "tests/image/test_image.py <module>": "runs containers, which needs root",
    "tests/faults/test_starve.py <module>": "mounts another resolv.conf, which needs root",
    "tests/e2e/test_dead_name_server.py test_a_data_plane_ends_at_once_while_its_name_server_is_dead": (
        "makes a network namespace, which needs root"
    ),
    "tests/support/servers/tools.py missing": "a real server that nobody installed; CI=true fails instead",
    "tests/unit/support/test_server_tools.py test_what_is_missing_is_one_line_that_names_the_remedy": (
        "names the exception of a skip, to look at it"
    ),
    "tests/unit/bench/test_load.py <module>": "builds C programs; a bare Python machine has no compiler",
}
"""Tests that may be skipped or expected to fail: `<path> <function>`, and until when."""

_DIRECTIVE = re.compile(
    r"noqa\b(?P<noqa>:\s*(?:[A-Z]+[0-9]+[\s,]*)+)?|type:\s*ignore\b(?P<ignore>\[[a-z, -]+\])?"
)
_REASON = re.compile(r"[A-Za-z]{3,}")
_BLANKET = re.compile(r"#\s*(?:ruff: noqa|flake8: noqa|mypy: ignore-errors|type: ignore$|pragma: no cover)")


def _exemption_faults(source: Source) -> list[str]:
    faults = []
    for line, comment in source.comments():
        if _BLANKET.search(comment):
            faults.append(f"{source.path}:{line} exempts without a code: {comment}")
        directives = list(_DIRECTIVE.finditer(comment)) if comment.startswith(("# noqa", "# type:")) else []
        if any(not (match["noqa"] or match["ignore"]) for match in directives):
            faults.append(f"{source.path}:{line} names no code: {comment}")
        if directives and not _REASON.search(_DIRECTIVE.sub("", comment)):
            faults.append(f"{source.path}:{line} gives no reason: {comment}")
    return faults


def test_every_noqa_and_type_ignore_has_a_code_and_a_reason() -> None:
    faults = [fault for source in sources() for fault in _exemption_faults(source)]
    assert not faults, listing(faults, "Write `# noqa: CODE  # reason` or `# type: ignore[code]  # reason`.")


@pytest.mark.parametrize(
    ("comment", "faults"),
    [
        ("# noqa: S105  # a path, no secret", 0),
        ("# type: ignore[misc]  # what is tested", 0),
        ("# noqa: S105", 1),
        ("# noqa", 2),
        ("# type: ignore[misc]", 1),
        ("# the word noqa in a sentence", 0),
        ("# ruff: noqa: S105", 1),
    ],
)
def test_the_check_of_exemptions_sees_what_it_should(comment: str, faults: int) -> None:
    text = f"x = 1  {comment}\n"
    assert len(_exemption_faults(Source("x.py", text, ast.parse(text)))) == faults


def _is_reveal(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "reveal"


def _makes_a_task(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in {"create_task", "ensure_future"}


def _skips(node: ast.AST) -> bool:
    names = {"skip", "skipif", "xfail", "importorskip", "skipTest"}
    return isinstance(node, ast.Attribute) and node.attr in names


def _places(finds: Callable[[ast.AST], bool], *, product: bool) -> set[str]:
    return {
        f"{source.path} {name or '<module>'}"
        for source in sources()
        if source.is_product == product
        for name, node in named_nodes(source)
        if finds(node)
    }


def _compare(found: set[str], listed: Mapping[str, str], remedy: str) -> None:
    assert found <= set(listed), listing(list(found - set(listed)), remedy)
    assert set(listed) <= found, listing(list(set(listed) - found), "Take these stale entries off the list.")
    assert all(_REASON.search(reason) for reason in listed.values()), (
        "Every entry of the list needs its reason."
    )


def test_a_secret_is_revealed_only_where_the_list_says_why() -> None:
    remedy = "Pass the Secret on instead, or add the place to REVEALS with its reason."
    _compare(_places(_is_reveal, product=True), REVEALS, remedy)


def test_a_task_is_made_only_by_the_doors() -> None:
    remedy = "Use shared.tasks.TaskSet, or add the place to TASK_DOORS with its reason."
    _compare(_places(_makes_a_task, product=True), TASK_DOORS, remedy)


def test_no_test_is_skipped_without_a_listed_reason() -> None:
    remedy = "Make it run everywhere, or add it to SKIPS with its reason."
    _compare(_places(_skips, product=False), SKIPS, remedy)
