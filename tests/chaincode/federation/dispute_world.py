"""A round over real vectors on the in-memory ledger: honest hospitals, and lies that a test puts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from federation_ledger import FederationLedger
from federation_world import (
    AGGREGATORS,
    CHUNKS,
    HOSPITALS,
    anchor,
    fingerprint,
    publication,
)
from real_vectors import SET, Vector, sum_of, update

from consilium_proto.fingerprint import Value, add, to_record
from consilium_proto.records import (
    Disproof,
    Fingerprint,
    FingerprintValue,
    Listing,
    MalformedChunk,
    Round,
    WitnessedFingerprint,
)
from consilium_proto.witnesses import witnessed_by


def shifted(value: Value, by: int = 1) -> Value:
    return (value[0] + by) % SET.modulus, (value[1] + by) % SET.modulus


class DisputedRound:
    """The round that is next in a channel, with T = 1. `vectors` names each vector by its owner."""

    def __init__(self, channel: FederationLedger, attempt: int = 0) -> None:
        self.channel = channel
        self.number = channel.study().head.round + 1
        self.vectors: dict[str, Vector] = {
            hospital: update(hospital, index, self.number, attempt) for index, hospital in enumerate(HOSPITALS)
        }

    @property
    def state(self) -> Round:
        return self.channel.round(self.number).round

    def anchor_all(self) -> None:
        self.channel.open_round()
        hospitals = [name for name in HOSPITALS if name in self.state.participants]
        self.channel.reach_sealed(hospitals, self.number)
        for hospital in hospitals:
            root = self.vectors[hospital].root
            self.channel.submit("Anchor", anchor(root=root, round=self.number), hospital)
        self.channel.advance(self.number)

    def honest_sum(self, aggregator: str = AGGREGATORS[0]) -> Vector:
        words = [self.vectors[name].words for name in self.state.participants]
        return sum_of(aggregator, [one for one in words if one is not None], round_number=self.number)

    def publish(self, published: Vector | None = None) -> None:
        """Hold everything, publish, take the publication up, and reveal: to CHALLENGED."""
        published = published or self.honest_sum()
        aggregator = published.context.owner
        self.vectors[aggregator] = published
        if not self.channel.round(self.number).held:
            self.channel.hold_all(self.number)
        self.channel.submit("Publish", publication(root=published.root, round=self.number), aggregator)
        self.channel.advance(self.number)
        self.channel.reach_challenged(self.number)

    def values(self, vector: str) -> list[Value]:
        seed = self.state.challenge
        assert seed is not None
        return self.vectors[vector].values(seed)

    def total(self, vector: str) -> Value:
        return add(self.values(vector), SET)

    def fingerprint(
        self, hospital: str, lies: Mapping[str, Value] | None = None, *, got_sum: bool = True
    ) -> Fingerprint:
        """What a hospital writes; `lies` gives false values of vectors, by owner."""
        state, lies = self.state, lies or {}
        assert state.publisher is not None

        def value(vector: str) -> FingerprintValue:
            return to_record(lies[vector] if vector in lies else self.total(vector))

        witnessed = witnessed_by(state.participants, hospital, 1)
        return fingerprint(
            hospital,
            state.participants,
            round=self.number,
            publication=state.publication,
            own=value(hospital),
            witnessed=tuple(WitnessedFingerprint(owner=owner, value=value(owner)) for owner in witnessed),
            sum=value(state.publisher) if got_sum else None,
        )

    def write_fingerprints(self, lies: Mapping[str, Mapping[str, Value]] | None = None) -> Round:
        """All hospitals write their fingerprints; `lies` gives liars' false values. Returns the round after it."""
        for hospital in self.state.participants:
            self.channel.submit("Fingerprint", self.fingerprint(hospital, (lies or {}).get(hospital)), hospital)
        return self.channel.advance(self.number)

    def listing(self, vector: str, values: Sequence[Value] | None = None) -> Listing:
        return Listing(
            study=self.state.study,
            round=self.number,
            publication=self.state.publication,
            vector=vector,
            values=tuple(to_record(value) for value in values or self.values(vector)),
        )

    def false_values(self, vector: str, index: int = 0, by: int = 1) -> list[Value]:
        """A list that adds up to the vector's value, shifted."""
        values = self.values(vector)
        values[index] = shifted(values[index], by)
        return values

    def disproof(self, vector: str, author: str, index: int = 0, source: Vector | None = None) -> Disproof:
        return Disproof(
            study=self.state.study,
            round=self.number,
            publication=self.state.publication,
            vector=vector,
            author=author,
            chunk=(source or self.vectors[vector]).proved(index),
        )

    def malformed(self, vector: str, index: int = 0) -> MalformedChunk:
        chunk = self.vectors[vector].proved(index)
        return MalformedChunk(study=self.state.study, round=self.number, vector=vector, chunk=chunk)


assert CHUNKS > 1, "lists of one chunk can't be wrong in one place and right in another"
