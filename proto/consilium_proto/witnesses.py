"""Who witnesses whose vector: the next T participants in ring order.

A witness fetches the anchored ciphertexts of another hospital, checks them, confirms on the ledger that it holds them,
and later computes their fingerprint as their owner does. With T colluders in all and T witnesses for each vector, a
colluding owner has an honest witness; so a false fingerprint meets a true one, and no draw is needed that somebody
could bias.
"""

from __future__ import annotations

from collections.abc import Sequence


def witnesses_of(participants: Sequence[str], owner: str, max_colluding: int) -> tuple[str, ...]:
    """Return the `max_colluding` witnesses of a participant's vector, in ring order.

    Args:
        participants: the round's participants, sorted, once their set doesn't change any more.
        owner: one of them.
        max_colluding: T, below the number of participants.
    """
    place = participants.index(owner)
    return tuple(participants[(place + step) % len(participants)] for step in range(1, max_colluding + 1))


def witnessed_by(participants: Sequence[str], witness: str, max_colluding: int) -> tuple[str, ...]:
    """Return whose vectors a participant witnesses, sorted: the T before it in ring order."""
    place = participants.index(witness)
    return tuple(sorted(participants[(place - step) % len(participants)] for step in range(1, max_colluding + 1)))
