"""The process's log as JSON lines on stderr. Called by the command line, never at import or by a library."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from shared.clock import rfc3339

if TYPE_CHECKING:
    from services.data_plane.account.access_log import TextSink


class JsonFormatter(logging.Formatter):
    """A line per record; exceptions stay on the line, escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record as JSON."""
        line = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to(sink: TextSink, level: int = logging.INFO) -> None:
    """Send every log record of this process to `sink` as JSON lines, in place of the former handlers."""
    handler: logging.StreamHandler[TextSink] = logging.StreamHandler(sink)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # Both report every request or connection at INFO: that is the access log's work.
    for noisy in ("httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
