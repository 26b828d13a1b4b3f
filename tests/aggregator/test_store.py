"""The store of files: whole or absent, verified, forgotten by area."""

from pathlib import Path

import pytest

from consilium_aggregator.errors import CorruptContentError, MissingContentError, StoreError
from consilium_aggregator.store.content import Area, Kind
from consilium_aggregator.store.files import FileStore
from consilium_aggregator.store.manifests import Digests, ManifestFiles, VectorName
from consilium_proto.chunk_tree import chunk_digest

AREA = Area("heart", 1, Kind.UPDATES)
SUMS = Area("heart", 1, Kind.SUMS)
NAME = VectorName("heart", 1, 0, "Sum-1.MSP", "sum")


def test_content_is_found_by_its_digest_in_its_area_only(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    digests = store.put(AREA, [b"one", b"two"])
    assert digests == [chunk_digest(b"one"), chunk_digest(b"two")]
    assert store.get(AREA, digests[1]) == b"two"
    assert store.held(AREA, [*digests, bytes(32)]) == [True, True, False]
    assert store.held(SUMS, digests) == [False, False]
    with pytest.raises(MissingContentError):
        store.get(SUMS, digests[0])
    assert (store.areas(), store.size(AREA)) == ([AREA], (2, 6))


def test_dropping_an_area_leaves_the_others(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    others = (SUMS, Area("heart", 2, Kind.UPDATES), Area("lung", 1, Kind.UPDATES))
    for area in (AREA, *others):
        store.put(area, [b"the same"])
    store.drop(AREA)
    store.drop(AREA)
    assert store.areas() == sorted(others)
    assert all(store.get(area, chunk_digest(b"the same")) == b"the same" for area in others)
    for area in others:
        store.drop(area)
    assert not list((tmp_path / "content").iterdir())


def test_changed_content_is_told_and_dropped(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    (digest,) = store.put(AREA, [b"content"])
    (tmp_path / "content/heart/1/updates" / digest.hex()).write_bytes(b"c0ntent")
    with pytest.raises(CorruptContentError, match="changed on disk"):
        store.get(AREA, digest)
    assert store.held(AREA, [digest]) == [False]
    store.put(AREA, [b"content"])
    assert store.get(AREA, digest) == b"content"


def test_a_place_that_cant_be_written_is_told(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    (tmp_path / "content/heart").write_text("in the way")
    with pytest.raises(StoreError, match="can't write"):
        store.put(AREA, [b"content"])
    with pytest.raises(StoreError, match="can't open the store"):
        FileStore(tmp_path / "content/heart")


def test_a_manifest_grows_and_is_read_back(tmp_path: Path) -> None:
    manifests = ManifestFiles(tmp_path)
    manifests.write(NAME, Digests.absent(3))
    manifests.record(NAME, {2: bytes([7]) * 32})
    read = manifests.read(NAME, 3)
    assert read is not None
    assert [read.known(position) for position in range(3)] == [False, False, True]
    assert read[2] == bytes([7]) * 32
    assert manifests.read(NAME, 4) is None
    assert manifests.names() == [NAME]
    manifests.drop_round("heart", 1)
    assert manifests.read(NAME, 3) is None


def test_recording_in_a_manifest_that_isnt_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="can't write"):
        ManifestFiles(tmp_path).record(NAME, {0: bytes(32)})
