"""The vectors an aggregator knows of: their manifests on disk, so that a restart goes on where it was.

<state>/vectors/<study>/<round>/<attempt>/<owner>     32-byte digests in tree order
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from consilium_aggregator.errors import RefusedError
from consilium_aggregator.store import DIGEST_BYTES
from consilium_peers.durable import write_durably


@dataclass(frozen=True)
class VectorName:
    """Whose vector it is, in which study, round and attempt. Parts are checked against the ledger before use."""

    study: str
    round: int
    attempt: int
    owner: str


class Manifests:
    """The manifests of all vectors that were accepted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[VectorName, tuple[bytes, ...]] = {}

    def save(self, name: VectorName, digests: tuple[bytes, ...]) -> None:
        """Store a manifest durably; an anchored vector has one manifest only, since its root binds it."""
        if self.find(name) == digests:
            return
        write_durably(self._path(name), b"".join(digests))
        self._known[name] = digests

    def find(self, name: VectorName) -> tuple[bytes, ...] | None:
        """Return a vector's digests, None when it was never announced."""
        if name not in self._known:
            path = self._path(name)
            if not path.exists():
                return None
            raw = path.read_bytes()
            self._known[name] = tuple(raw[at : at + DIGEST_BYTES] for at in range(0, len(raw), DIGEST_BYTES))
        return self._known[name]

    def forget(self, name: VectorName) -> None:
        """Drop a vector's manifest."""
        self._known.pop(name, None)
        self._path(name).unlink(missing_ok=True)

    def of_round(self, study: str, round_number: int) -> list[VectorName]:
        """Return all vectors of a round, sums included."""
        paths = (self._directory / study / str(round_number)).glob("*/[!.]*")
        return [VectorName(study, round_number, int(path.parent.name), path.name) for path in sorted(paths)]

    def all(self) -> list[VectorName]:
        """Return all vectors, sums included."""
        rounds = sorted(self._directory.glob("*/[0-9]*"))
        return [name for path in rounds for name in self.of_round(path.parent.name, int(path.name))]

    def _path(self, name: VectorName) -> Path:
        path = self._directory / name.study / str(name.round) / str(name.attempt) / name.owner
        if self._directory not in path.parents or ".." in path.parts:
            raise RefusedError(f"{name} isn't the name of a vector")
        return path
