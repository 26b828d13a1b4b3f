"""Step 11, for whoever kept them: ciphertexts are what the hospitals anchored and the aggregators published.

A folder of artifacts is an aggregator's store: `manifests/STUDY/ROUND/ATTEMPT-LABEL-OWNER` has the digests of a
vector's chunks in order, 32 bytes each, and `content/STUDY/ROUND/updates|sums/DIGEST` the chunks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from consilium_proto.canonical import decode
from consilium_proto.chunk_tree import DIGEST_SIZE, VectorContext, check_root
from consilium_proto.errors import WireError
from consilium_proto.records import Anchor, Publication
from consilium_trail.blocks.transactions import Invocation
from consilium_trail.errors import ArchiveError
from consilium_trail.verification.findings import Place, Step, UnsoundError

_NAME = re.compile(r"(\d{1,9})-(update|sum)-([A-Za-z][A-Za-z0-9.-]*)")
_FOLDERS = {"update": "updates", "sum": "sums"}
_PIECE = 1 << 20

Vector = tuple[int, int, str, str]
"""Round, attempt, label (update or sum), owner."""


@dataclass(frozen=True, slots=True)
class CheckedArtifacts:
    """How many vectors' roots and chunks were checked, and how many chunks weren't there."""

    vectors: int
    chunks: int
    absent_chunks: int


class ArtifactCheck:
    """Notes the roots of one study, and compares artifacts with them."""

    def __init__(self, channel: str, study: str) -> None:
        self._channel = channel
        self._study = study
        self._roots: dict[Vector, str] = {}

    def note(self, author: str, call: Invocation) -> None:
        """Note the root that a valid transaction of the federation anchors or publishes."""
        if call.function not in ("Anchor", "Publish") or len(call.arguments) != 1:
            return
        try:
            if call.function == "Anchor":
                anchor = decode(Anchor, call.arguments[0])
                if anchor.study == self._study:
                    self._roots[anchor.round, anchor.attempt, "update", author] = anchor.root
            else:
                published = decode(Publication, call.arguments[0])
                if published.study == self._study:
                    self._roots[published.round, published.attempt, "sum", author] = published.root
        except WireError:
            return

    def check(self, folder: Path, epochs: dict[int, int]) -> CheckedArtifacts:
        """Compare every vector of the study in a folder with its root; `epochs` are the rounds' key epochs.

        Raises:
            UnsoundError: the digests don't give the root, or a chunk isn't what its name says.
            ArchiveError: the folder can't be read, or has none of the study's vectors.
        """
        vectors = chunks = absent = 0
        try:
            for place in sorted((folder / "manifests" / self._study).glob("*/*")):
                match = _NAME.fullmatch(place.name)
                if match is None or not place.parent.name.isdecimal():
                    continue
                vector = (int(place.parent.name), int(match[1]), match[2], match[3])
                digests = self._check_vector(place, vector, epochs)
                here, missing = self._check_chunks(folder, vector, digests)
                vectors, chunks, absent = vectors + 1, chunks + here, absent + missing
        except OSError as error:
            raise ArchiveError(f"the artifacts in {folder} can't be read: {error.strerror}") from None
        if not vectors:
            raise ArchiveError(f"{folder} holds no vectors of study {self._study}; name an aggregator's store")
        return CheckedArtifacts(vectors, chunks, absent)

    def _check_vector(self, place: Path, vector: Vector, epochs: dict[int, int]) -> list[bytes]:
        number, attempt, label, owner = vector
        where = Place(file=str(place))
        root, epoch = self._roots.get(vector), epochs.get(number)
        if root is None or epoch is None:
            raise UnsoundError(Step.ARTIFACTS, where, f"the ledger has no root of {owner}'s {label} in round {number}")
        raw = place.read_bytes()
        digests = [raw[start : start + DIGEST_SIZE] for start in range(0, len(raw), DIGEST_SIZE)]
        context = VectorContext(self._channel, self._study, epoch, number, attempt, owner, label)
        try:
            check_root(root, context, digests)
        except WireError as error:
            raise UnsoundError(Step.ARTIFACTS, where, str(error)) from None
        return digests

    def _check_chunks(self, folder: Path, vector: Vector, digests: list[bytes]) -> tuple[int, int]:
        here = 0
        place = folder / "content" / self._study / str(vector[0]) / _FOLDERS[vector[2]]
        for digest in digests:
            chunk = place / digest.hex()
            if not chunk.exists():
                continue
            if _digest_of(chunk) != digest:
                raise UnsoundError(Step.ARTIFACTS, Place(file=str(chunk)), "the chunk isn't the one that was anchored")
            here += 1
        return here, len(digests) - here


def _digest_of(path: Path) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            digest.update(piece)
    return digest.digest()
