"""Reads out of blocks what became of a study's rewards: whom rounds credited, where that is paid, what is claimed.

A reward belongs to its round; epochs, addresses and claims belong to the channel. Of these a study's facts have what
its rewards went through: the epochs they were credited in, the addresses of who earned them, claims from those epochs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from msgspec import UNSET, UnsetType

from consilium_chaincode.shim.composite_keys import split_composite_key
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_proto.ethereum.rewards import ClosedEpoch, PayoutAddressRecord, ReportedClaim, RoundReward
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, from_quantity
from consilium_trail.blocks.transactions import Invocation
from consilium_trail.facts import ClaimFact, EpochFact, PayoutAddressFact, RewardFacts, TransactionFact

R = TypeVar("R", bound=Record)


class RewardCollector:
    """Collects the rewards of one study. `rounds` are those that matter; without any, all do."""

    def __init__(self, study: str, rounds: Collection[int] = ()) -> None:
        self._study = study
        self._numbers = frozenset(rounds)
        self.rounds: dict[int, RoundReward] = {}
        """What rounds credited, by their numbers."""
        self._epochs_of_interest: set[int] = set()
        self._waiting: set[str] = set()
        self._addresses: dict[str, PayoutAddressFact] = {}
        self._epochs: list[EpochFact] = []
        self._claims: list[ClaimFact] = []

    def add(self, fact: TransactionFact, call: Invocation) -> bool:
        """Take in a valid transaction; return whether the study's rewards can't be told without it."""
        takers: dict[str, Callable[[TransactionFact, bytes], bool]] = {
            "round-reward": self._credited,
            "payout-address": self._named,
            "reward-epoch": self._closed,
            "claim": self._claimed,
        }
        written = [write for each in call.sets if each.namespace == EVM_CHAINCODE for write in each.writes]
        needed = False
        for write in written:
            take = takers.get(_kind(write.key))
            if take is not None and write.value is not None:
                needed |= take(fact, write.value)
        return needed

    def facts(self) -> RewardFacts | UnsetType:
        """Return what was found so far; UNSET when no round was rewarded."""
        if not self.rounds:
            return UNSET
        hospitals = sorted({share.hospital for each in self.rounds.values() for share in each.shares})
        return RewardFacts(
            addresses=tuple(self._addresses[name] for name in hospitals if name in self._addresses),
            epochs=tuple(self._epochs),
            claims=tuple(self._claims),
        )

    def _credited(self, _: TransactionFact, value: bytes) -> bool:
        reward = _record(RoundReward, value)
        if reward is None or reward.study != self._study or (self._numbers and reward.round not in self._numbers):
            return False
        self.rounds[reward.round] = reward
        self._epochs_of_interest.add(reward.epoch)
        self._waiting |= {share.hospital for share in reward.shares if share.account is None}
        return True

    def _named(self, fact: TransactionFact, value: bytes) -> bool:
        address = _record(PayoutAddressRecord, value)
        if address is None:
            return False
        self._addresses[address.hospital] = PayoutAddressFact(address=address, transaction=fact)
        if address.hospital not in self._waiting:
            return False
        self._waiting.discard(address.hospital)
        if from_quantity(address.assigned):
            self._epochs_of_interest.add(address.epoch)
        return True

    def _closed(self, fact: TransactionFact, value: bytes) -> bool:
        epoch = _record(ClosedEpoch, value)
        if epoch is None or epoch.epoch not in self._epochs_of_interest:
            return False
        self._epochs.append(EpochFact(epoch=epoch, transaction=fact))
        return True

    def _claimed(self, fact: TransactionFact, value: bytes) -> bool:
        claim = _record(ReportedClaim, value)
        if claim is None or claim.report.epoch not in self._epochs_of_interest:
            return False
        self._claims.append(ClaimFact(claim=claim, transaction=fact))
        return True


def _kind(key: str) -> str:
    try:
        return split_composite_key(key)[0]
    except ChaincodeError:
        return ""


def _record(kind: type[R], value: bytes) -> R | None:
    try:
        return decode(kind, value)
    except WireError:
        return None
