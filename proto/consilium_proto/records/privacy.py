"""What rounds cost a hospital's data set, and its account of them on the ledger."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.records.scalars import PROTOCOL_VERSION, Digest, Identifier, MspId, ProtocolVersion, RoundNumber

MicroEpsilon = Annotated[int, Meta(ge=0, le=10**12)]


class PrivacyEntry(Record, frozen=True, kw_only=True):
    """What one round costs one data set, all integers: sample rate, noise, steps, delta; and the epsilon so far."""

    data_set: Digest
    sample_rate_numerator: Annotated[int, Meta(ge=1, le=2**40)]
    sample_rate_denominator: Annotated[int, Meta(ge=1, le=2**40)]
    noise_multiplier_milli: Annotated[int, Meta(ge=1, le=1_000_000)]
    clip_milli: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    steps: Annotated[int, Meta(ge=1, le=2**31)]
    delta_numerator: Annotated[int, Meta(ge=1, le=2**40)]
    delta_denominator: Annotated[int, Meta(ge=2, le=2**50)]
    epsilon_before_micro: MicroEpsilon
    epsilon_after_micro: MicroEpsilon


class PrivacyCost(Record, frozen=True, kw_only=True):
    """Steps of one sampled Gaussian mechanism: sample rate as a fraction, noise multiplier in thousandths."""

    sample_rate_numerator: Annotated[int, Meta(ge=1, le=2**40)]
    sample_rate_denominator: Annotated[int, Meta(ge=1, le=2**40)]
    noise_multiplier_milli: Annotated[int, Meta(ge=1, le=1_000_000)]
    steps: Annotated[int, Meta(ge=1, le=2**40)]


class PendingCost(Record, frozen=True, kw_only=True):
    """The cost of a round that may not be decided yet; the data set's next anchor settles it."""

    study: Identifier
    round: RoundNumber
    cost: PrivacyCost


class PrivacyAccount(Record, frozen=True, kw_only=True):
    """What a hospital's data set has spent in all studies. Only that hospital's anchors write it.

    `settled` sums the costs that count for good, one entry per mechanism, sorted; `pending` holds those whose round
    was undecided when the data set last anchored, in the order of their anchors. A pending cost counts as spent until
    it is settled.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    data_set: Digest
    settled: Annotated[tuple[PrivacyCost, ...], Meta(max_length=64)]
    pending: Annotated[tuple[PendingCost, ...], Meta(max_length=64)]


class StudyPrivacy(Record, frozen=True, kw_only=True):
    """The privacy entry of a hospital's newest anchor in a study: with which data set, and what one round costs."""

    entry: PrivacyEntry


class PrivacyAccountReference(Record, frozen=True, kw_only=True):
    """Names the account of a hospital's data set."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    hospital: MspId
    data_set: Digest
