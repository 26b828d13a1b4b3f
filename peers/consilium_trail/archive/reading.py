"""Reading a trail: what it says of itself, and its blocks one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_trail.archive import manifest as names
from consilium_trail.archive.block_files import (
    BLOCKS_PER_FILE,
    block_file,
    decode_stored_block,
    flags_file,
    records,
    signatures_file,
)
from consilium_trail.archive.manifest import ExporterIdentity, FileDigest, Manifest, SignaturesManifest
from consilium_trail.archive.zip_format import ZipReader
from consilium_trail.blocks.block import Block
from consilium_trail.errors import ArchiveError

R = TypeVar("R", bound=Record)


class TrailReader:
    """A trail, opened. Use it as a context manager.

    Attributes:
        manifest: what the trail says of itself.
        files: the digest of every file but the two manifests, by name.
        exporter: who says to have exported it.
    """

    def __init__(self, path: Path) -> None:
        """Open a trail and read its manifests; digests and signatures aren't checked.

        Raises:
            ArchiveError: it isn't a trail of a format that this release reads, or its files aren't those declared.
        """
        self._zip = ZipReader(path)
        try:
            self.manifest = self._record(Manifest, names.MANIFEST)
            if self.manifest.format != names.FORMAT_VERSION:
                raise ArchiveError(
                    f"the trail is of format {self.manifest.format}; this release reads {names.FORMAT_VERSION}"
                )
            signatures = self._record(SignaturesManifest, names.SIGNATURES_MANIFEST)
            self.files = self._declared(signatures)
            self.exporter = self._record(ExporterIdentity, names.EXPORTER)
        except BaseException:
            self._zip.__exit__()
            raise

    def __enter__(self) -> TrailReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.__exit__()

    def read(self, name: str) -> bytes:
        """Return a JSON file or a report as a whole.

        Raises:
            ArchiveError: it isn't there, or is too large to be one.
        """
        return self._zip.read(name, names.LARGEST_JSON)

    def digest(self, name: str) -> str:
        """Return the SHA-256 (hex) of a file as it is."""
        digest = hashlib.sha256()
        for piece in self._zip.pieces(name):
            digest.update(piece)
        return digest.hexdigest()

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks, from 0 on. One is in memory at a time, and a MiB of each of the three files around it.

        Raises:
            TrailError: they can't be read, or aren't as many as the manifest says.
        """
        count = self.manifest.blocks
        for first in range(0, count, BLOCKS_PER_FILE):
            parts = (block_file(first), signatures_file(first), flags_file(first))
            rows = [records(self._zip.pieces(name), name) for name in parts]
            expected = min(BLOCKS_PER_FILE, count - first)
            for position in range(expected):
                found = [next(row, None) for row in rows]
                content, signatures, flags = found
                if content is None or signatures is None or flags is None:
                    raise ArchiveError(f"one of {', '.join(parts)} has no block {first + position}")
                yield decode_stored_block(content, signatures, flags)
            if any(next(row, None) is not None for row in rows):
                raise ArchiveError(f"one of {', '.join(parts)} has more than {expected} blocks")

    def _record(self, kind: type[R], name: str) -> R:
        try:
            return decode(kind, self.read(name))
        except WireError as error:
            raise ArchiveError(f"{name} can't be read: {error}") from None

    def _declared(self, signatures: SignaturesManifest) -> dict[str, FileDigest]:
        """Return the declared files; they must be exactly those that are there."""
        for files, within in ((self.manifest.files, False), (signatures.files, True)):
            ordered = [each.name for each in files]
            if ordered != sorted(set(ordered)):
                raise ArchiveError("a manifest names a file twice, or not in order")
            for name in ordered:
                if name.startswith(names.SIGNATURES) is not within:
                    raise ArchiveError(f"{name} is declared in the wrong manifest")
        declared = {each.name: each for each in (*self.manifest.files, *signatures.files)}
        here = set(self._zip.entries) - {names.MANIFEST, names.SIGNATURES_MANIFEST}
        for name in sorted(here ^ set(declared)):
            raise ArchiveError(f"{name} is {'not declared' if name in here else 'declared but not there'}")
        for name, each in declared.items():
            if self._zip.entry(name).size != each.length:
                raise ArchiveError(f"{name} has {self._zip.entry(name).size} bytes; {each.length} are declared")
        return declared
