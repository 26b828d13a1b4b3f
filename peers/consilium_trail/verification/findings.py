"""What a verification finds: the step and the exact place at which something doesn't hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from consilium_trail.errors import TrailError


class Step(IntEnum):
    """The steps of the verification; docs/trail.md says what each proves."""

    DIGESTS = 1
    CHAIN = 2
    ORDERERS = 3
    CREATORS = 4
    ENDORSEMENTS = 5
    POLICIES = 6
    FLAGS = 7
    REPLAY = 8
    SUMS = 9
    STATEMENTS = 10
    ARTIFACTS = 11


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a trail: a block and a transaction in it, or a file; as much as is known."""

    block: int | None = None
    transaction: int | None = None
    tx_id: str = ""
    file: str = ""

    def __str__(self) -> str:
        parts = [] if self.block is None else [f"block {self.block}"]
        if self.transaction is not None:
            parts.append(f"transaction {self.transaction}" + (f" ({self.tx_id[:16]})" if self.tx_id else ""))
        if self.file:
            parts.append(self.file)
        return ", ".join(parts) or "the trail"


class UnsoundError(TrailError):
    """Something that the trail says doesn't hold.

    Attributes:
        step: the check that found it.
        place: where.
        reason: what doesn't hold.
    """

    def __init__(self, step: Step, place: Place, reason: str) -> None:
        self.step = step
        self.place = place
        self.reason = reason
        super().__init__(f"step {step.value} ({step.name.lower()}), {place}: {reason}")
