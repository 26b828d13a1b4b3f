"""One chunk decides: what chaincode itself checks of a ciphertext. Needs numpy, not TenSEAL.

Whoever shows a chunk need not be trusted, nor asked for a vote: the chunk must lie under the anchored or published
root, and what it says is computed here. A hospital's chunk is 32 KB, a sum's 64 KB.
"""

from __future__ import annotations

import numpy as np

from consilium_chaincode.federation.errors import Refused
from consilium_proto.chunk_tree import InclusionProof, VectorContext, check_inclusion, chunk_digest
from consilium_proto.chunks import LARGEST_CHUNK, decode_sum, decode_update
from consilium_proto.errors import ChunkError, WireError
from consilium_proto.fingerprint import Challenge, to_record
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.records import FingerprintValue, ProofNote, ProvedChunk
from consilium_proto.refusals import RefusalCode
from consilium_proto.seed_expansion import expand_seed


def check_place(root: str, context: VectorContext, count: int, chunk: ProvedChunk) -> bytes:
    """Return a shown chunk's content once it is found to be where it says under the root.

    Raises:
        Refused: CONFLICTING when it isn't: a chunk of another vector, round, attempt or place proves nothing.
    """
    content = bytes.fromhex(chunk.content)
    proof = InclusionProof(chunk.index, count, tuple(bytes.fromhex(step) for step in chunk.path))
    try:
        check_inclusion(root, context, chunk_digest(content), proof)
    except WireError as error:
        raise Refused(RefusalCode.CONFLICTING, str(error)) from None
    return content


def chunk_fingerprint(
    challenge: str, parameter_set: ParameterSet, context: VectorContext, count: int, index: int, content: bytes
) -> FingerprintValue:
    """Return a chunk's share in its vector's fingerprint.

    Raises:
        Refused: CONFLICTING for a chunk that is malformed: that is shown with ProveMalformed.
    """
    try:
        words = _both_polynomials(parameter_set, context, content)
    except ChunkError as error:
        raise Refused(RefusalCode.CONFLICTING, f"the chunk is malformed, show it as such: {error}") from None
    return to_record(Challenge(challenge, parameter_set, count).chunk_values(words, index)[0])


def check_malformed(parameter_set: ParameterSet, context: VectorContext, content: bytes) -> None:
    """Refuse a chunk that is well-formed, or so long that no honest party would have fetched it.

    Raises:
        Refused: CONFLICTING.
    """
    if len(content) > LARGEST_CHUNK:
        raise Refused(RefusalCode.CONFLICTING, f"{len(content)} bytes; at most {LARGEST_CHUNK} are looked at")
    try:
        _decode(parameter_set, context, content)
    except ChunkError:
        return
    raise Refused(RefusalCode.CONFLICTING, "the chunk is well-formed: it proves nothing against anybody")


def note_of(shown_by: str, chunk: ProvedChunk) -> ProofNote:
    """Return what the ledger keeps of a shown chunk."""
    return ProofNote(shown_by=shown_by, index=chunk.index, digest=chunk_digest(bytes.fromhex(chunk.content)).hex())


def _both_polynomials(parameter_set: ParameterSet, context: VectorContext, content: bytes) -> np.ndarray:
    if context.label == "sum":
        return decode_sum(parameter_set, context.epoch, content).reshape(1, -1)
    chunk = decode_update(parameter_set, context.epoch, content)
    second = expand_seed(chunk.seed, parameter_set.degree, parameter_set.modulus)
    return np.concatenate([chunk.words, second]).reshape(1, -1)


def _decode(parameter_set: ParameterSet, context: VectorContext, content: bytes) -> object:
    decode = decode_sum if context.label == "sum" else decode_update
    return decode(parameter_set, context.epoch, content)
