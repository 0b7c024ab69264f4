"""`aigw node-agent` and `aigw box-pipe`: the program on a node, between its boxes and the data planes."""

from __future__ import annotations

from typing import Annotated

import typer

from aigw.commands.invocation import warn_of_unknown_names

commands = typer.Typer()


@commands.command("node-agent")
def node_agent() -> None:
    """Run a node agent, set up by AIGW_AGENT_* variables: it gives each box of this node its identity.

    SIGHUP starts this program again, and the new process takes over without a refused connection.
    """
    from aigw.node_agent import run_node_agent  # noqa: PLC0415  # loaded by this command alone
    from aigw.process import run_until_signalled  # noqa: PLC0415  # same
    from services.node_agent.settings import NodeAgentSettings  # noqa: PLC0415  # same

    warn_of_unknown_names(NodeAgentSettings)
    run_until_signalled(run_node_agent)


@commands.command("box-pipe")
def box_pipe(
    *, path: Annotated[str, typer.Argument(metavar="SOCKET", help="The box's Unix socket.")]
) -> None:
    """Pass bytes between stdin, stdout and a box's Unix socket: for QEMU's guestfwd."""
    from aigw.socket_pipe import pipe  # noqa: PLC0415  # loaded by this command alone

    raise typer.Exit(pipe(path))
