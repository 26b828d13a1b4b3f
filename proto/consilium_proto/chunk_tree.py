"""The Merkle tree over a vector's chunks, whose root the ledger holds before anything is uploaded.

Hashing follows RFC 6962: 0x00 in front of leaves, 0x01 in front of nodes, no duplicated last leaf. On top of it a
leaf binds the vector it belongs to and its index, and the root binds the vector and the number of leaves, so that a
root copied from somebody else, or from another round, attempt or epoch, can't be filled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from consilium_proto.errors import TreeMismatchError, WireError
from consilium_proto.parameter_sets import MAX_CHUNKS

DIGEST_SIZE = 32
_LEAF, _NODE, _ROOT = b"\x00", b"\x01", b"\x02"


def encode_fields(*fields: str | int | bytes) -> bytes:
    """Join fields so that no two different sequences give the same bytes.

    Every field carries a letter for its type and its length (4 bytes, big-endian); numbers are 8 bytes, big-endian.

    Raises:
        WireError: a number that isn't within 0 … 2^64 − 1.
    """
    parts = bytearray()
    for field in fields:
        if isinstance(field, int):
            if not 0 <= field < 1 << 64:
                raise WireError(f"{field} isn't a number of 64 bits")
            kind, content = b"n", field.to_bytes(8, "big")
        elif isinstance(field, str):
            kind, content = b"t", field.encode()
        else:
            kind, content = b"b", bytes(field)
        parts += kind + len(content).to_bytes(4, "big") + content
    return bytes(parts)


@dataclass(frozen=True, slots=True)
class VectorContext:
    """Whose vector it is, and where: everything a chunk or a mask must be bound to.

    `owner` is an MSP id: the hospital of an update ("update") or the aggregator of a sum ("sum"), as `label` says.
    """

    channel: str
    study: str
    epoch: int
    round: int
    attempt: int
    owner: str
    label: str

    def encode(self) -> bytes:
        """Return the context's unambiguous bytes.

        Raises:
            WireError: an empty name or a number below zero.
        """
        for field in ("channel", "study", "owner", "label"):
            if not getattr(self, field):
                raise WireError(f"the vector's {field} is empty")
        return encode_fields(
            "consilium/vector/1",
            self.channel,
            self.study,
            self.epoch,
            self.round,
            self.attempt,
            self.owner,
            self.label,
        )


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Shows that a chunk is the `index`-th of `count` under a root: the siblings on its way up, lowest first."""

    index: int
    count: int
    path: tuple[bytes, ...]


def chunk_digest(content: bytes | memoryview) -> bytes:
    """Return the 32-byte SHA-256 by which a chunk is named."""
    return hashlib.sha256(content).digest()


def tree_root(context: VectorContext, digests: Iterable[bytes]) -> str:
    """Return the root (lower-case hex) over the digests of a vector's chunks, in order, in logarithmic memory.

    Raises:
        WireError: no digest at all, too many, or one that isn't 32 bytes.
    """
    # Complete subtrees from left to right, with their heights; equal heights merge at once, as in a binary counter.
    subtrees: list[tuple[int, bytes]] = []
    count = 0
    for leaf in _leaves(context.encode(), digests):
        height, node = 0, leaf
        while subtrees and subtrees[-1][0] == height:
            height, node = height + 1, _join(subtrees.pop()[1], node)
        subtrees.append((height, node))
        count += 1
    if not subtrees:
        raise WireError("a vector has at least one chunk")
    top = subtrees.pop()[1]
    while subtrees:
        top = _join(subtrees.pop()[1], top)
    return _bind(context.encode(), count, top).hex()


def inclusion_proof(context: VectorContext, digests: Sequence[bytes], index: int) -> InclusionProof:
    """Return the proof for the chunk at `index` among all `digests`.

    Raises:
        WireError: no chunk of that index, or a malformed digest.
    """
    if not 0 <= index < len(digests):
        raise WireError(f"there is no chunk {index} among {len(digests)}")
    level = list(_leaves(context.encode(), digests))
    path: list[bytes] = []
    position = index
    # Level by level; a node without a partner moves up unchanged, which gives RFC 6962's tree.
    while len(level) > 1:
        if position ^ 1 < len(level):
            path.append(level[position ^ 1])
        paired = [_join(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(level) & ~1 :]
        position >>= 1
    return InclusionProof(index, len(digests), tuple(path))


def check_inclusion(root: str, context: VectorContext, digest: bytes, proof: InclusionProof) -> None:
    """Check that the chunk of this digest is where the proof says, under the root (hex).

    Raises:
        TreeMismatchError: it isn't, or the proof's length doesn't fit its index and count.
        WireError: a malformed digest or context.
    """
    if not 0 <= proof.index < proof.count <= MAX_CHUNKS:
        raise TreeMismatchError(f"the proof is for chunk {proof.index} of {proof.count}, which can't be")
    node = _leaf(context.encode(), proof.index, digest)
    position, width, siblings = proof.index, proof.count, iter(proof.path)
    while width > 1:
        if position ^ 1 < width:
            sibling = next(siblings, None)
            if sibling is None:
                raise TreeMismatchError(f"the proof of chunk {proof.index} is too short: {len(proof.path)} hashes")
            node = _join(sibling, node) if position & 1 else _join(node, sibling)
        position, width = position >> 1, (width + 1) >> 1
    if next(siblings, None) is not None:
        raise TreeMismatchError(f"the proof of chunk {proof.index} is too long: {len(proof.path)} hashes")
    if _bind(context.encode(), proof.count, node).hex() != root:
        raise TreeMismatchError(f"chunk {proof.index} of {context.owner}'s {context.label} isn't under root {root}")


def check_root(root: str, context: VectorContext, digests: Iterable[bytes]) -> None:
    """Check that these digests, in this order and number, are what the root (hex) stands for.

    Raises:
        TreeMismatchError: they aren't.
        WireError: no digest, too many, or a malformed one.
    """
    found = tree_root(context, digests)
    if found != root:
        raise TreeMismatchError(
            f"the chunks of {context.owner}'s {context.label} in round {context.round} give root {found}, not {root}"
        )


def _leaves(context: bytes, digests: Iterable[bytes]) -> Iterator[bytes]:
    for index, digest in enumerate(digests):
        if index >= MAX_CHUNKS:
            raise WireError(f"a vector has at most {MAX_CHUNKS} chunks")
        yield _leaf(context, index, digest)


def _leaf(context: bytes, index: int, digest: bytes) -> bytes:
    if len(digest) != DIGEST_SIZE:
        raise WireError(f"the digest of chunk {index} has {len(digest)} bytes, not {DIGEST_SIZE}")
    return hashlib.sha256(_LEAF + encode_fields(context, index, digest)).digest()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _bind(context: bytes, count: int, top: bytes) -> bytes:
    return hashlib.sha256(_ROOT + encode_fields(context, count, top)).digest()
