"""A hospital's table as numbers: read from CSV by the study's schema, split into training and held-out rows."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilium_client.errors import TableError
from consilium_client.schema import CategoryColumn, NumericColumn, Schema

Features = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

MISSING = ("", "NA", "NaN", "nan", "?")


@dataclass(frozen=True)
class Dataset:
    """Rows as features, float64[n, d] with values in [-1, 1], and labels, int64[n] of 0 and 1."""

    features: Features
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def positives(self) -> int:
        """How many rows are of the positive class."""
        return int(self.labels.sum())

    def take(self, rows: npt.NDArray[np.int64]) -> Dataset:
        """Return the rows at these positions."""
        return Dataset(self.features[rows], self.labels[rows])


def join(parts: list[Dataset]) -> Dataset:
    """Return the rows of all parts, in order."""
    return Dataset(np.concatenate([p.features for p in parts]), np.concatenate([p.labels for p in parts]))


def read_table(path: Path, schema: Schema) -> Dataset:
    """Read a CSV file with a header line; columns that the schema doesn't name are ignored.

    Raises:
        TableError: it names file, line and column, the value, and what was expected.
    """
    features, labels = _read(path, schema, with_label=True)
    return Dataset(features, np.array(labels, dtype=np.int64))


def read_features(path: Path, schema: Schema) -> Features:
    """Read a CSV file's features alone, float64[n, d]; it needs no label column. Errors as `read_table`."""
    return _read(path, schema, with_label=False)[0]


def _read(path: Path, schema: Schema, *, with_label: bool) -> tuple[Features, list[int]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            needed = [column.name for column in schema.columns] + ([schema.label.name] if with_label else [])
            absent = [name for name in needed if name not in (reader.fieldnames or ())]
            if absent:
                found = ", ".join(reader.fieldnames or ()) or "nothing"
                raise TableError(f"{path} lacks column {absent[0]!r}; its header has {found}")
            rows, labels = [], []
            for line, row in enumerate(reader, start=2):
                rows.append(_features(path, line, row, schema))
                if with_label:
                    labels.append(_label(path, line, row, schema))
    except OSError as error:
        raise TableError(f"the table {path} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"the table {path} isn't CSV in UTF-8: {error}") from None
    if not rows:
        raise TableError(f"the table {path} has no rows")
    return np.array(rows, dtype=np.float64), labels


def _features(path: Path, line: int, row: dict[str, str | None], schema: Schema) -> list[float]:
    values: list[float] = []
    for column in schema.columns:
        text = (row[column.name] or "").strip()
        if text in MISSING and not column.missing_allowed:
            raise TableError(f"{path} line {line}: {column.name} is missing; the study doesn't allow that")
        if isinstance(column, CategoryColumn):
            values += _category(path, line, text, column)
        else:
            values += _number(path, line, text, column)
    return values


def _number(path: Path, line: int, text: str, column: NumericColumn) -> list[float]:
    if text in MISSING:
        return [0.0, 1.0]
    expected = f"a number of {column.unit} from {column.minimum:g} to {column.maximum:g}"
    try:
        value = float(text)
    except ValueError:
        raise TableError(f"{path} line {line}: {column.name} is {text!r}; expected {expected}") from None
    if not column.minimum <= value <= column.maximum:  # also refuses NaN and infinities
        raise TableError(f"{path} line {line}: {column.name} is {text}; expected {expected}. Check the unit")
    scaled = 2 * (value - column.minimum) / (column.maximum - column.minimum) - 1
    return [scaled, 0.0] if column.missing_allowed else [scaled]


def _category(path: Path, line: int, text: str, column: CategoryColumn) -> list[float]:
    if text not in MISSING and text not in column.levels:
        raise TableError(f"{path} line {line}: {column.name} is {text!r}; expected one of {', '.join(column.levels)}")
    return [1.0 if text == level else 0.0 for level in column.levels]


def _label(path: Path, line: int, row: dict[str, str | None], schema: Schema) -> int:
    text = (row[schema.label.name] or "").strip()
    if text not in (schema.label.negative, schema.label.positive):
        classes = f"{schema.label.negative!r} or {schema.label.positive!r}"
        raise TableError(f"{path} line {line}: {schema.label.name} is {text!r}; expected {classes}")
    return int(text == schema.label.positive)


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows to judge by."""

    training: Dataset
    held_out: Dataset


def split(dataset: Dataset, hospital: str, seed: int, held_out: float) -> Split:
    """Split by a permutation that follows from seed and hospital alone; `held_out` is a proportion, at least one row.

    Raises:
        TableError: too few rows to have both parts.
    """
    count = max(1, round(len(dataset) * held_out))
    if count >= len(dataset):
        raise TableError(f"{len(dataset)} rows are too few to hold {count} of them out")
    source = hashlib.sha256(f"consilium split v1/{seed}/{hospital}".encode()).digest()
    order = np.random.Generator(np.random.PCG64(int.from_bytes(source, "big"))).permutation(len(dataset))
    return Split(dataset.take(order[count:]), dataset.take(order[:count]))


def data_set_digest(hospital: str, name: str) -> str:
    """Return what names a data set on the ledger: it follows from hospital and name, never from rows."""
    return hashlib.sha256(f"consilium data set v1\0{hospital}\0{name}".encode()).hexdigest()
