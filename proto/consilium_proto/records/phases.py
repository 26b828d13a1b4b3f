"""The lives of studies and rounds."""

from __future__ import annotations

from enum import StrEnum


class StudyPhase(StrEnum):
    """The life of a study."""

    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"


class RoundPhase(StrEnum):
    """The life of a round; the last three are final."""

    OPEN = "OPEN"
    SEALED = "SEALED"
    ANCHORED = "ANCHORED"
    AGGREGATED = "AGGREGATED"
    CHALLENGED = "CHALLENGED"
    LISTING = "LISTING"
    PROVING = "PROVING"
    VERIFIED = "VERIFIED"
    FINAL = "FINAL"
    EXPIRED = "EXPIRED"
    VOID = "VOID"

    @property
    def decided(self) -> bool:
        """True when nothing more happens in the round."""
        return self in (RoundPhase.FINAL, RoundPhase.EXPIRED, RoundPhase.VOID)
