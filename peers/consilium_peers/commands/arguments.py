"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse

import msgspec

from consilium_proto.records import Identifier, MspId


def study_name(text: str) -> str:
    """Take a study's name; a malformed one is wrong usage, said before anything is asked of the ledger."""
    try:
        return msgspec.convert(text, Identifier)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} isn't a study's name: 1 to 63 lower-case letters, digits and hyphens"
        ) from None


def organization(text: str) -> str:
    """Take an organisation's MSP id."""
    try:
        return msgspec.convert(text, MspId)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} isn't an MSP id: a letter, then letters, digits, dots and hyphens"
        ) from None


def round_number(text: str) -> int:
    """Take a round's number."""
    return _counted(text, "a round's number")


def epoch_number(text: str) -> int:
    """Take the number of an epoch of rewards."""
    return _counted(text, "an epoch's number")


def chain_id(text: str) -> int:
    """Take the id of a public chain."""
    return _counted(text, "a chain's id")


def _counted(text: str, what: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} isn't {what}: 1 or more")
    return int(text)
