"""Kinds of arguments that several commands take."""

from __future__ import annotations

import argparse

import msgspec

from consilium_proto.records import Identifier


def study_name(text: str) -> str:
    """Take a study's name; a malformed one is wrong usage, said before anything is asked of the ledger."""
    try:
        return msgspec.convert(text, Identifier)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} isn't a study's name: 1 to 63 lower-case letters, digits and hyphens"
        ) from None
