"""Fuzz the verifier's parsers with atheris: whatever the bytes, nothing but a `TrailError` may come out.

    python scripts/fuzz_trail.py tests/peers/trail/format-1 --seconds 600

Starts from a good trail's parts. A crash ends the run, and its bytes lie in a file `crash-…` in the working folder.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["consilium_trail", "fuzz_targets"]):
    from fuzz_targets import LONGEST, TARGETS, run_target, seeds

NAMES = sorted(TARGETS)


def one(data: bytes) -> None:
    """Give one input to the target that its first byte chooses."""
    if data:
        run_target(NAMES[data[0] % len(NAMES)], data[1:])


def main() -> None:
    """Fuzz until the time is over, or something but a `TrailError` comes out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder with a good trail and roots.pem")
    parser.add_argument("--seconds", type=int, default=600, help="how long")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-trail-") as corpus:
        for name, content in seeds(given.folder):
            whole = bytes([NAMES.index(name)]) + content
            (Path(corpus) / hashlib.sha256(whole).hexdigest()).write_bytes(whole)
        options = [f"-max_total_time={given.seconds}", f"-max_len={LONGEST * 16}", "-timeout=60", "-rss_limit_mb=4096"]
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
