"""What a trail says about a study, in plain records: every round, who did what in it, who endorsed, who attested.

Exporter and verifier both compute these from the blocks with `FactCollector`; so a report's contents can be checked.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from consilium_proto.canonical import Record
from consilium_proto.ethereum.rewards import ClosedEpoch, PayoutAddressRecord, ReportedClaim, RoundReward
from consilium_proto.records import PrivacyEntry, RoundPhase, StudyTerms


class TransactionFact(Record, frozen=True, kw_only=True):
    """A transaction: where it stands, when its client says it was made (ms since 1970), and who endorsed it.

    `code` is Fabric's validation code; only VALID ones changed anything.
    """

    block: int
    transaction: int
    tx_id: str
    time: int
    function: str
    creator: str
    endorsers: tuple[str, ...]
    code: str


class AttestedFact(Record, frozen=True, kw_only=True):
    """The model that a hospital attested."""

    hospital: str
    model: str


class PrivacyFact(Record, frozen=True, kw_only=True):
    """What a hospital's anchor charged its data set with."""

    hospital: str
    attempt: int
    entry: PrivacyEntry


class DisputeFact(Record, frozen=True, kw_only=True):
    """A proof that somebody lied: of which vector a chunk was shown, who wrote what it disproves, who showed it."""

    kind: str
    vector: str
    culprit: str
    shown_by: str
    tx_id: str


class RoundFact(Record, frozen=True, kw_only=True):
    """A round.

    `policy` is the endorsement policy that was in force when it was decided (or at the trail's end). `opened` and
    `decided` are milliseconds since 1970; `decided` is None while it isn't. `reward` is what the round credited;
    where that is nothing, the field is left out. The rest is as in the ledger's own record.
    """

    round: int
    phase: RoundPhase
    base: str
    model: str | None
    epoch: int
    attempt: int
    participants: tuple[str, ...]
    missing: tuple[str, ...]
    publisher: str | None
    rejected: tuple[str, ...]
    barred: tuple[str, ...]
    attested_by: tuple[str, ...]
    challenge: str | None
    policy: str
    opened: int
    decided: int | None
    attestations: tuple[AttestedFact, ...]
    privacy: tuple[PrivacyFact, ...]
    disputes: tuple[DisputeFact, ...]
    transactions: tuple[TransactionFact, ...]
    reward: RoundReward | UnsetType = UNSET


class PayoutAddressFact(Record, frozen=True, kw_only=True):
    """Where a hospital is paid, and the transaction that said so."""

    address: PayoutAddressRecord
    transaction: TransactionFact


class EpochFact(Record, frozen=True, kw_only=True):
    """A closed epoch of rewards, and the transaction that closed it."""

    epoch: ClosedEpoch
    transaction: TransactionFact


class ClaimFact(Record, frozen=True, kw_only=True):
    """A claim as a hospital reported it, which is that hospital's word: the public chain has what happened there."""

    claim: ReportedClaim
    transaction: TransactionFact


class RewardFacts(Record, frozen=True, kw_only=True):
    """What became of a study's rewards up to the trail's end.

    `addresses` are those in force, of hospitals that earned something, by hospital. `epochs` are the closed ones that
    the study's rewards were credited in (those of other studies are in them too), `claims` what was reported of their
    payouts, both in the ledger's order.
    """

    addresses: tuple[PayoutAddressFact, ...]
    epochs: tuple[EpochFact, ...]
    claims: tuple[ClaimFact, ...]


class StudyFacts(Record, frozen=True, kw_only=True):
    """A study as the blocks tell it; `report/facts.json`.

    `terms` are None when the study isn't on this ledger. `transactions` are those about the study that belong to no
    round. `genesis` and `last_hash` are the hashes of the trail's first and last block. `rewards` is left out where no
    round credited anything.
    """

    channel: str
    study: str
    genesis: str
    blocks: int
    last_hash: str
    terms: StudyTerms | None
    transactions: tuple[TransactionFact, ...]
    rounds: tuple[RoundFact, ...]
    rewards: RewardFacts | UnsetType = UNSET
