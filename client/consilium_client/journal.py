"""What a hospital has done in a study, on its own disk, so that a killed agent goes on where it stopped.

    <state>/studies/<study>/models/<digest>.npy           parameters, float64[P]
    <state>/studies/<study>/rounds/<round>/update.npy     finished integers, uint32[P]: trained once, never again
    <state>/studies/<study>/rounds/<round>/trained.json   what the training cost
    <state>/studies/<study>/rounds/<round>/failed         why the training failed; it isn't tried again
    <state>/studies/<study>/rounds/<round>/attempt-<a>/   ciphertext chunks, as anchored
    <state>/studies/<study>/rounds/<round>/upload-begun   from here on nothing of this round is encrypted again
    <state>/studies/<study>/rounds/<round>/held-<owner>/  a witnessed hospital's ciphertext chunks
    <state>/studies/<study>/rounds/<round>/sum-<publication>/  a published sum's chunks
    <state>/studies/<study>/rounds/<round>/unusable       why a verified sum gave no model; it isn't decrypted again
    <state>/studies/<study>/rounds/<round>/figures.json   times and bytes
    <state>/released/<study>/round-<round>.json           what the policy lets others see

Every file is written before the ledger hears of it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from consilium_client.errors import JournalError
from consilium_peers.durable import write_durably

Parameters = npt.NDArray[np.float64]
QuantisedUpdate = npt.NDArray[np.uint32]

_MODEL_DOMAIN = b"consilium model v1\0"


def model_digest(parameters: Parameters) -> str:
    """Return the SHA-256 that names a model: over a tag, the count and the parameters as little-endian float64."""
    raw = np.ascontiguousarray(parameters, dtype="<f8")
    return hashlib.sha256(_MODEL_DOMAIN + len(raw).to_bytes(8, "little") + raw.tobytes()).hexdigest()


class StudyJournal:
    """One study's folder in a hospital's state."""

    def __init__(self, state: Path, study: str) -> None:
        self.directory = state / "studies" / study
        self._released = state / "released" / study

    def round(self, number: int) -> RoundJournal:
        """Return the journal of one round."""
        return RoundJournal(self.directory / "rounds" / f"{number:04d}")

    def rounds(self) -> list[RoundJournal]:
        """Return the journals of all rounds this hospital acted in, oldest first."""
        return [RoundJournal(path) for path in sorted((self.directory / "rounds").glob("[0-9]*"))]

    def save_model(self, parameters: Parameters) -> str:
        """Store a model and return its digest."""
        digest = model_digest(parameters)
        write_durably(self._model(digest), _npy(np.asarray(parameters, dtype=np.float64)))
        return digest

    def load_model(self, digest: str) -> Parameters | None:
        """Return a stored model, float64[P], or None.

        Raises:
            JournalError: the file doesn't have the digest of its name.
        """
        path = self._model(digest)
        if not path.exists():
            return None
        parameters: Parameters = np.load(path, allow_pickle=False)
        if model_digest(parameters) != digest:
            raise JournalError(
                f"{path} was changed: its digest is {model_digest(parameters)}; remove it to fetch it anew"
            )
        return parameters

    def release(self, number: int, document: dict[str, Any]) -> None:
        """Write what the hospital's policy lets others see of one round."""
        write_durably(self._released / f"round-{number:04d}.json", _json(document), mode=0o644)

    def _model(self, digest: str) -> Path:
        return self.directory / "models" / f"{digest}.npy"


