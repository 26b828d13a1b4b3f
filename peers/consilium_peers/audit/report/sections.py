"""What reports are made of: sections of sentences, tables and plots."""

from __future__ import annotations

from dataclasses import dataclass, field

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: a header and rows of text."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over the rounds' numbers: name and points of each."""

    title: str
    unit: str
    lines: tuple[tuple[str, tuple[Point, ...]], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report."""

    title: str
    sentences: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report; `digest` is that of the facts it was made from."""

    title: str
    digest: str
    sections: tuple[Section, ...] = field(default=())
