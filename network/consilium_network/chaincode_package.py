"""Chaincode packages: where a peer finds the service, and which code the service runs.

A peer identifies a package by its bytes, and a service's package holds no code; so the label carries a hash of it.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from consilium_network.builder import PACKAGE_TYPE
from consilium_network.errors import LifecycleError
from consilium_network.layout import KeyPair

_TARGET = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)\Z")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}\Z")
# What every contract runs on, besides its own package.
_ALWAYS = ("consilium_chaincode", "consilium_proto")
_HASH_DIGITS = 16
_TAKEN = ("peer", "orderer", "admin", "client", "aggregator")


@dataclass(frozen=True)
class ChaincodeSource:
    """A contract: the chaincode's name on the channel, `module:Class`, and where else Python finds the module."""

    name: str
    target: str
    python_path: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.match(self.name) or self.name in _TAKEN:
            raise LifecycleError(
                f"{self.name!r} is no chaincode name: lower-case letters, digits and dashes, but none of "
                f"{', '.join(_TAKEN)}, which name other processes"
            )
        if not _TARGET.match(self.target):
            raise LifecycleError(f"{self.target!r} names no contract: write it as module:Class")

    def label(self) -> str:
        """Return the package's label: the name and a hash of all code that can run.

        Raises:
            LifecycleError: the module can't be found.
        """
        return f"{self.name}_{code_hash(self.target.partition(':')[0], self.python_path)}"


def code_hash(module: str, python_path: Sequence[Path] = ()) -> str:
    """Return a hash of the sources of the module's whole top-level package and of what every contract runs on."""
    digest = hashlib.sha256()
    for package in sorted({module.partition(".")[0], *_ALWAYS}):
        for name, content in _sources(package, python_path):
            digest.update(f"{package}/{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:_HASH_DIGITS]


def _sources(package: str, python_path: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    for place in _locations(package, python_path):
        if place.is_file():
            yield place.name, place.read_bytes()
        for path in sorted(place.rglob("*.py")):
            yield path.relative_to(place).as_posix(), path.read_bytes()


def _locations(package: str, python_path: Sequence[Path]) -> list[Path]:
    for folder in python_path:
        for candidate in (folder / package, folder / f"{package}.py"):
            if candidate.exists():
                return [candidate]
    found = None if package in sys.builtin_module_names else importlib.util.find_spec(package)
    if found is None:
        raise LifecycleError(f"there is no Python module {package!r}: install it, or say where it lies (python_path)")
    if found.submodule_search_locations:
        return sorted(Path(place) for place in found.submodule_search_locations)
    return [Path(found.origin)] if found.origin else []


@dataclass(frozen=True)
class Package:
    """A chaincode package as `peer lifecycle chaincode package` would make it (a gzipped tar), and its id."""

    content: bytes
    package_id: str


def make_package(label: str, address: str, tls_root: Path, caller: KeyPair) -> Package:
    """Package where a service listens and how the peer authenticates there. Equal input gives equal bytes."""
    connection = {
        "address": address,
        "dial_timeout": "10s",
        "tls_required": True,
        "client_auth_required": True,
        "root_cert": tls_root.read_text(),
        "client_cert": caller.certificate.read_text(),
        "client_key": caller.private_key.read_text(),
    }
    code = _archive({"connection.json": json.dumps(connection).encode()})
    metadata = json.dumps({"type": PACKAGE_TYPE, "label": label}).encode()
    content = _archive({"metadata.json": metadata, "code.tar.gz": code})
    return Package(content, f"{label}:{hashlib.sha256(content).hexdigest()}")


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
