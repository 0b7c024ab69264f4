"""A listening socket with an ASGI application behind it: bind with a clear error, serve, drain, stop.

A thin owner of uvicorn. Signals stay with the command line, so several listeners live in a single process. No
knowledge of the application's purpose.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from shared.deadline_protocol import DeadlineProtocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LISTEN_BACKLOG: Final = 4096
DATE_SECONDS: Final = 1.0
ProtocolFactory = Callable[..., asyncio.Protocol]


class ListenError(Exception):
    """Listening on the port failed; the message gives the reason and the remedy."""


class _QuietServer(uvicorn.Server):
    """A uvicorn server with a sleeping main loop and no signal handlers: the command line owns the signals.

    Uvicorn's own loop wakes ten times a second to check for its end. A process has two or three such loops,
    and an idle process spends more on this waking than on everything else.
    """

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # at 0 it renews the date that answers carry
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), DATE_SECONDS)
                self.should_exit = True


def bind(host: str, port: int, *, option: str, share_port: bool = False) -> socket.socket:
    """Listen on `host:port` (0 picks a free port); `option` is the option to change for another port.

    With `share_port` further sockets of this user may listen there, and the kernel spreads connections over
    all of them (SO_REUSEPORT, socket(7)).

    Raises:
        ListenError: the port is taken, needs a right, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
    except OverflowError:
        listener.close()
        raise ListenError(f"{port} is no port: ports end at 65535. Choose another by {option}.") from None
    except OSError as error:
        listener.close()
        raise ListenError(_explain(error, host, port, option)) from None
    listener.setblocking(False)
    return listener


def bind_unix(path: str, permissions: int, *, option: str) -> socket.socket:
    """Listen on a unix socket; the leftover file of an ended process is replaced.

    Raises:
        ListenError: another process listens there, or the file cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_dead_socket(path)
        # A socket's file has the rights of the umask for a moment; nobody can connect before `listen`.
        listener.bind(path)
        Path(path).chmod(permissions)
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        why = "another process listens there" if error.errno == errno.EADDRINUSE else error.strerror
        raise ListenError(
            f"Cannot listen on the socket {path} ({why}). Choose another with {option}."
        ) from None
    listener.setblocking(False)
    return listener


def _remove_dead_socket(path: str) -> None:
    """Remove a socket without a listener; anything else stays, and binding says so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(path)
        except ConnectionRefusedError:
            if stat.S_ISSOCK(Path(path).lstat().st_mode):
                Path(path).unlink()
        except OSError:
            pass


def _explain(error: OSError, host: str, port: int, option: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is in use. Stop what holds it, or choose another by {option}."
        case errno.EACCES | errno.EPERM:
            return (
                f"Port {port} needs a right that this user does not have. Choose one of 1024 or above with "
                f"{option}, or grant CAP_NET_BIND_SERVICE."
            )
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine. Choose another with {option}."
        case _:
            return f"Cannot listen on {host}:{port} ({error.strerror}). Choose another with {option}."


def port_of(listener: socket.socket) -> int:
    """Tell which port a bound socket has; 0 for a unix socket."""
    if listener.family == socket.AF_UNIX:
        return 0
    port: int = listener.getsockname()[1]
    return port


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    started: Callable[[], None],
    http: ProtocolFactory = DeadlineProtocol,
    grace_seconds: int = 10,
    keep_alive_seconds: int = 75,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve `app` on a bound socket until `stop` is set; then drain for up to `grace_seconds`.

    `http` is uvicorn's protocol class, or a factory that takes the same four keyword arguments.
    `started` is called once, when connections are accepted.
    `trusted_proxies`: addresses and networks whose `X-Forwarded-For`, read from its end, and
    `X-Forwarded-Proto` say who asks and by which scheme; by default nobody's do.

    Raises:
        ListenError: the application's lifespan failed; uvicorn has logged how.
    """
    options: dict[str, Any] = {"http": http}
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        backlog=LISTEN_BACKLOG,
        timeout_keep_alive=keep_alive_seconds,
        timeout_graceful_shutdown=grace_seconds,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        **options,
    )
    config.load()
    server = _QuietServer(config, stop)
    watcher = asyncio.gather(_announce(server, started), _stop_when(server, stop))
    try:
        await server.serve(sockets=[listener])
    except SystemExit:  # uvicorn would end the process, and with it the other listeners
        listener.close()
        raise ListenError("The application behind the listener did not start; the log says why.") from None
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


async def _announce(server: uvicorn.Server, started: Callable[[], None]) -> None:
    while not server.started:  # noqa: ASYNC110  # uvicorn offers a flag, no event
        await asyncio.sleep(0.01)
    started()


async def _stop_when(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True
