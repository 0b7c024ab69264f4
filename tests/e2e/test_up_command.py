"""`aigw up` as a program: its second start, its stop, and its words when a start fails."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.control_plane import ControlPlane
from tests.support.gateway import Gateway


async def models(gateway: Gateway) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{gateway.ready['base_urls']['openai']}models")


async def test_a_second_start_keeps_the_data_and_what_was_changed(tmp_path: Path) -> None:
    with Gateway(tmp_path) as first:
        async with ControlPlane.of(first) as control_plane:
            before = (await control_plane.card("demo", "openai")).json()
            await control_plane.switch("demo", "anthropic", enabled=False)
    with Gateway(tmp_path) as second:
        assert (await models(second)).status_code == 200
        async with ControlPlane.of(second) as control_plane:
            card = (await control_plane.card("demo", "openai")).json()
            left = (await control_plane.card("demo", "anthropic")).json()
        assert card["key"]["fingerprint"] == before["key"]["fingerprint"]
        assert left["state"] == "disabled"
        assert second.ready["platform_token"] == first.ready["platform_token"]
        assert second.ready["owner_token"] != first.ready["owner_token"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_cleanly_even_with_an_open_stream(
    tmp_path: Path, number: signal.Signals
) -> None:
    with Gateway(tmp_path, options=("--demo-pace-ms", "5000")) as gateway:
        url = f"{gateway.ready['base_urls']['openai']}chat/completions"
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with (
            httpx.AsyncClient(trust_env=False, timeout=30) as client,
            client.stream("POST", url, json=body) as answer,
        ):
            chunks = answer.aiter_raw()
            assert await anext(chunks)
            gateway.signal(number)
            assert await asyncio.to_thread(gateway.wait_until_ended) == 0
            with pytest.raises(httpx.TransportError):  # a cut, never a clean end
                async for _ in chunks:
                    pass
        gateway.check_log()


async def test_a_signal_while_it_starts_ends_it_without_a_banner(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    gateway.start()
    while not (gateway.data_dir / "gateway.db").exists():  # noqa: ASYNC110  # another process makes it
        await asyncio.sleep(0.005)
    gateway.signal()
    assert await asyncio.to_thread(gateway.wait_until_ended) == 0
    assert gateway.printed == ""
    assert "Traceback" not in gateway.log
    with Gateway(tmp_path) as again:  # what was half set up is completed
        assert (await models(again)).status_code == 200


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, options=("--demo-pace-ms", "5000"))
    gateway.start()
    await asyncio.to_thread(gateway.wait_until_ready)
    url = f"{gateway.ready['base_urls']['openai']}chat/completions"
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
        client.stream("POST", url, json=body) as answer,
    ):
        assert await anext(answer.aiter_raw())
        gateway.signal(signal.SIGINT)
        while "Stopping" not in gateway.log:  # noqa: ASYNC110  # another process writes it
            await asyncio.sleep(0.02)
        gateway.signal(signal.SIGINT)
        assert await asyncio.to_thread(gateway.wait_until_ended) == 130


async def test_a_taken_port_is_named_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        gateway = Gateway(tmp_path, options=("--box-port", str(port)))
        gateway.start()
        assert await asyncio.to_thread(gateway.wait_until_ended) == 2
    assert gateway.log == (
        f"aigw: Port {port} on 127.0.0.1 is in use. Stop what holds it, or choose another by --box-port.\n"
    )
    assert gateway.printed == ""
    assert not (tmp_path / "ready.json").exists()


async def test_a_data_folder_in_use_is_named_with_the_remedy(tmp_path: Path) -> None:
    with Gateway(tmp_path) as holder:
        other = Gateway(tmp_path / "other", options=("--data-dir", str(holder.data_dir)))
        other.start()
        assert await asyncio.to_thread(other.wait_until_ended) == 2
        assert other.log.startswith("aigw: Another aigw up uses the data folder ")
        assert other.log.count("\n") == 1
        assert (await models(holder)).status_code == 200


async def test_a_damaged_data_folder_is_one_line_with_the_file(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        pass
    noise = b"no such thing " * 100
    damages = {"gateway.db": "not a database", "issuer-key.pem": "Remove it", "seeded.json": "Remove it"}
    for name, words in damages.items():
        path = gateway.data_dir / name
        good = path.read_bytes()
        path.write_bytes(noise)
        (tmp_path / "stderr").unlink()
        gateway.start()
        assert await asyncio.to_thread(gateway.wait_until_ended) == 2
        assert words in gateway.log
        assert gateway.log.startswith("aigw: ")
        assert gateway.log.count("\n") == 1
        path.write_bytes(good)
    (gateway.data_dir / "secrets" / "key").chmod(0o644)
    (tmp_path / "stderr").unlink()
    gateway.start()
    assert await asyncio.to_thread(gateway.wait_until_ended) == 2
    assert gateway.log == "aigw: the secret store's key file is open to others (mode 644); make it 600\n"


async def test_a_real_endpoint_and_key_file_take_the_demos_place(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-a-key-of-my-own-0001\n")
    options = ("--openai-endpoint", "http://127.0.0.1:9/v1", "--openai-key-file", str(tmp_path / "key"))
    with Gateway(tmp_path, options=options) as gateway:
        async with ControlPlane.of(gateway) as control_plane:
            card = (await control_plane.card("demo", "openai")).json()
        assert (card["endpoint"], card["key"]["last4"]) == ("http://127.0.0.1:9/v1", "0001")
        answer = await models(gateway)
        assert answer.json()["error"]["code"] == "upstream_unreachable"
        assert "sk-a-key-of-my-own" not in gateway.printed + gateway.log


async def test_the_ready_file_is_private_and_says_what_scripts_need(tmp_path: Path) -> None:
    options = ("--identity-mode", "header")
    with Gateway(tmp_path, options=options) as gateway:
        path = tmp_path / "ready.json"
        assert path.stat().st_mode & 0o777 == 0o600
        ready = json.loads(path.read_text())
        assert {"portal_url", "control_plane_url", "admin_url", "org", "owner_token"} <= set(ready)
        assert set(ready["base_urls"]) == {"openai", "anthropic"}
        async with httpx.AsyncClient(trust_env=False) as client:
            for part in ("livez", "readyz", "metrics"):
                assert (await client.get(f"{ready['admin_url']}/{part}")).status_code == 200
            head = {"authorization": f"Bearer {ready['member_token']}"}
            me = await client.get(f"{ready['control_plane_url']}/api/v1/orgs/demo", headers=head)
            assert me.status_code == 200
        assert "X-Run9-Box-Token" in gateway.printed


async def test_an_unknown_setting_is_warned_of_with_the_nearest_name(tmp_path: Path) -> None:
    with Gateway(tmp_path, environment={"AIGW_MAX_HEAD_BYTE": "70000"}) as gateway:
        assert "AIGW_MAX_HEAD_BYTE is not a setting of the gateway; did you mean" in gateway.log
