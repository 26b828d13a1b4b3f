"""The external builder: how a peer accepts a chaincode that runs as a service of its own, without Docker.

A peer calls `detect`, `build` and `release` for an installed package (Fabric documentation, "External Builders and
Launchers"). Without a `run` program it connects to the address in the package's connection.json.
"""

from __future__ import annotations

from pathlib import Path

from consilium_peers.durable import write_atomically

PACKAGE_TYPE = "consilium-service"

_DETECT = f"""#!/bin/sh
# detect SOURCE METADATA: accept packages of our own type only.
grep -q '"type"[[:space:]]*:[[:space:]]*"{PACKAGE_TYPE}"' "$2/metadata.json"
"""
_BUILD = """#!/bin/sh
# build SOURCE METADATA OUTPUT: nothing to compile; keep where the service listens.
set -e
cp "$1/connection.json" "$3/"
if [ -d "$1/META-INF" ]; then cp -r "$1/META-INF" "$3/"; fi
"""
_RELEASE = """#!/bin/sh
# release OUTPUT RELEASE: hand the connection to the peer.
set -e
mkdir -p "$2/chaincode/server"
cp "$1/connection.json" "$2/chaincode/server/connection.json"
"""


def write_builder(place: Path) -> None:
    """Write the builder's three programs to `place`/bin."""
    for name, text in (("detect", _DETECT), ("build", _BUILD), ("release", _RELEASE)):
        write_atomically(place / "bin" / name, text.encode(), mode=0o755)
