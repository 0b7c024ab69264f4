"""Running a node agent as a process of its own, with readable failures."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from aigw.failures import UserError
from aigw.process import settle_memory
from services.node_agent.bootstrap import NodeAgent, NodeKeyError
from services.node_agent.keep.hand_over import HandOverError
from services.node_agent.keep.store import StoreError
from services.node_agent.listeners.making import ListenerError
from services.node_agent.settings import NodeAgentSettings, ServiceManagerNames


async def run_node_agent(stop: asyncio.Event) -> None:
    """Run an agent from the environment until `stop`; SIGHUP starts its successor."""
    settings = NodeAgentSettings()
    try:
        agent = NodeAgent(settings, ServiceManagerNames.read())
    except NodeKeyError as error:
        raise UserError(f"AIGW_AGENT_NODE_KEY: {error}. Make one with aigw node-key new.") from None
    except OSError as error:
        raise UserError(f"AIGW_AGENT_TLS_*: a file cannot be used ({error.strerror}).") from None
    upgrade = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, upgrade.set)

    def started() -> None:
        sys.stderr.write(f"Node agent on {settings.agent_socket}, process {os.getpid()}\n")
        settle_memory()

    try:
        await agent.run(started=started, stop=stop, upgrade=upgrade)
    except (HandOverError, ListenerError, StoreError) as error:
        raise UserError(str(error)) from None
