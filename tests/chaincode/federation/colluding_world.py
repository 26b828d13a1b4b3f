"""Real, small ciphertext vectors, honest hospitals that act on them, and colluders' ways to lie about them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from federation_ledger import FederationLedger
from federation_world import AGGREGATORS, CHUNKS, HOSPITALS, PARAMETER_SET, STUDY, chain
from msgspec.structs import replace
from numpy.typing import NDArray

from consilium_client.disputes import current_fingerprints, others_lists, to_list
from consilium_proto.canonical import Record
from consilium_proto.chunk_tree import VectorContext, chunk_digest, inclusion_proof, tree_root
from consilium_proto.chunks import encode_sum, encode_update
from consilium_proto.fingerprint import Challenge, Value, add, from_record, to_record
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import (
    Anchor,
    Attestation,
    Disproof,
    Fingerprint,
    FingerprintValue,
    Held,
    Join,
    Listing,
    ProvedChunk,
    Publication,
    Reveal,
    Round,
    RoundPhase,
    RoundView,
    WitnessedFingerprint,
)
from consilium_proto.seed_expansion import expand_seed
from consilium_proto.witnesses import witnessed_by

SET = parameter_set(PARAMETER_SET)
LIAR, HONEST_AGGREGATOR = AGGREGATORS
Words = NDArray[np.uint64]
Write = tuple[str, Record, str]


@functools.cache
def words_of(hospital: str) -> Words:
    """Both polynomials of a hospital's chunks, uint64[CHUNKS, 2N]."""
    generator = np.random.default_rng(HOSPITALS.index(hospital))
    first = generator.integers(0, SET.modulus, (CHUNKS, SET.degree), dtype=np.uint64)
    second = np.stack([expand_seed(_seed(hospital, place), SET.degree, SET.modulus) for place in range(CHUNKS)])
    return np.concatenate([first, second], axis=1)


@functools.cache
def chunks_of(hospital: str) -> tuple[bytes, ...]:
    """A hospital's chunks as it anchors them."""
    words = words_of(hospital)
    return tuple(
        encode_update(SET, 1, words[place, : SET.degree].copy(), _seed(hospital, place)) for place in range(CHUNKS)
    )


def _seed(hospital: str, place: int) -> bytes:
    return hashlib.sha512(f"{hospital}/{place}".encode()).digest()


@functools.cache
def sum_of(hospitals: tuple[str, ...], shift: int = 0) -> tuple[bytes, ...]:
    """The chunks of a sum over some hospitals, with a number added to one word of the first."""
    total = np.zeros_like(words_of(HOSPITALS[0]))
    for hospital in hospitals:
        total = (total + words_of(hospital)) % np.uint64(SET.modulus)
    total[0, 5] = (int(total[0, 5]) + shift) % SET.modulus
    return tuple(encode_sum(SET, 1, row.reshape(2, -1)) for row in total)


@functools.lru_cache(maxsize=512)
def values_of(challenge: str, chunks: tuple[bytes, ...], kind: str) -> tuple[Value, ...]:
    """What each chunk of a vector adds to its fingerprint."""
    opened = Challenge(challenge, SET, CHUNKS)
    words = [np.frombuffer(chunk[64:], "<u8") for chunk in chunks]
    if kind == "update":
        owner = next(name for name in HOSPITALS if chunks_of(name) == chunks)
        words = list(words_of(owner))
    return tuple(opened.chunk_values(np.stack(words).astype(np.uint64), 0))


