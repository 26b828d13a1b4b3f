"""Regenerate consilium_proto/generated from proto/consilium/v1/*.proto.

python scripts/generate_protocol.py            rewrite the modules
python scripts/generate_protocol.py --check    exit 1 when they differ from what would be written
"""

from __future__ import annotations

import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent.parent / "proto"
SOURCES = PROTO / "consilium" / "v1"
# The virtual path makes generated modules import each other as consilium_proto.generated.*
PACKAGE = "consilium_proto/generated"


def generate(target: Path) -> list[Path]:
    """Write the modules below `target` and return their paths relative to it."""
    names = [f"{PACKAGE}/{source.name}" for source in sorted(SOURCES.glob("*.proto"))]
    flags = [f"--{kind}_out={target}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", f"-I{PACKAGE}={SOURCES}", *flags, *names]) != 0:
        raise SystemExit("protoc failed; its message is above")
    return sorted(path.relative_to(target) for path in (target / PACKAGE).glob("*_pb2*"))


def main() -> None:
    """Write the modules, or compare them when `--check` is given."""
    if sys.argv[1:] != ["--check"]:
        generate(PROTO)
        return
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(Path(scratch))
        differing = [path for path in fresh if not (PROTO / path).exists()] or [
            path for path in fresh if not filecmp.cmp(Path(scratch) / path, PROTO / path, shallow=False)
        ]
    if differing:
        raise SystemExit(
            f"generated modules differ, run scripts/generate_protocol.py: {', '.join(map(str, differing))}"
        )


if __name__ == "__main__":
    main()
