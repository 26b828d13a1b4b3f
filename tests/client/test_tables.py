"""Tables: what a schema accepts, how values become features, and the one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consilium_client.data import data_set_digest, read_features, read_table, split
from consilium_client.errors import ConfigurationError, TableError
from consilium_client.schema import Schema, read_schema

DOCUMENT: dict[str, Any] = {
    "label": {"name": "outcome", "negative": 0, "positive": 1},
    "columns": [
        {"name": "age", "unit": "years", "minimum": 0, "maximum": 100},
        {"name": "pressure", "unit": "mmHg", "minimum": 50, "maximum": 250, "missing": "allowed"},
        {"name": "smoker", "levels": ["no", "yes"], "missing": "allowed"},
    ],
}
HEADER = "age,pressure,smoker,outcome"


@pytest.fixture
def schema() -> Schema:
    return read_schema(DOCUMENT)


def table(folder: Path, *lines: str, header: str = HEADER) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_values_are_scaled_by_fixed_ranges_and_missing_ones_are_marked(tmp_path: Path, schema: Schema) -> None:
    rows = read_table(table(tmp_path, "0,50,no,0", "100,250,yes,1", "50,,,1"), schema)
    assert schema.width == 5
    assert rows.features.tolist() == [[-1, -1, 0, 1, 0], [1, 1, 0, 0, 1], [0, 0, 1, 0, 0]]
    assert rows.labels.tolist() == [0, 1, 1]
    assert rows.positives == 2


def test_a_hospital_that_has_only_one_class_has_a_table(tmp_path: Path, schema: Schema) -> None:
    rows = read_table(table(tmp_path, "40,120,no,1", "50,130,no,1"), schema)
    assert rows.positives == len(rows) == 2


def test_other_columns_are_ignored_and_scoring_needs_no_label(tmp_path: Path, schema: Schema) -> None:
    path = table(tmp_path, "x,40,120,no", header="ward,age,pressure,smoker")
    assert read_features(path, schema).shape == (1, 5)
    with pytest.raises(TableError, match="lacks column 'outcome'; its header has ward, age, pressure, smoker"):
        read_table(path, schema)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abc,120,no,1", r"line 2: age is 'abc'; expected a number of years from 0 to 100"),
        ("nan,120,no,1", r"line 2: age is missing; the study doesn't allow that"),
        ("-1,120,no,1", r"line 2: age is -1; expected a number of years from 0 to 100. Check the unit"),
        ("40,16,no,1", r"line 2: pressure is 16; expected .* Check the unit"),
        ("40,inf,no,1", r"line 2: pressure is inf"),
        ("40,-nan,no,1", r"line 2: pressure is -nan"),
        (",120,no,1", r"line 2: age is missing"),
        ("40,120,maybe,1", r"line 2: smoker is 'maybe'; expected one of no, yes"),
        ("40,120,no,2", r"line 2: outcome is '2'; expected '0' or '1'"),
        ("40,120,no,", r"line 2: outcome is ''"),
        ("40,120", r"line 2: outcome is ''"),
    ],
)
def test_a_bad_value_is_named_with_line_column_and_remedy(
    tmp_path: Path, schema: Schema, line: str, message: str
) -> None:
    with pytest.raises(TableError, match=message):
        read_table(table(tmp_path, line), schema)


def test_files_that_are_no_tables(tmp_path: Path, schema: Schema) -> None:
    with pytest.raises(TableError, match="can't be read: No such file"):
        read_table(tmp_path / "absent.csv", schema)
    with pytest.raises(TableError, match="has no rows"):
        read_table(table(tmp_path), schema)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TableError, match="lacks column 'age'; its header has nothing"):
        read_table(tmp_path / "empty.csv", schema)
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"\n\xff,1,no,1\n")
    with pytest.raises(TableError, match="isn't CSV in UTF-8"):
        read_table(tmp_path / "latin.csv", schema)


def test_the_split_follows_from_seed_and_hospital_alone(tmp_path: Path, schema: Schema) -> None:
    rows = read_table(table(tmp_path, *(f"{age},,,{age % 2}" for age in range(40))), schema)
    one, again, other = (split(rows, hospital, seed, 0.3) for hospital, seed in (("A", 1), ("A", 1), ("B", 1)))
    assert len(one.held_out) == 12
    assert len(one.training) == 28
    assert (one.held_out.features == again.held_out.features).all()
    assert (one.held_out.features != other.held_out.features).any()
    everything = np.concatenate([one.training.features, one.held_out.features])[:, 0]
    assert sorted(everything) == sorted(rows.features[:, 0])
    with pytest.raises(TableError, match="1 rows are too few to hold 1 of them out"):
        split(rows.take(np.array([0])), "A", 1, 0.3)


def test_a_data_set_is_named_by_hospital_and_name_never_by_rows() -> None:
    assert data_set_digest("A", "registry") == data_set_digest("A", "registry")
    assert len({data_set_digest("A", "registry"), data_set_digest("B", "registry"), data_set_digest("A", "b")}) == 3


def with_column(**fields: Any) -> dict[str, Any]:
    return {**DOCUMENT, "columns": [fields]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], r"table: expected 'columns' and 'label', found \[\]"),
        ({"columns": []}, "found fields columns"),
        ({**DOCUMENT, "columns": []}, "expected a list of columns"),
        ({**DOCUMENT, "columns": ["age"]}, "expected a column with a name, found 'age'"),
        (with_column(name="age", minimum=0, maximum=9), "column age: unit is None"),
        (with_column(name="age", unit="y", minimum=9, maximum=9), "column age: minimum 9 isn't below maximum 9"),
        (with_column(name="age", unit="y", minimum="0", maximum=9), "column age: minimum is '0'; expected a number"),
        (with_column(name="age", unit="y", minimum=True, maximum=9), "column age: minimum is True"),
        (with_column(name="age", unit="y", minimum=0, maximum=9, mean=3), "column age: unknown field 'mean'"),
        (with_column(name="age", unit="y", minimum=0, maximum=9, missing="no"), "expected 'refused' or 'allowed'"),
        (with_column(name="sex", levels=["f"]), "column sex: levels is .* at least two different ones"),
        (with_column(name="sex", levels=["f", "f"]), "at least two different ones"),
        (with_column(name="sex", levels=["f", "m"], unit="1"), "column sex: unknown field 'unit'"),
        (with_column(name="outcome", levels=["f", "m"]), "a column is named twice"),
        ({**DOCUMENT, "label": {"name": "outcome"}}, "table.label: expected name, negative and positive"),
    ],
)
def test_a_bad_schema_names_column_and_field(document: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_schema(document)


def test_the_schemas_digest_covers_every_field() -> None:
    changed = [{**column, "name": column["name"] + "x"} for column in DOCUMENT["columns"]]
    wider = [{**DOCUMENT["columns"][0], "maximum": 101}, *DOCUMENT["columns"][1:]]
    documents = [DOCUMENT, {**DOCUMENT, "columns": changed}, {**DOCUMENT, "columns": wider}]
    assert len({read_schema(document).digest for document in documents}) == 3
