"""Rows of plain values as a table for people, as JSON and as CSV: the same values in all three."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance as Row
else:
    Row = Any

# What a spreadsheet takes for the beginning of a formula. A certificate may name its holder so.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Digests and transaction ids are cut in tables alone; JSON and CSV have them whole.
_LONGEST_IN_A_TABLE = 16
_HEX = frozenset("0123456789abcdef")
_HASH_LENGTH = 66


def as_json(rows: Sequence[Row]) -> str:
    """Return rows as a JSON list of objects."""
    return json.dumps([dataclasses.asdict(row) for row in rows], indent=2, ensure_ascii=False)


def as_csv(rows: Sequence[Row], kind: type[Row]) -> str:
    """Return rows as CSV (RFC 4180) with a header; several values in one field are separated by blanks.

    A text that a spreadsheet would run as a formula is given an apostrophe in front.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(_names(kind))
    writer.writerows([_harmless(value) for value in _values(row)] for row in rows)
    return buffer.getvalue()


def as_table(rows: Sequence[Row], kind: type[Row]) -> str:
    """Return rows as a table of aligned columns; a column that is empty in every row is left out."""
    if not rows:
        return "nothing"
    columns = [
        [name, *(_cut(_text(value)) for value in values)]
        for name, values in zip(_names(kind), zip(*map(_values, rows), strict=True), strict=True)
        if any(_text(value) for value in values)
    ]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _harmless(value: Any) -> str:
    text = _text(value)
    return f"'{text}" if isinstance(value, str | tuple) and text.startswith(_FORMULA) else text


def _names(kind: type[Row]) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _values(row: Row) -> list[Any]:
    return [getattr(row, field.name) for field in dataclasses.fields(row)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(str(each) for each in value)
    return str(value)


def _cut(text: str) -> str:
    """Shorten every word that is hex, and what a colon sets apart from a name; show nothing that moves a cursor."""
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return " ".join(":".join(_cut_word(part) for part in word.split(":")) for word in text.split(" "))


def _cut_word(word: str) -> str:
    # Ethereum's hashes are cut as others are, addresses aren't.
    digits = word[2:] if word.startswith("0x") and len(word) == _HASH_LENGTH else word
    return word[:_LONGEST_IN_A_TABLE] if len(word) > _LONGEST_IN_A_TABLE and set(digits) <= _HEX else word
