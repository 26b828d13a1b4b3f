"""How much memory an aggregator's sum takes at its peak, for rounds of few and of many clients."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from consilium_aggregator.round_sum import BATCH_POSITIONS
from consilium_aggregator.store.content import Area, Kind
from consilium_aggregator.store.files import FileStore
from consilium_aggregator.summation import add_chunks
from consilium_bench.child import answer, arguments_of, say
from consilium_bench.our_side import EPOCH
from consilium_proto.chunks import SEED_SIZE, encode_update
from consilium_proto.parameter_sets import ParameterSet

# No study uses this set: its one field is so wide, and its q so large, that it is exact for a hundred hospitals. Its
# chunks have the size that all sets' chunks have.
WIDE_SET = ParameterSet(
    name="bench4096-q60",
    degree=4096,
    modulus=1_152_921_504_606_830_593,
    plain_bits=47,
    bits=12,
    fields=1,
    field_base=1 << 24,
    max_hospitals=128,
    security_bits=192,
    seal_version=(4, 3),
)


def measure(clients: int, positions: int) -> dict[str, Any]:
    """Add `clients` chunks at each position as an aggregator does, out of its store; return the peak in bytes.

    The chunks are drawn, one for each position; every client is taken to have sent that one.
    """
    say(f"aggregator's memory: {clients} clients")
    updates, sums = (Area("bench", 1, kind) for kind in (Kind.UPDATES, Kind.SUMS))
    with tempfile.TemporaryDirectory() as folder:
        store = FileStore(Path(folder))
        digests = [store.put(updates, [chunk])[0] for chunk in _drawn(positions)]
        start = resident_bytes("VmRSS")
        for first in range(0, positions, BATCH_POSITIONS):
            added = [
                add_chunks(WIDE_SET, EPOCH, (store.get(updates, digest) for _ in range(clients)))
                for digest in digests[first : first + BATCH_POSITIONS]
            ]
            store.put(sums, added)
    return {"clients": clients, "positions": positions, "peak_bytes": resident_bytes("VmHWM"), "start_bytes": start}


def resident_bytes(field: str) -> int:
    """Return this process's resident memory now ("VmRSS") or at its peak ("VmHWM")."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the kernel doesn't tell {field}")


def _drawn(positions: int) -> Iterator[bytes]:
    generator = np.random.default_rng(positions)
    for _ in range(positions):
        words = generator.integers(0, WIDE_SET.modulus, WIDE_SET.degree, dtype=np.uint64)
        yield encode_update(WIDE_SET, EPOCH, words, os.urandom(SEED_SIZE))


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    answer(measure(given["clients"], given["positions"]))


if __name__ == "__main__":
    main()
