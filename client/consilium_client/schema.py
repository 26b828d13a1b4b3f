"""The table of a study: columns with units and fixed public ranges, categories with their levels, the label's classes.

Scaling by ranges that are fixed in the study, not by a site's own mean and deviation: those would be a release of
patient data that no privacy accountant sees.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from consilium_client.errors import ConfigurationError

_NUMERIC_FIELDS = {"name", "unit", "minimum", "maximum", "missing"}
_CATEGORY_FIELDS = {"name", "levels", "missing"}


@dataclass(frozen=True)
class NumericColumn:
    """A measured value. It is scaled from [minimum, maximum] to [-1, 1]; a missing one is 0 with an indicator of 1."""

    name: str
    unit: str
    minimum: float
    maximum: float
    missing_allowed: bool

    @property
    def width(self) -> int:
        """How many features it gives."""
        return 2 if self.missing_allowed else 1


@dataclass(frozen=True)
class CategoryColumn:
    """One of several levels, each a feature of its own; where it may be missing, then none of them is 1."""

    name: str
    levels: tuple[str, ...]
    missing_allowed: bool

    @property
    def width(self) -> int:
        """How many features it gives."""
        return len(self.levels)


@dataclass(frozen=True)
class Label:
    """The column to predict and the texts of its two classes."""

    name: str
    negative: str
    positive: str


@dataclass(frozen=True)
class Schema:
    """What every hospital's table must have."""

    columns: tuple[NumericColumn | CategoryColumn, ...]
    label: Label
    digest: str

    @property
    def width(self) -> int:
        """The number of features, d."""
        return sum(column.width for column in self.columns)


def read_schema(document: object) -> Schema:
    """Read the `table` part of a study file.

    Raises:
        ConfigurationError: it names the column and field that are missing, unknown or of the wrong kind.
    """
    if not isinstance(document, dict) or set(document) != {"columns", "label"}:
        raise ConfigurationError(f"table: expected 'columns' and 'label', found {_shown(document)}")
    if not isinstance(document["columns"], list) or not document["columns"]:
        raise ConfigurationError("table.columns: expected a list of columns")
    columns = tuple(_column(entry) for entry in document["columns"])
    label = _label(document["label"])
    names = [column.name for column in columns] + [label.name]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"table: a column is named twice among {', '.join(names)}")
    normal = json.dumps(document, sort_keys=True, separators=(",", ":"), default=str)
    return Schema(columns, label, hashlib.sha256(b"consilium schema v1\0" + normal.encode()).hexdigest())


def _column(entry: Any) -> NumericColumn | CategoryColumn:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise ConfigurationError(f"table.columns: expected a column with a name, found {_shown(entry)}")
    name, missing = entry["name"], entry.get("missing", "refused")
    if missing not in ("refused", "allowed"):
        raise ConfigurationError(f"column {name}: missing is {missing!r}; expected 'refused' or 'allowed'")
    if "levels" in entry:
        _check_fields(name, entry, _CATEGORY_FIELDS)
        levels = entry["levels"]
        if not isinstance(levels, list) or len(levels) < 2 or len({str(level) for level in levels}) != len(levels):
            raise ConfigurationError(f"column {name}: levels is {levels!r}; expected at least two different ones")
        return CategoryColumn(name, tuple(str(level) for level in levels), missing == "allowed")
    _check_fields(name, entry, _NUMERIC_FIELDS)
    bounds = []
    for field in ("minimum", "maximum"):
        value = entry.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"column {name}: {field} is {value!r}; expected a number")
        bounds.append(float(value))
    if bounds[0] >= bounds[1]:
        raise ConfigurationError(f"column {name}: minimum {bounds[0]:g} isn't below maximum {bounds[1]:g}")
    if not isinstance(entry.get("unit"), str):
        raise ConfigurationError(f"column {name}: unit is {entry.get('unit')!r}; expected a text such as 'mmHg' or '1'")
    return NumericColumn(name, entry["unit"], bounds[0], bounds[1], missing == "allowed")


def _check_fields(name: str, entry: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(entry) - known):
        raise ConfigurationError(f"column {name}: unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")


def _label(entry: Any) -> Label:
    if not isinstance(entry, dict) or set(entry) != {"name", "negative", "positive"}:
        raise ConfigurationError(f"table.label: expected name, negative and positive, found {_shown(entry)}")
    return Label(str(entry["name"]), str(entry["negative"]), str(entry["positive"]))


def _shown(value: object) -> str:
    return f"fields {', '.join(map(str, value))}" if isinstance(value, dict) else repr(value)
