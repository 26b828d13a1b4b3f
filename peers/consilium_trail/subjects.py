"""What a call of the federation's contract is about, as its argument says: a study, and a round of it.

Anyone in the channel can have any argument ordered, in a transaction that peers then find invalid. So whatever an
argument holds, reading its subject ends well.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Subject(msgspec.Struct, frozen=True):
    """A study, "" for none, and a round of it, 0 for none."""

    study: str = ""
    round: int = 0


NOTHING = Subject()


def subject_of(arguments: Sequence[bytes]) -> Subject:
    """Return what a call's arguments name; nothing when they aren't one JSON object that names anything."""
    if len(arguments) != 1:
        return NOTHING
    try:
        return msgspec.json.decode(arguments[0], type=Subject)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return NOTHING
