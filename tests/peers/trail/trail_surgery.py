"""Changes a trail as somebody would who has no keys: files, records and blocks, with digests made anew or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fabric_protos.common import common_pb2

from consilium_proto.canonical import decode, encode
from consilium_trail.archive.block_files import record, records
from consilium_trail.archive.manifest import (
    MANIFEST,
    SIGNATURES,
    SIGNATURES_MANIFEST,
    Manifest,
    SignaturesManifest,
)
from consilium_trail.archive.writing import file_digests
from consilium_trail.archive.zip_format import ZipReader, write_zip

BLOCKS, FLAGS, ORDERERS = "blocks/000000.bin", "flags/000000.bin", "signatures/orderers/000000.bin"


@dataclass
class Rows:
    """The three records of every block."""

    blocks: list[bytes]
    signatures: list[bytes]
    flags: list[bytes]

    def swap(self, one: int, other: int) -> None:
        for row in (self.blocks, self.signatures, self.flags):
            row[one], row[other] = row[other], row[one]

    def drop(self, number: int) -> None:
        for row in (self.blocks, self.signatures, self.flags):
            del row[number]

    def change(self, number: int, change: Callable[[common_pb2.Block], None]) -> None:
        """Change a block's header or envelopes."""
        block = common_pb2.Block.FromString(self.blocks[number])
        change(block)
        self.blocks[number] = block.SerializeToString(deterministic=True)


class Surgery:
    """A trail taken apart."""

    def __init__(self, source: Path) -> None:
        with ZipReader(source) as archive:
            self.files = {name: archive.read(name, 1 << 30) for name in archive.entries}

    @property
    def manifest(self) -> Manifest:
        return decode(Manifest, self.files[MANIFEST])

    def rows(self) -> Rows:
        found = [list(records([self.files[name]], name)) for name in (BLOCKS, ORDERERS, FLAGS)]
        return Rows(*found)

    def put_rows(self, rows: Rows) -> None:
        for name, row in ((BLOCKS, rows.blocks), (ORDERERS, rows.signatures), (FLAGS, rows.flags)):
            self.files[name] = b"".join(record(each) for each in row)

    def redigest(self, **changes: object) -> None:
        """Make both manifests anew, as anybody can; `changes` are fields of the first one."""
        common = {name: content for name, content in self.files.items() if not name.startswith(SIGNATURES)}
        common.pop(MANIFEST)
        signatures = {name: content for name, content in self.files.items() if name.startswith(SIGNATURES)}
        signatures.pop(SIGNATURES_MANIFEST)
        made = {field: getattr(self.manifest, field) for field in Manifest.__struct_fields__}
        made |= {"files": file_digests(common), **changes}
        self.files[MANIFEST] = encode(Manifest(**made))
        self.files[SIGNATURES_MANIFEST] = encode(SignaturesManifest(files=file_digests(signatures)))

    def write(self, target: Path) -> Path:
        write_zip(target, self.files)
        return target


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)
