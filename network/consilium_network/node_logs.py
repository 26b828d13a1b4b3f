"""What a node's log says went wrong last."""

from __future__ import annotations

import json
import re
from pathlib import Path

_TAIL_BYTES = 64 * 1024
_LONGEST = 300
_SERIOUS = {"error", "panic", "fatal", "critical", "dpanic"}
# While others are down or strangers still, gossip and the TLS listener report them as errors of this node.
_ABOUT_OTHERS = ("gossip", "core.comm", "grpc")
_PLAIN = re.compile(r"^(\S+ \S+ (ERROR|CRITICAL) |panic:|fatal|error|Error:|\w*(Error|Exception):)", re.IGNORECASE)


def last_error(log: Path) -> str | None:
    """Return the last error in a node's log, in one line; None when there is none or no log.

    Fabric's programs and our services write one JSON object per line; what comes before their logging works (a panic,
    a wrong option) is plain text.
    """
    for line in reversed(_tail(log)):
        found = _error_in(line)
        if found:
            return found[:_LONGEST]
    return None


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - _TAIL_BYTES))
            return stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _error_in(line: str) -> str | None:
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            return None
        if not isinstance(entry, dict) or str(entry.get("level", "")).lower() not in _SERIOUS:
            return None
        if str(entry.get("name", "")).startswith(_ABOUT_OTHERS):
            return None
        return " ".join(str(entry.get("msg") or entry.get("message") or "").split())
    return line.strip() if _PLAIN.match(line) else None
