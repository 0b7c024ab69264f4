"""The key is nowhere but in the sealed file, and a crash between secret and commit does no harm."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from services.control_plane.api.integration_writes import IntegrationEdit, StateChanged, Target
from services.control_plane.rules.integration import KEEP
from services.control_plane.secrets.local import LocalSecretWriter
from services.control_plane.secrets.memory import MemorySecretWriter
from services.control_plane.secrets.port import SecretStoreError
from shared import sealed_file
from shared.providers import ProviderName
from shared.secret import Secret
from shared.secret_document import SecretDocument, from_json
from tests.support.canary import Canary
from tests.unit.control_plane.world import ANTHROPIC, KEY, OPENAI, OWNER, World


async def test_a_key_is_in_no_answer_no_log_and_no_file_in_clear(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = Canary()
    world = World(tmp_path, secrets=LocalSecretWriter(tmp_path / "secrets"))
    seen: list[bytes] = []
    async with world.person(OWNER) as client:
        for method, path, body in (
            ("PUT", OPENAI, {"api_key": canary.text, "enabled": True}),
            ("PUT", ANTHROPIC, {"api_key": canary.text, "enabled": False}),
            ("PATCH", OPENAI, {"api_key": canary.text, "endpoint": "https://gateway.acme.test/v1"}),
            ("PATCH", OPENAI, {"api_key": canary.text, "endpoint": "http://bad.acme.test"}),
            ("PATCH", OPENAI, {"api_key": canary.text + " ", "enabled": canary.text}),
            ("PUT", OPENAI, {"api_key": [canary.text], "enabled": True, canary.text: canary.text}),
            ("PUT", OPENAI, {"api_key": f"{canary.text} {canary.text}", "enabled": True}),
            ("PUT", OPENAI, {"endpoint": canary.text, "enabled": True}),
            ("POST", OPENAI + "/test", {"api_key": canary.text, "endpoint": "https://absent.acme.test"}),
            ("POST", OPENAI + "/test", {"api_key": canary.text, "endpoint": canary.text}),
            ("GET", OPENAI, None),
            ("GET", "/api/v1/orgs/acme/audit", None),
            ("DELETE", ANTHROPIC, None),
        ):
            answer = await client.request(method, path, json=body, headers={"if-match": "*"})
            seen.append(answer.content + repr(answer.headers).encode())
    async with world.fleet() as client:
        seen.append((await client.get("/internal/v1/snapshot")).content)
    world.close()
    assert canary.found_in(b"\n".join(seen), "answers") == []
    assert canary.found_in(caplog.text.encode(), "log") == []
    assert canary.found_below(tmp_path) == []
    key = sealed_file.read_key(tmp_path / "secrets")
    sealed = sealed_file.file_of(tmp_path / "secrets", "acme", "openai", 2).read_bytes()
    opened = from_json(sealed_file.unseal(key, "acme", "openai", 2, sealed), "acme", "openai")
    assert opened.api_key == Secret(canary.text), "the key was really there to be found"


class DiesAfterWriting(MemorySecretWriter):
    """A process that stops right after the secret is durable."""

    dying = True

    def write(self, document: SecretDocument, version: int) -> None:
        super().write(document, version)
        if self.dying:
            raise SystemExit


async def test_a_crash_between_secret_and_commit_changes_nothing_and_the_next_write_passes_it(
    tmp_path: Path,
) -> None:
    secrets = DiesAfterWriting()
    world = World(tmp_path, secrets=secrets)
    target = Target("acme", "openai", OWNER, "*")
    before = world.revision()
    with pytest.raises(SystemExit):
        world.writes.put(target, IntegrationEdit(Secret("sk-orphan-000000"), KEEP, enabled=True))
    assert world.revision() == before
    assert world.snapshot().integrations == ()
    secrets.dying = False
    world.writes.put(target, IntegrationEdit(Secret(KEY), KEEP, enabled=True))
    pinned = world.snapshot().integrations[0].secret_version
    assert pinned == 2
    assert secrets.documents["acme", "openai"][pinned].api_key == Secret(KEY)
    world.close()


class ChangesMeanwhile(MemorySecretWriter):
    """A store during whose first write somebody else changes the same integration."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[World] = []

    def write(self, document: SecretDocument, version: int) -> None:
        super().write(document, version)
        if self.meanwhile:
            world = self.meanwhile.pop()
            other = Target("acme", "openai", OWNER, "*")
            world.writes.put(other, IntegrationEdit(Secret("sk-of-the-other-0"), KEEP, enabled=False))


@pytest.mark.parametrize("if_match", ['"0"', "*"])
def test_a_write_that_was_overtaken_never_pins_its_stale_judgement(tmp_path: Path, if_match: str) -> None:
    secrets = ChangesMeanwhile()
    world = World(tmp_path, secrets=secrets)
    secrets.meanwhile.append(world)
    target = Target("acme", "openai", OWNER, if_match)
    asked = IntegrationEdit(Secret(KEY), KEEP, enabled=True)
    if if_match == "*":
        row = world.writes.put(target, asked).row
        assert secrets.documents["acme", "openai"][row.secret_version].api_key == Secret(KEY)
    else:
        with pytest.raises(StateChanged) as caught:
            world.writes.put(target, asked)
        assert caught.value.row.state == "disabled"
        pinned = world.snapshot().integrations[0].secret_version
        assert secrets.documents["acme", "openai"][pinned].api_key == Secret("sk-of-the-other-0")
    world.close()


def test_a_store_whose_versions_are_always_taken_is_given_up_after_a_few_tries(tmp_path: Path) -> None:
    class Occupied(MemorySecretWriter):
        def write(self, document: SecretDocument, version: int) -> None:
            provider: ProviderName = document.provider
            self.documents.setdefault((document.org, provider), {})[version] = document
            super().write(document, version)

    world = World(tmp_path, secrets=Occupied())
    with pytest.raises(Exception, match="SECRET_STORE_UNAVAILABLE"):
        world.writes.put(
            Target("acme", "openai", OWNER, "*"), IntegrationEdit(Secret(KEY), KEEP, enabled=True)
        )
    assert world.snapshot().integrations == ()
    world.close()


async def test_the_log_of_a_failing_store_holds_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemorySecretWriter):
        def write(self, document: SecretDocument, version: int) -> None:
            raise SecretStoreError(f"no room for {document} as {version}")

    canary = Canary()
    caplog.set_level(logging.DEBUG)
    world = World(tmp_path, secrets=Broken())
    async with world.person(OWNER) as client:
        body = {"api_key": canary.text, "enabled": True}
        answer = await client.put(OPENAI, json=body, headers={"if-match": "*"})
    world.close()
    assert answer.status_code == 503
    assert canary.found_in(answer.content + caplog.text.encode(), "answer and log") == []
