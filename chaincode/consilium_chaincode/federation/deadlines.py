"""Time on the ledger: whose clock counts, and when a phase is over.

A client writes its own transaction timestamp and Fabric doesn't check it, so an endorser compares it with its own clock
and refuses what is further away than the tolerance tau. A phase entered at t lasts until D = t + tau + its length, so a
timestamp forged into the past doesn't shorten it. Writes need a timestamp up to D; `Advance` takes D as passed only
from D + 2 tau, so a timestamp forged into the future (tau at most, as seen by an endorser whose clock is itself honest)
can't cut off a write made at D. All times are milliseconds since 1970, tolerances and lengths are in seconds.
"""

from __future__ import annotations

from consilium_chaincode.federation.errors import Refused
from consilium_proto.records import Deadlines, RoundPhase, StudyTerms
from consilium_proto.refusals import RefusalCode

CONSORTIUM_TOLERANCE = 60
"""Clock tolerance in seconds of what belongs to no study yet."""

_SECOND = 1000


def check_clock(timestamp: int, now: int, tolerance: int) -> None:
    """Refuse a transaction whose timestamp is more than `tolerance` seconds from the endorser's clock `now`."""
    if abs(timestamp - now) > tolerance * _SECOND:
        raise Refused(
            RefusalCode.CLOCK_SKEW,
            f"the transaction's timestamp {timestamp} is {abs(timestamp - now)} ms from this peer's clock, and "
            f"{tolerance * _SECOND} ms are tolerated; synchronise the clock (NTP) and send it again",
        )


def phase_length(phase: RoundPhase, deadlines: Deadlines) -> int:
    """Return how long an undecided phase lasts, in seconds."""
    lengths = {
        RoundPhase.OPEN: deadlines.open,
        RoundPhase.SEALED: deadlines.sealed,
        RoundPhase.ANCHORED: deadlines.anchored,
        RoundPhase.AGGREGATED: deadlines.aggregated,
        RoundPhase.CHALLENGED: deadlines.challenged,
        RoundPhase.LISTING: deadlines.listing,
        RoundPhase.PROVING: deadlines.proving,
        RoundPhase.VERIFIED: deadlines.verified,
    }
    return lengths[phase]


def deadline(phase: RoundPhase, entered: int, terms: StudyTerms) -> int:
    """Return D of a phase that a transaction of timestamp `entered` enters; 0 when the phase decides the round."""
    if phase.decided:
        return 0
    return entered + (terms.clock_tolerance + phase_length(phase, terms.deadlines)) * _SECOND


def check_in_time(timestamp: int, deadline_: int) -> None:
    """Refuse a write whose timestamp is past the deadline."""
    if timestamp > deadline_:
        raise Refused(
            RefusalCode.DEADLINE_PASSED,
            f"the phase's deadline was {deadline_} and the transaction's timestamp is {timestamp}, "
            f"{timestamp - deadline_} ms later; nothing can be written in this phase any more",
        )


def has_passed(deadline_: int, timestamp: int, terms: StudyTerms) -> bool:
    """Tell whether `Advance` at `timestamp` may treat the deadline as passed: from D + 2 tau on."""
    return timestamp >= deadline_ + 2 * terms.clock_tolerance * _SECOND


def others_may_open(timestamp: int, idle_since: int, terms: StudyTerms) -> bool:
    """Tell whether hospitals other than the coordinator may open a round: when none was opened for an open deadline."""
    return timestamp > idle_since + terms.deadlines.open * _SECOND
