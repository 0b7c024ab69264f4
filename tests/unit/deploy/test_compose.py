"""docker-compose.yml and the image: pinned, private, watched, and with commands that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from aigw.__main__ import app
from aigw.demo.compose import prepare
from services.control_plane.settings import ControlPlaneSettings
from services.data_plane.settings import DataPlaneSettings
from tests.support.servers.tools import REPOSITORY

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAY_IMAGE = "run9-ai-gateway:0.1.0"
ONE_SHOT = {"prepare", "vault-setup", "migrate", "seed"}
DOCKERFILE = (REPOSITORY / "deploy/docker/Dockerfile").read_text()
EXACT_TAG = re.compile(r"[a-z0-9./-]+:\d+\.\d+(\.\d+)?(-[a-z0-9]+)*")


def of_gateway() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if service["image"] == GATEWAY_IMAGE}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_pinned_unprivileged_and_read_only(name: str) -> None:
    service = SERVICES[name]
    assert EXACT_TAG.fullmatch(service["image"]), service["image"]
    assert service["user"].split(":")[0] not in {"", "0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_that_stays_has_a_health_check_and_the_others_end(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"


def test_ports_are_published_on_loopback_only_and_no_backend_is() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"control-plane", "data-plane", "data-plane-2"}
    ports = [port for entries in published.values() for port in entries]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)
    assert not any("9902" in port for port in ports), "the fleet's listener is nobody else's"


def test_what_is_waited_for_can_be_waited_for() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            match how["condition"]:
                case "service_healthy":
                    assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"
                case "service_completed_successfully":
                    assert other in ONE_SHOT, f"{name} waits for {other}"
                case condition:
                    assert condition == "service_started"


def test_volumes_and_networks_are_declared_and_used() -> None:
    named = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
        if not volume.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])
    joined = {network for service in SERVICES.values() for network in service.get("networks", ())}
    assert joined == set(COMPOSE["networks"])
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", ())]
    for path in (volume.split(":")[0] for volume in mounted if volume.startswith(".")):
        assert (REPOSITORY / path).exists(), path


@pytest.mark.parametrize("name", of_gateway())
def test_commands_are_those_of_the_program(name: str) -> None:
    group = typer.main.get_command(app)
    words = list(of_gateway()[name]["command"])
    while words and words[0] in getattr(group, "commands", {}):
        group = group.commands[words.pop(0)]  # type: ignore[attr-defined]  # a group, as just seen
    assert not hasattr(group, "commands"), f"{name}: {words} is no command"
    options = {option for parameter in group.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", of_gateway())
def test_variables_are_settings_of_the_plane_and_credentials_are_in_files(name: str) -> None:
    cls = DataPlaneSettings if name.startswith("data-plane") else ControlPlaneSettings
    for variable in of_gateway()[name].get("environment", {}):
        setting = variable.removeprefix("AIGW_").removesuffix("_FILE").lower()
        assert setting in cls.model_fields, variable
        secret = re.search(r"token|password|credential|_key|database_url", setting)
        assert bool(secret) == variable.endswith("_FILE"), variable


def test_no_data_plane_can_read_what_the_control_plane_or_vault_opens_with() -> None:
    for name in ("data-plane", "data-plane-2", "demo-provider"):
        volumes = {volume.split(":")[0] for volume in SERVICES[name]["volumes"]}
        assert not volumes & {"control-plane", "vault-keys", "database", "postgres-password"}
    assert {n for n, s in SERVICES.items() if any("vault-keys" in v for v in s.get("volumes", ()))} == {
        "prepare",
        "vault-setup",
    }


def test_the_image_is_pinned_runs_as_nobody_special_and_starts_the_program() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert bases.pop() == "scratch", "what ships is one layer, without what only builds"
    assert len(set(bases)) == 1
    assert EXACT_TAG.fullmatch(bases[0])
    assert 'ENTRYPOINT ["aigw"]' in DOCKERFILE
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert DOCKERFILE.count("--require-hashes") == 3


def test_the_image_copies_what_there_is_and_nothing_is_held_back_from_it() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for path in line.split()[:-1]:
            assert (REPOSITORY / path).exists(), path
            assert any(Path(path).match(pattern) for pattern in sent), f"{path} is not sent to the build"


def test_credentials_are_made_once_and_apart(tmp_path: Path) -> None:
    assert prepare(tmp_path)
    made = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert not prepare(tmp_path)
    assert made == {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    tokens = [text for path, text in made.items() if path.name.endswith(("password", "-token", "-key"))]
    shared = tmp_path / "control-plane" / "internal-token"
    assert shared.read_text() == (tmp_path / "data-plane" / "internal-token").read_text()
    assert tokens
    assert (tmp_path / "postgres/password").read_text() in made[tmp_path / "control-plane/database-url"]


def test_the_users_of_redis_are_those_of_the_example(tmp_path: Path) -> None:
    prepare(tmp_path)
    made = (tmp_path / "redis/users.acl").read_text()
    for plane in ("control-plane", "data-plane"):
        password = (tmp_path / plane / "redis-password").read_text()
        made = made.replace(password, f"{plane.replace('-', '_').upper()}_PASSWORD")
    health = "user health on nopass resetkeys resetchannels -@all +ping\n"
    assert made.replace(health, "") == (REPOSITORY / "deploy/redis/users.acl").read_text()