@dataclass
class Cast:
    """Who lies in a round, and what the liar's aggregator has published; `withheld` can't fetch that sum."""

    channel: FederationLedger
    colluders: frozenset[str]
    max_colluding: int
    false_sum: tuple[bytes, ...] | None = None
    withheld: frozenset[str] = frozenset()

    @property
    def honest(self) -> list[str]:
        return [name for name in HOSPITALS if name not in self.colluders]

    def context(self, owner: str, state: Round, label: str = "update") -> VectorContext:
        return VectorContext("memory", STUDY, 1, state.round, state.attempt, owner, label)

    def vector(self, name: str, state: Round) -> tuple[tuple[bytes, ...], str]:
        """Return a vector's chunks and kind."""
        if name in HOSPITALS:
            return chunks_of(name), "update"
        if name == LIAR and self.false_sum is not None:
            return self.false_sum, "sum"
        return sum_of(state.participants), "sum"

    def values(self, name: str, state: Round) -> tuple[Value, ...]:
        assert state.challenge is not None
        return values_of(state.challenge, *self.vector(name, state))

    def value(self, name: str, state: Round) -> FingerprintValue:
        return to_record(add(self.values(name, state), SET))

    def publication(self, aggregator: str, state: Round) -> Publication:
        chunks, _ = self.vector(aggregator, state)
        root = tree_root(self.context(aggregator, state, "sum"), map(chunk_digest, chunks))
        return Publication(study=STUDY, round=state.round, attempt=state.attempt, root=root, chunks=CHUNKS)

    def fingerprint(self, name: str, state: Round, *, with_sum: bool = True) -> Fingerprint:
        """What a hospital truly computes."""
        assert state.publisher is not None
        owners = witnessed_by(state.participants, name, self.max_colluding)
        return Fingerprint(
            study=STUDY,
            round=state.round,
            publication=state.publication,
            own=self.value(name, state),
            witnessed=tuple(WitnessedFingerprint(owner=one, value=self.value(one, state)) for one in owners),
            sum=self.value(state.publisher, state) if with_sum else None,
        )

    def listing(self, vector: str, state: Round) -> Listing:
        values = tuple(map(to_record, self.values(vector, state)))
        return Listing(study=STUDY, round=state.round, publication=state.publication, vector=vector, values=values)

    def disproof(self, author: str, vector: str, state: Round, index: int) -> Disproof:
        chunks, kind = self.vector(vector, state)
        proof = inclusion_proof(self.context(vector, state, kind), [chunk_digest(one) for one in chunks], index)
        shown = ProvedChunk(index=index, content=chunks[index].hex(), path=tuple(step.hex() for step in proof.path))
        return Disproof(
            study=STUDY, round=state.round, publication=state.publication, vector=vector, author=author, chunk=shown
        )

    def model(self, state: Round) -> str:
        """The model that follows from the published sum, whatever it is."""
        assert state.publisher is not None
        return hashlib.sha256(b"".join(self.vector(state.publisher, state)[0])).hexdigest()

    def right_model(self, state: Round) -> str:
        return hashlib.sha256(b"".join(sum_of(state.participants))).hexdigest()

    # ---- what an honest hospital writes, as the agent does

    def due(self, name: str, view: RoundView) -> list[Write]:
        state = view.round
        if name not in state.participants or state.phase.decided:
            return []
        at = {"study": STUDY, "round": state.round}
        match state.phase:
            case RoundPhase.OPEN:
                written = {entry.hospital for entry in view.joins}
                mine = Join(**at, samples=5, mask_key=(9).to_bytes(32, "little").hex(), chain_end=chain(name, 0))
                return [] if name in written else [("Join", mine, name)]
            case RoundPhase.SEALED:
                written = {e.hospital for e in view.anchors if e.anchor.attempt == state.attempt}
                root = tree_root(self.context(name, state), map(chunk_digest, chunks_of(name)))
                anchor = Anchor(**at, attempt=state.attempt, root=root, chunks=CHUNKS, privacy=None)
                return [] if name in written else [("Anchor", anchor, name)]
            case RoundPhase.ANCHORED:
                held = {entry.owner for entry in view.held if entry.witness == name}
                owners = set(witnessed_by(state.participants, name, self.max_colluding)) - held
                return [("Hold", Held(**at, attempt=state.attempt, owner=one), name) for one in sorted(owners)]
            case RoundPhase.AGGREGATED:
                written = {e.hospital for e in view.reveals if e.reveal.publication == state.publication}
                value = chain(name, state.publication)
                mine = Reveal(**at, publication=state.publication, value=value)
                return [] if name in written else [("Reveal", mine, name)]
            case RoundPhase.VERIFIED:
                written = {entry.hospital for entry in view.attestations}
                mine = Attestation(**at, publication=str(state.publisher), model=self.model(state))
                withheld = state.publisher == LIAR and name in self.withheld
                return [] if name in written or withheld else [("Attest", mine, name)]
            case _:
                return self._due_while_checked(name, view)

    def _due_while_checked(self, name: str, view: RoundView) -> list[Write]:
        state = view.round
        if state.phase is RoundPhase.CHALLENGED:
            if name in {entry.hospital for entry in current_fingerprints(view)}:
                return []
            with_sum = state.publisher != LIAR or name not in self.withheld
            return [("Fingerprint", self.fingerprint(name, state, with_sum=with_sum), name)]
        if state.phase is RoundPhase.LISTING:
            return [("List", self.listing(one, state), name) for one in to_list(view, name, self.max_colluding)]
        disproofs: list[Write] = []
        for entry in others_lists(view, name, self.max_colluding):
            vector = entry.listing.vector
            if vector == LIAR and name in self.withheld:
                continue
            truth = self.listing(vector, state).values
            false = [place for place in range(CHUNKS) if entry.listing.values[place] != truth[place]]
            if false:
                disproofs.append(("Disprove", self.disproof(entry.hospital, vector, state, false[0]), name))
        return disproofs

    # ---- lies

    def false_fingerprint(self, name: str, state: Round, lies: Sequence[int]) -> Fingerprint:
        """The true fingerprint with a number added to the own, the witnessed and the sum's value."""
        true = self.fingerprint(name, state)
        assert true.sum is not None
        return replace(
            true,
            own=off(true.own, lies[0]),
            witnessed=tuple(replace(one, value=off(one.value, lies[1])) for one in true.witnessed),
            sum=off(true.sum, lies[2]),
        )

    def false_listing(self, vector: str, state: Round, lie: int, place: int) -> Listing:
        """The true list with a number added to one chunk's value, so that it adds up to the false value."""
        true = self.listing(vector, state)
        values = tuple(off(value, lie) if n == place else value for n, value in enumerate(true.values))
        return replace(true, values=values)

    def list_adding_up_to(self, vector: str, state: Round, claimed: FingerprintValue, skew: int) -> Listing:
        """A list that adds up to what its author wrote; `skew` is moved from the second chunk to the first."""
        true = self.values(vector, state)
        total, wanted = add(true, SET), from_record(claimed, SET)
        first = add([true[0], (wanted[0] - total[0] + skew, wanted[1] - total[1])], SET)
        second = add([true[1], (-skew, 0)], SET)
        return replace(self.listing(vector, state), values=(to_record(first), to_record(second)))


def off(value: FingerprintValue, by: int) -> FingerprintValue:
    """Add a number to a fingerprint's first row."""
    return to_record(add([from_record(value, SET), (by % SET.modulus, 0)], SET))
