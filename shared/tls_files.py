"""A TLS context made from files, and made again when the files change, so a renewal needs no restart.

Open connections keep the certificate of their beginning. The choice of files and the demands of the context
belong to the caller's `build`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 5.0
"""Between two looks at the files."""

_Stamp = tuple[int, int, int] | None


class TlsFiles:
    """The context for new connections.

    Args:
        name: the setting or settings that name the files, for the log.
        build: reads the files and gives a new context; raises `OSError` (of which `ssl.SSLError` is one) or
            `ValueError`. Runs in a thread after the first time.
        paths: the files to watch.

    Attributes:
        context: as last built. Changed files that cannot be used leave the former context in place.
        is_unusable: whether the files, as they are now, cannot be used.

    Raises:
        OSError, ValueError: the files cannot be used at the start.
    """

    def __init__(self, name: str, build: Callable[[], ssl.SSLContext], paths: Sequence[Path]) -> None:
        self._name = name
        self._build = build
        self._paths = tuple(paths)
        self._stamps = self._now()
        self.context = build()
        self.is_unusable = False

    async def run(self) -> None:
        """Look for changed files until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Build the context again if a file has changed. Blocks while the files are read."""
        stamps = self._now()
        if stamps == self._stamps:
            return
        self._stamps = stamps  # of before the reading: a change meanwhile is found by the next look
        try:
            self.context = self._build()
        except (OSError, ValueError) as error:
            self.is_unusable = True
            reason = getattr(error, "strerror", None) or str(error)
            logger.error(  # noqa: TRY400  # a traceback would add nothing
                "%s: the changed files cannot be used (%s); the former ones stay in use", self._name, reason
            )
        else:
            self.is_unusable = False
            logger.info("%s: the changed files are in use for new connections", self._name)

    def _now(self) -> tuple[_Stamp, ...]:
        return tuple(map(_stamp, self._paths))


def _stamp(path: Path) -> _Stamp:
    """Tell a file from its successors: also where a link leads to another file, as in a Kubernetes volume."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
