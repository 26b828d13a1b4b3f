"""The channel's state as the blocks make it: values, versions and keys' own endorsement policies.

Private collections are here with the hashes that blocks hold of them: a key is the hex of its hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consilium_trail.blocks.read_write_sets import MetadataWrite, NamespaceSet, RangeRead, Read, Version

_VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
Place = tuple[str, str]
"""Namespace and private collection (empty: public)."""


@dataclass(slots=True)
class Cell:
    """A key's value (the hash of a private one), version, and endorsement policy of its own if it has one."""

    value: bytes
    version: Version
    policy: bytes | None


class State:
    """All keys that have a value. `begin_block` comes before a block's transactions."""

    def __init__(self) -> None:
        self._cells: dict[Place, dict[str, Cell]] = {}
        self._changed: set[tuple[Place, str]] = set()

    def begin_block(self) -> None:
        """Forget which keys the block before changed."""
        self._changed.clear()

    def value(self, namespace: str, key: str) -> bytes | None:
        """Return a public value, None when there is none."""
        cell = self._cells.get((namespace, ""), {}).get(key)
        return cell.value if cell else None

    def policy(self, place: Place, key: str) -> bytes | None:
        """Return a key's own endorsement policy, None when it has none."""
        cell = self._cells.get(place, {}).get(key)
        return cell.policy if cell else None

    def conflict(self, sets: tuple[NamespaceSet, ...]) -> str:
        """Return the validation code of a transaction that read what isn't so any more; nothing when all is as it read.

        As core/ledger/kvledger/txmgmt/validation/validator.go: a key that an earlier transaction of the block wrote is
        a conflict whatever its version.
        """
        for each in sets:
            if not all(self._is_current((each.namespace, ""), read) for read in each.reads):
                return "MVCC_READ_CONFLICT"
            if not all(self._is_same(each.namespace, read) for read in each.ranges):
                return "PHANTOM_READ_CONFLICT"
            for collection in each.collections:
                if not all(self._is_current((each.namespace, collection.name), read) for read in collection.reads):
                    return "MVCC_READ_CONFLICT"
        return ""

    def apply(self, sets: tuple[NamespaceSet, ...], version: Version) -> None:
        """Apply a valid transaction's writes."""
        for each in sets:
            place = (each.namespace, "")
            for write in each.writes:
                self._put(place, write.key, write.value, version)
            self._apply_metadata(place, each.metadata_writes, version)
            for collection in each.collections:
                place = (each.namespace, collection.name)
                for hashed in collection.writes:
                    self._put(place, hashed.key_hash.hex(), hashed.value_hash, version)
                self._apply_metadata(place, collection.metadata_writes, version)

    def range(self, namespace: str, start: str, end: str, *, with_end: bool = False) -> Iterator[tuple[str, Version]]:
        """Yield the public keys of a range and their versions, in the order of their UTF-8 bytes."""
        cells = self._cells.get((namespace, ""), {})
        found = [key for key in cells if start <= key and (not end or key < end or (with_end and key == end))]
        for key in sorted(found, key=str.encode):
            yield key, cells[key].version

    def _put(self, place: Place, key: str, value: bytes | None, version: Version) -> None:
        cells = self._cells.setdefault(place, {})
        self._changed.add((place, key))
        held = cells.get(key)
        if value is None:
            cells.pop(key, None)
        else:
            cells[key] = Cell(value, version, held.policy if held else None)

    def _apply_metadata(self, place: Place, writes: tuple[MetadataWrite, ...], version: Version) -> None:
        for write in writes:
            cell = self._cells.get(place, {}).get(write.key)
            if cell is not None:
                cell.policy = dict(write.entries).get(_VALIDATION_PARAMETER)
                cell.version = version
                self._changed.add((place, write.key))

    def _is_current(self, place: Place, read: Read) -> bool:
        if (place, read.key) in self._changed:
            return False
        cell = self._cells.get(place, {}).get(read.key)
        return (cell.version if cell else None) == read.version

    def _is_same(self, namespace: str, read: RangeRead) -> bool:
        if read.found is None:
            # A Merkle summary of more than fifty keys. What came of it is checked where the contract is replayed.
            return True
        now = self.range(namespace, read.start, read.end, with_end=not read.exhausted)
        return [(each.key, each.version) for each in read.found] == list(now)
