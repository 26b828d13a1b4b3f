"""Looks for thousands of byte strings in hundreds of megabytes: a table of their first eight bytes sorts places out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 22
PREFIX = 8
_TABLE_BITS = 24
# An odd multiplier: its product's upper bits mix all eight bytes (Knuth, The Art of Computer Programming, 6.4).
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


class ByteSearch:
    """A search for any of some byte strings of at least eight bytes each."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        assert min(map(len, wanted)) >= PREFIX
        self._longest = max(map(len, wanted))
        self._beginning: dict[bytes, list[bytes]] = defaultdict(list)
        for code in wanted:
            self._beginning[code[:PREFIX]].append(code)
        self._table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._table[_hashed(np.frombuffer(b"".join(self._beginning), dtype="<u8"))] = True

    def first_in(self, path: Path) -> bytes | None:
        """Return one of the byte strings that is in a file, also across the pieces in which it is read; or None.

        A running peer's databases rewrite their files: what was in one that is gone is in the block files too.
        """
        try:
            opened = path.open("rb")
        except FileNotFoundError:
            return None
        with opened as file:
            rest = b""
            while piece := file.read(CHUNK):
                found = self._first_in(rest + piece)
                if found is not None:
                    return found
                rest = piece[-self._longest :]
        return None

    def _first_in(self, text: bytes) -> bytes | None:
        for offset in range(min(PREFIX, len(text))):
            words = np.frombuffer(text, dtype="<u8", count=max(0, len(text) - offset) // PREFIX, offset=offset)
            for place in np.flatnonzero(self._table[_hashed(words)]):
                start = offset + PREFIX * int(place)
                for code in self._beginning.get(text[start : start + PREFIX], ()):
                    if text.startswith(code, start):
                        return code
        return None


def _hashed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * _MULTIPLIER) >> np.uint64(64 - _TABLE_BITS)