class RoundJournal:
    """One round's folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    # ---- training

    def save_training(self, update: QuantisedUpdate, costs: dict[str, Any]) -> None:
        """Store the finished integers, uint32[P], and then what they cost; both or, after a kill, neither counts."""
        write_durably(self.directory / "update.npy", _npy(update))
        write_durably(self.directory / "trained.json", _json(costs))

    def training(self) -> tuple[QuantisedUpdate, dict[str, Any]] | None:
        """Return the stored update and its costs, or None when this round wasn't trained to the end."""
        if not (self.directory / "trained.json").exists():
            return None
        update: QuantisedUpdate = np.load(self.directory / "update.npy", allow_pickle=False)
        return update, json.loads((self.directory / "trained.json").read_text())

    def fail_training(self, reason: str) -> None:
        """Note that this round's training failed: a second one could differ, and would be one more look at the rows."""
        write_durably(self.directory / "failed", reason.encode())

    def training_failure(self) -> str | None:
        """Return why this round's training failed, or None."""
        path = self.directory / "failed"
        return path.read_text() if path.exists() else None

    def forget_update(self) -> None:
        """Remove update and ciphertexts, witnessed ones too, of a decided round; what it cost stays."""
        (self.directory / "update.npy").unlink(missing_ok=True)
        for vectors in ("attempt-*", "held-*", "sum-*"):
            for chunk in self.directory.glob(f"{vectors}/chunk-*.bin"):
                chunk.unlink()

    # ---- ciphertexts

    def save_chunks(self, attempt: int, chunks: Iterable[bytes]) -> int:
        """Store an attempt's chunks in order, then a mark that they are complete; return how many there are."""
        if self.upload_begun():
            raise JournalError(f"{self.directory.name}: an upload has begun; this update is never encrypted again")
        return _save_vector(self._attempt(attempt), chunks)

    def chunk_paths(self, attempt: int) -> list[Path] | None:
        """Return the files of a complete attempt in tree order, or None."""
        return _vector_paths(self._attempt(attempt))

    def chunks(self, attempt: int) -> Iterator[bytes]:
        """Read a complete attempt's chunks one by one."""
        return (path.read_bytes() for path in self.chunk_paths(attempt) or [])

    def save_held(self, owner: str, chunks: Iterable[bytes]) -> None:
        """Store a witnessed vector's chunks in order."""
        _save_vector(self.directory / f"held-{owner}", chunks)

    def held(self, owner: str) -> list[Path] | None:
        """Return the files of a complete witnessed vector in tree order, or None."""
        return _vector_paths(self.directory / f"held-{owner}")

    def save_sum(self, publication: int, chunks: Iterable[bytes]) -> None:
        """Store a published sum's chunks in order."""
        _save_vector(self.directory / f"sum-{publication}", chunks)

    def sum(self, publication: int) -> list[Path] | None:
        """Return the files of a complete published sum in tree order, or None."""
        return _vector_paths(self.directory / f"sum-{publication}")

    def mark_unusable(self, reason: str) -> None:
        """Note that the verified sum gave no model, so that it isn't decrypted again."""
        write_durably(self.directory / "unusable", reason.encode())

    def unusable(self) -> str | None:
        """Return why the verified sum gave no model, or None."""
        path = self.directory / "unusable"
        return path.read_text() if path.exists() else None

    def begin_upload(self, participants: tuple[str, ...], base: str) -> None:
        """Note durably, before the first byte leaves, over which set and base model this update is uploaded."""
        write_durably(self.directory / "upload-begun", _json({"participants": participants, "base": base}))

    def upload_begun(self) -> dict[str, Any] | None:
        """Return the note of `begin_upload`, or None."""
        path = self.directory / "upload-begun"
        return json.loads(path.read_text()) if path.exists() else None

    # ---- figures

    def note(self, **figures: Any) -> None:
        """Add figures (times in seconds, sizes in bytes, lists are extended) to the round's own record."""
        held = self.figures()
        for name, value in figures.items():
            held[name] = [*held.get(name, []), *value] if isinstance(value, list) else value
        write_durably(self.directory / "figures.json", _json(held))

    def figures(self) -> dict[str, Any]:
        """Return all figures noted so far."""
        path = self.directory / "figures.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _attempt(self, attempt: int) -> Path:
        return self.directory / f"attempt-{attempt}"


def _save_vector(directory: Path, chunks: Iterable[bytes]) -> int:
    count = 0
    for count, chunk in enumerate(chunks, start=1):
        write_durably(directory / f"chunk-{count - 1:08d}.bin", chunk)
    write_durably(directory / "complete", str(count).encode())
    return count


def _vector_paths(directory: Path) -> list[Path] | None:
    """Return a vector's files, or None before all of them are there and once they were removed."""
    mark = directory / "complete"
    if not mark.exists():
        return None
    paths = sorted(directory.glob("chunk-*.bin"))
    return paths if len(paths) == int(mark.read_text()) else None


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()
