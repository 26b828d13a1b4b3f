"""After studies: nothing that would tell of a patient, an update or a model lies where others can read it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from byte_search import CHUNK, ByteSearch
from killed_studies import ROUNDS, KilledStudies

from consilium_network.network import Network

pytestmark = pytest.mark.network


def encodings(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[bytes]:
    """Return how a vector could have been written down: binary of both widths, and decimal text of its first values."""
    pairs = [values[start : start + 2] for start in range(0, len(values) - 1, 2)]
    binary = [pair.astype(kind).tobytes() for pair in pairs for kind in ("<f8", ">f8")]
    single = [values[start : start + 3].astype("<f4").tobytes() for start in range(0, len(values) - 2, 3)]
    text = [repr(float(value)).encode() for value in values if len(repr(float(value))) > 12]
    return [code for code in [*binary, *single, *text] if len(set(code)) > 4]


def needles(killed: KilledStudies) -> dict[str, list[bytes]]:
    """Return what must not be found, by what it is."""
    models: list[bytes] = []
    rows: list[bytes] = []
    secrets: list[bytes] = []
    for files in killed.hospitals:
        for study in ROUNDS:
            for path in (files.folder / "state" / "studies" / study / "models").glob("*.npy"):
                models += encodings(np.load(path))
        with (killed.folder / "data" / f"{files.name}.csv").open() as table:
            lines = [",".join(row) for row in csv.reader(table)][1:]
        # Short rows could occur by chance; a whole row of ten measured values doesn't.
        rows += [line.encode() for line in lines if len(line) > 30]
        secrets.append((files.folder / "passphrase").read_bytes())
    return {"model": sorted(set(models)), "row": rows, "passphrase": secrets}


def updates(killed: KilledStudies) -> list[bytes]:
    """Return differences between successive models, which are the weighted sums of updates."""
    found: list[bytes] = []
    files = killed.hospitals[0]
    for study, views in killed.rounds.items():
        folder = files.folder / "state" / "studies" / study / "models"
        for view in views:
            before, after = np.load(folder / f"{view.round.base}.npy"), np.load(folder / f"{view.round.model}.npy")
            found += encodings(after - before)
    return found


def files_below(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def occurrences(paths: list[Path], wanted: list[bytes]) -> list[tuple[str, bytes]]:
    """Return where any of the byte strings occurs."""
    search = ByteSearch(wanted)
    return [(str(path), found) for path in paths if (found := search.first_in(path)) is not None]


@pytest.fixture(scope="module")
def public(killed: KilledStudies, network: Network) -> list[Path]:
    """Every file that somebody else than the hospital itself writes or reads: logs, ledger, chaincode, aggregator."""
    found = list(files_below(killed.folder / "logs", killed.folder / "aggregator", network.folder.root))
    places = " ".join(map(str, found))
    for expected in ("blockfile", ".log", "aggregator", "orderer"):
        assert expected in places, f"nothing of {expected} to search in"
    return found


@pytest.mark.parametrize("kind", ["model", "row", "passphrase"])
def test_nothing_readable_lies_in_logs_ledger_or_aggregator(
    killed: KilledStudies, public: list[Path], kind: str
) -> None:
    wanted = needles(killed)[kind]
    assert len(wanted) >= 4
    assert occurrences(public, wanted) == []


def test_no_update_lies_in_logs_ledger_or_aggregator(killed: KilledStudies, public: list[Path]) -> None:
    wanted = updates(killed)
    assert len(wanted) > 50
    assert occurrences(public, wanted) == []


def test_the_search_would_find_them(killed: KilledStudies, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    for kind, wanted in {**needles(killed), "update": updates(killed)}.items():
        planted.write_bytes(b"\x00" * (CHUNK - 3) + wanted[len(wanted) // 2] + b"\x00" * 50)
        assert occurrences([planted], wanted), kind


def test_no_update_is_kept_once_its_round_is_decided(killed: KilledStudies) -> None:
    for files in killed.hospitals:
        state = files.folder / "state"
        assert not list(state.rglob("update.npy"))
        assert not list(state.rglob("*.bin"))
        assert not list((state / "keys").glob("mask-*"))
