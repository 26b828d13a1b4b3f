"""The one form of zip that a trail has: entries stored, in the order of their names, all fields fixed, no gaps.

A reader that accepts exactly what the writer writes has nothing to fear: no entry inflates, overlaps another, hides
behind another or names a place outside. Any zip program can read such a file.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from consilium_trail.errors import ArchiveError, ExportError

PIECE = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*")
_LONGEST_NAME = 200
_LARGEST = 2**32 - 1
_MOST_ENTRIES = 2**16 - 2

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION = 20
_UNIX = 3 << 8 | _VERSION
_TIME, _DATE = 0, 0x21  # 1980-01-01, the first moment that a zip can name
_MODE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in the archive: its place there, its size in bytes and the CRC-32 that zip programs want."""

    name: str
    offset: int
    size: int
    crc: int

    def local_header(self) -> bytes:
        """Return the header in front of the content."""
        sizes = (self.crc, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(b"PK\3\4", _VERSION, 0, 0, _TIME, _DATE, *sizes) + self.name.encode()

    def central_header(self) -> bytes:
        """Return the entry in the directory at the archive's end."""
        sizes = (self.crc, self.size, self.size, len(self.name), 0, 0, 0, 0, _MODE, self.offset)
        return _CENTRAL.pack(b"PK\1\2", _UNIX, _VERSION, 0, 0, _TIME, _DATE, *sizes) + self.name.encode()

    @property
    def start(self) -> int:
        """Where the content begins."""
        return self.offset + _LOCAL.size + len(self.name)


def write_zip(target: Path, files: Mapping[str, bytes | Path]) -> None:
    """Write files by their names; what is given as a path is copied from there.

    Raises:
        ExportError: a name that the format doesn't allow, or more than a zip without extensions holds (4 GiB).
        OSError: the disk refuses.
    """
    with target.open("wb") as out:
        entries = [_write_entry(out, name, files[name]) for name in sorted(files)]
        offset = out.tell()
        for entry in entries:
            out.write(entry.central_header())
        size = out.tell() - offset
        if out.tell() + _END.size > _LARGEST or len(entries) > _MOST_ENTRIES:
            raise ExportError("the trail is larger than 4 GiB, more than this format holds; export fewer rounds")
        out.write(_END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), size, offset, 0))


def _write_entry(out: BinaryIO, name: str, content: bytes | Path) -> Entry:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ExportError(f"{name!r} can't be a file's name in a trail: lower-case letters, digits, dots and dashes")
    offset, size, crc = out.tell(), 0, 0
    for piece in _pieces(content):
        size, crc = size + len(piece), zlib.crc32(piece, crc)
    if offset + size > _LARGEST:
        raise ExportError("the trail is larger than 4 GiB, more than this format holds; export fewer rounds")
    entry = Entry(name, offset, size, crc)
    out.write(entry.local_header())
    for piece in _pieces(content):
        out.write(piece)
    return entry


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece


class ZipReader:
    """Reads an archive that `write_zip` could have written; refuses any other. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open an archive and read its directory.

        Raises:
            ArchiveError: it isn't one.
        """
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise ArchiveError(f"{path} can't be read: {error.strerror}") from None
        try:
            self.entries = {entry.name: entry for entry in self._directory()}
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> ZipReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, name: str, limit: int) -> bytes:
        """Return a whole file of at most `limit` bytes.

        Raises:
            ArchiveError: it isn't there, or is larger.
        """
        entry = self.entry(name)
        if entry.size > limit:
            raise ArchiveError(f"{name} has {entry.size} bytes; at most {limit} can be read")
        return b"".join(self.pieces(name))

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a file's content piece by piece; at most a MiB of it is in memory.

        Raises:
            ArchiveError: it isn't there.
        """
        entry = self.entry(name)
        position, end = entry.start, entry.start + entry.size
        while position < end:
            piece = self._at(position, min(PIECE, end - position))
            position += len(piece)
            yield piece

    def entry(self, name: str) -> Entry:
        """Return a file's entry.

        Raises:
            ArchiveError: it isn't there.
        """
        if name not in self.entries:
            raise ArchiveError(f"the archive has no {name}")
        return self.entries[name]

    def _directory(self) -> Iterator[Entry]:
        size = os.fstat(self._file.fileno()).st_size
        if size < _END.size:
            raise ArchiveError(f"{size} bytes are no archive")
        mark, disk, first, here, count, length, offset, comment = _END.unpack(self._at(size - _END.size, _END.size))
        if mark != b"PK\5\6" or disk or first or comment or here != count:
            raise ArchiveError("the archive doesn't end as a trail's does: it is truncated, or no zip")
        if offset + length + _END.size != size:
            raise ArchiveError("the archive's directory isn't where its end says: it is truncated or was added to")
        position, last = 0, ""
        directory = self._at(offset, length)
        for _ in range(count):
            entry, directory = _next_entry(directory, position)
            if entry.name <= last:
                raise ArchiveError(f"{entry.name} is in the archive twice, or not in the order of the names")
            if self._at(entry.offset, entry.start - entry.offset) != entry.local_header():
                raise ArchiveError(f"the two headers of {entry.name} contradict each other")
            position, last = entry.start + entry.size, entry.name
            if position > offset:
                raise ArchiveError(f"{entry.name} says it has {entry.size} bytes, more than the archive")
            yield entry
        if directory or position != offset:
            raise ArchiveError("the archive holds bytes that belong to no file")

    def _at(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        found = self._file.read(length)
        if len(found) != length:
            raise ArchiveError("the archive is truncated")
        return found


def _next_entry(directory: bytes, position: int) -> tuple[Entry, bytes]:
    """Return the directory's first entry, which must begin at `position`, and the rest of the directory."""
    if len(directory) < _CENTRAL.size:
        raise ArchiveError("the archive's directory is truncated")
    fields = _CENTRAL.unpack_from(directory)
    crc, packed, size, length, offset = fields[7], fields[8], fields[9], fields[10], fields[16]
    try:
        name = directory[_CENTRAL.size : _CENTRAL.size + length].decode("ascii")
    except UnicodeDecodeError:
        raise ArchiveError("a name in the archive isn't ASCII") from None
    if not _NAME.fullmatch(name) or length > _LONGEST_NAME:
        raise ArchiveError(f"{name!r} can't be a file's name in a trail: it could lead out of it")
    if fields[4] or packed != size:
        raise ArchiveError(f"{name} is compressed; files in a trail are stored as they are")
    entry = Entry(name, offset, size, crc)
    if offset != position:
        raise ArchiveError(f"{name} doesn't begin where the file before it ends")
    expected = entry.central_header()
    if not directory.startswith(expected):
        raise ArchiveError(f"the header of {name} isn't as a trail's: time, permissions and the like are fixed")
    return entry, directory[len(expected) :]
