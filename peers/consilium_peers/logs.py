"""One JSON object per line on standard error: time, level, what happened, and the fields that say where."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_STANDARD = set(vars(logging.makeLogRecord({})))


class JsonFormatter(logging.Formatter):
    """Formats a record with its extra fields. What is secret is never passed to a logger in the first place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD and name != "message"}
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            entry["error"] = repr(record.exc_info[1])
        return json.dumps(entry, default=str)


def log_as_json(level: int = logging.INFO) -> None:
    """Send our packages' logs to standard error, one JSON object per line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("consilium")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
