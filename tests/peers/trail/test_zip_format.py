"""The trail's zip: what the writer writes is read, by any zip program too, and nothing else is."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium_trail.archive.zip_format import ZipReader, write_zip
from consilium_trail.errors import ArchiveError, ExportError

FILES = {"manifest.json": b"{}", "blocks/000000.bin": b"\1" * 5000, "empty": b""}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    write_zip(tmp_path / "good.zip", FILES)
    return tmp_path / "good.zip"


def read(path: Path) -> dict[str, bytes]:
    with ZipReader(path) as archive:
        return {name: archive.read(name, 10_000) for name in archive.entries}


def test_what_is_written_is_read(good: Path) -> None:
    assert read(good) == FILES
    with zipfile.ZipFile(good) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == FILES


def test_equal_files_give_equal_bytes(good: Path, tmp_path: Path) -> None:
    (tmp_path / "held").write_bytes(FILES["blocks/000000.bin"])
    write_zip(tmp_path / "again.zip", {**dict(reversed(FILES.items())), "blocks/000000.bin": tmp_path / "held"})
    assert (tmp_path / "again.zip").read_bytes() == good.read_bytes()


def test_a_name_that_leads_out_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="can't be a file's name"):
        write_zip(tmp_path / "bad.zip", {"../out": b""})


def ordinary(path: Path, *names: str, kind: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"content " * 99, compress_type=kind)


FOREIGN: dict[str, tuple[Callable[[Path], None], str]] = {
    "a path that leads out": (lambda path: ordinary(path, "../etc/passwd"), "could lead out"),
    "an absolute path": (lambda path: ordinary(path, "/etc/passwd"), "could lead out"),
    "compressed": (lambda path: ordinary(path, "a", kind=zipfile.ZIP_DEFLATED), "is compressed"),
    "other permissions": (lambda path: ordinary(path, "a"), "time, permissions"),
    "empty": (lambda path: path.write_bytes(b"") and None, "0 bytes are no archive"),
    "no zip": (lambda path: path.write_bytes(b"x" * 500) and None, "no zip"),
}


@pytest.mark.parametrize(("make", "reason"), FOREIGN.values(), ids=FOREIGN.keys())
def test_another_form_of_zip_is_refused(make: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    make(tmp_path / "foreign.zip")
    with pytest.raises(ArchiveError, match=reason):
        read(tmp_path / "foreign.zip")


def test_a_file_that_is_absent_or_too_large_is_refused(good: Path) -> None:
    with ZipReader(good) as archive:
        with pytest.raises(ArchiveError, match="has no other"):
            archive.read("other", 10)
        with pytest.raises(ArchiveError, match="at most 10"):
            archive.read("blocks/000000.bin", 10)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 5500), change=st.binary(min_size=1, max_size=3), cut=st.booleans())
def test_every_change_of_the_frame_is_refused_with_a_typed_error(
    position: int, change: bytes, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    write_zip(folder / "whole.zip", FILES)
    whole = (folder / "whole.zip").read_bytes()
    place = position % len(whole)
    changed = whole[:place] + (b"" if cut else change) + whole[place + len(change) :]
    (folder / "changed.zip").write_bytes(changed)
    try:
        found = read(folder / "changed.zip")
    except ArchiveError:
        return
    # Only content may have changed, which the manifest's digests tell; the CRC and the directory hold the rest.
    assert {name: len(content) for name, content in found.items()} == {n: len(c) for n, c in FILES.items()}
