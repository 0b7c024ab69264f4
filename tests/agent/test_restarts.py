"""An agent upgraded, restarted or killed: the calls going on, the calls waiting, and the calls lost."""

from __future__ import annotations

import asyncio
import os
import signal

from tests.agent.callers import Callers, streaming
from tests.agent.node import Node, agent_before
from tests.support.node_agent import Agent, PrefacedServer
from tests.support.polling import eventually
from tests.support.servers.process import free_port, short_folder
from tests.support.service_manager import ServiceManager


async def test_an_upgrade_refuses_no_connection_and_cuts_no_stream(node: Node) -> None:
    listen = node.plain()
    await node.rest.attached("a", "acme", listen)
    callers = Callers(listen["address"])
    async with callers.calling(), streaming(listen["address"]) as goes_on:
        await asyncio.sleep(0.5)
        node.agent.upgrade()
        await node.agent.replaced(2)
        before = callers.answers["acme"]

        async def answers_go_on() -> bool:
            return callers.answers["acme"] > before + 10

        await eventually(answers_go_on, "the successor serves")
        assert goes_on()
        async with node.agent.rest() as rest:
            assert (await rest.box("a"))["state"] == "listening"
            assert await rest.detach("a", life="other") == 409
    assert callers.failures == []
    assert set(callers.answers) == {"acme"}


async def test_a_life_that_ends_after_an_upgrade_ends_its_old_connections_too(node: Node) -> None:
    listen, other = node.plain(), node.plain()
    await node.rest.attached("a", "acme", listen)
    await node.rest.attached("b", "acme", other)
    async with streaming(listen["address"]) as ended, streaming(other["address"]) as goes_on:
        node.agent.upgrade()
        await node.agent.replaced(2)
        async with node.agent.rest() as rest:
            assert await rest.detach("a") == 204

            async def is_cut() -> bool:
                return not ended()

            await eventually(is_cut, "the old process has ended the stream")
            assert goes_on()
            assert await rest.detach("b") == 204


async def test_attachments_survive_a_kill_and_waiting_connections_are_answered() -> None:
    folder = short_folder("agent")
    plane = PrefacedServer({})
    await plane.start()
    agent = Agent(folder, (plane.target,))
    plane.keys = agent.public_keys
    address = f"127.0.0.1:{free_port()}"
    with ServiceManager(folder) as manager:
        agent.manager = manager
        async with agent.running():
            async with agent.rest() as rest:
                attached = await rest.attached("a", "acme", {"address": address})
                await rest.attached("b", "acme", {"unix": f"{folder}/b.sock"})
            listeners = [f"box-{attached['generation']}", f"box-{attached['generation'] + 1}"]

            async def are_stored() -> bool:
                return manager.stored == listeners

            await eventually(are_stored, "the service manager has read both messages")
            callers = Callers(address)
            async with callers.calling():
                await asyncio.sleep(0.5)
                agent.process.kill()
                await asyncio.sleep(0.5)
                in_flight = len(callers.failures)
                await asyncio.to_thread(agent.start)
                before = callers.answers["acme"]

                async def answers_go_on() -> bool:
                    return callers.answers["acme"] > before + 10

                await eventually(answers_go_on, "the killed agent is back")
            # Lost are the connections that were open at that moment, and no other: none is refused.
            assert len(callers.failures) == in_flight <= 4
            assert not [failure for failure in callers.failures if "ConnectError" in failure]
            async with agent.rest() as rest:
                boxes = (await rest.client.get("/v1/boxes")).json()["boxes"]
                assert [(box["box"], box["state"]) for box in boxes] == [
                    ("a", "listening"),
                    ("b", "listening"),
                ]
                assert await rest.detach("a") == 204
                assert await rest.detach("b") == 204

            async def is_forgotten() -> bool:
                return manager.stored == []

            await eventually(is_forgotten, "the service manager has closed its copies")
    agent.process.close()
    await plane.stop()


async def test_a_stop_ends_connections_that_have_sent_nothing_and_resets_none_of_them() -> None:
    """A reset could reach the box inside its `connect`, and would be a refused connection there."""
    plane, port = PrefacedServer({}), free_port()
    async with agent_before(plane) as agent:
        async with agent.rest() as rest:
            await rest.attached("a", "acme", {"address": f"127.0.0.1:{port}"})
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]

        async def are_served() -> bool:
            return plane.open_connections >= len(streams)

        await eventually(are_served, "every connection has reached the data plane")
        os.kill(agent.pid, signal.SIGTERM)
        for reader, writer in streams:
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()


async def test_a_stop_lets_a_request_under_way_end() -> None:
    plane, port = PrefacedServer({}), free_port()
    async with agent_before(plane, settings={"AIGW_AGENT_STOP_SECONDS": "30"}) as agent:
        async with agent.rest() as rest:
            await rest.attached("a", "acme", {"address": f"127.0.0.1:{port}"})
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n")

        async def is_served() -> bool:
            return plane.open_connections >= 1

        await eventually(is_served, "the connection has reached the data plane")
        os.kill(agent.pid, signal.SIGTERM)

        async def is_stopping() -> bool:
            return "stopping: 1 connections" in agent.process.log

        await eventually(is_stopping, "the agent accepts no more")
        writer.write(b"\r\n")
        assert b'"org": "acme"' in await asyncio.wait_for(reader.readuntil(b"}"), 30)
        writer.close()


async def test_a_listener_that_cannot_be_made_again_is_told_and_given_to_nobody() -> None:
    port = free_port()
    async with agent_before(PrefacedServer({})) as agent:
        async with agent.rest() as rest:
            await rest.attached("a", "acme", {"address": f"127.0.0.1:{port}"})
        agent.process.stop()
        stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
        await asyncio.to_thread(agent.start)
        async with agent.rest() as rest:
            found = await rest.box("a")
            assert found["state"] == "lost"
            assert "Another program listens" in found["last_error"]["message"]
            assert (await rest.attach("b", "other", {"address": f"127.0.0.1:{port}"})).status_code == 409
            assert "aigw_agent_lost_listeners 1.0" in (await rest.client.get("/metrics")).text
            stranger.close()
            await stranger.wait_closed()
            assert (await rest.attached("a", "acme", {"address": f"127.0.0.1:{port}"}))[
                "state"
            ] == "listening"
