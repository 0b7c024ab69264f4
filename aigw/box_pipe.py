"""The entry of `aigw`: `box-pipe SOCKET`, which QEMU's guestfwd runs, at once; all else by the command line.

QEMU starts such a process per connection, so no module with a long load time is imported here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from aigw.socket_pipe import pipe


def asked(arguments: Sequence[str]) -> str | None:
    """Give the socket's path where the arguments are `box-pipe SOCKET`; then no command line is needed."""
    match arguments:
        case ["box-pipe", path] if not path.startswith("-"):
            return path
    return None


def main() -> None:
    """Run `aigw`: this command by itself, every other by the whole command line."""
    path = asked(sys.argv[1:])
    if path is not None:
        os._exit(pipe(path))  # nothing to flush, and unloading the interpreter takes time
    from aigw.__main__ import main as whole  # noqa: PLC0415  # loads a command-line library

    whole()


if __name__ == "__main__":
    main()
