"""Noticing a node that lives but has stopped keeping up. Pure: heights and times in, names out.

An orderer that was frozen for a while can stay behind for good, and a process can hang without dying. Both look alive
from outside, so the supervisor compares heights and restarts what stays behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BEHIND_SECONDS = 20.0
SILENT_SECONDS = 30.0
# One block doesn't count: a restarted orderer learns of the block that it missed only from the next one, because
# SmartBFT's heartbeats carry the number of the block in progress. Restarting it again wouldn't help.
BEARABLE_BLOCKS = 1


@dataclass
class _Observation:
    height: int | None = None
    progressed: float = 0.0
    answered: float = 0.0


@dataclass
class HeightWatch:
    """Follows the heights of nodes that should all have the same blocks."""

    behind_seconds: float = BEHIND_SECONDS
    silent_seconds: float = SILENT_SECONDS
    _seen: dict[str, _Observation] = field(default_factory=dict)

    def observe(self, now: float, heights: Mapping[str, int | None], best: int) -> dict[str, str]:
        """Take in the heights seen at `now` (seconds, any monotonic clock) and return whom to restart, and why.

        `heights` has the running nodes only; None means that a node didn't answer. `best` is the greatest height
        anywhere. A node that is more than one block behind is restarted when its height hasn't moved for
        `behind_seconds`.
        """
        for gone in set(self._seen) - set(heights):
            del self._seen[gone]
        verdicts: dict[str, str] = {}
        for name, height in heights.items():
            reason = self._judge(name, height, best, now)
            if reason is not None:
                verdicts[name] = reason
                del self._seen[name]  # it gets the full time again after its restart
        return verdicts

    def _judge(self, name: str, height: int | None, best: int, now: float) -> str | None:
        seen = self._seen.setdefault(name, _Observation(None, now, now))
        if height is None:
            if now - seen.answered >= self.silent_seconds:
                return f"did not answer for {self.silent_seconds:.0f} seconds"
            return None
        seen.answered = now
        if height != seen.height or height >= best - BEARABLE_BLOCKS:
            seen.height, seen.progressed = height, now
        elif now - seen.progressed >= self.behind_seconds:
            return f"stayed at block {height} for {self.behind_seconds:.0f} seconds while others have {best}"
        return None
