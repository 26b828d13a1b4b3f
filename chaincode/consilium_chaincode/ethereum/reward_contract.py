"""`RewardLedger`'s interface: calls in the ABI's form, and what its answers and logs say, as records.

Records of rewards are made here, out of what the contract did and nothing else, so they can't say anything else than
its storage does (`test_records_say_what_the_contract_says`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from eth_abi.abi import decode, encode

from consilium_chaincode.evm.journal import Log
from consilium_chaincode.evm.keccak import keccak256
from consilium_proto.ethereum.resolutions import RewardLedgerTerms
from consilium_proto.ethereum.rewards import (
    ClosedEpoch,
    EpochPayout,
    PayoutAddressRecord,
    RewardShare,
    RoundCredit,
    RoundReward,
)
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data, from_quantity
from consilium_proto.records.scalars import Milliseconds
from consilium_proto.rewards.identifiers import hospital_identifier, round_identifier

_ADDRESS_SIZE = 20
_NOBODY = bytes(_ADDRESS_SIZE)


class Function(NamedTuple):
    """A function of the contract: its name, and the types that it takes and returns."""

    name: str
    takes: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()

    @property
    def signature(self) -> str:
        """The signature that its selector is the hash of."""
        return f"{self.name}({','.join(self.takes)})"

    def call(self, *values: Any) -> bytes:
        """Return the call data."""
        return keccak256(self.signature.encode())[:4] + encode(self.takes, values)

    def answer(self, output: bytes) -> Any:
        """Return the one value that it answers."""
        return decode(self.returns, output)[0]


class Event(NamedTuple):
    """An event of the contract: its name, the types of its topics and of its data."""

    name: str
    topics: tuple[str, ...]
    data: tuple[str, ...]

    @property
    def signature(self) -> str:
        """The signature that its first topic is the hash of; in this contract, indexed parameters come first."""
        return f"{self.name}({','.join((*self.topics, *self.data))})"

    def among(self, logs: Sequence[Log]) -> Iterator[tuple[Any, ...]]:
        """Iterate over the parameters of every such event, topics first."""
        identifier = keccak256(self.signature.encode())
        for log in logs:
            if log.topics[0] == identifier:
                topics = [decode([kind], topic)[0] for kind, topic in zip(self.topics, log.topics[1:], strict=True)]
                yield *topics, *decode(self.data, log.data)


CREDIT_ROUND = Function("creditRound", ("bytes32", "uint96", "uint64", "bytes32[]", "uint64[]"))
SET_PAYOUT_ADDRESS = Function("setPayoutAddress", ("bytes32", "address"))
CLOSE_EPOCH = Function("closeEpoch", (), ("bytes32",))
OPEN_EPOCH = Function("openEpoch", (), ("uint64",))
PAYOUTS_OF = Function("payoutsOf", ("uint64",), ("(address,uint96)[]",))
PAYOUT_ADDRESS = Function("payoutAddress", ("bytes32",), ("address",))
UNASSIGNED = Function("unassigned", ("bytes32",), ("uint96",))
BALANCE_OF = Function("balanceOf", ("address",), ("uint256",))
TOTAL_SUPPLY = Function("totalSupply", (), ("uint256",))
ROUND_CREDITED = Event("RoundCredited", ("uint64", "bytes32"), ("uint256", "uint256"))
CREDITED = Event("Credited", ("uint64", "bytes32", "bytes32"), ("address", "uint256"))
ASSIGNED = Event("Assigned", ("uint64", "bytes32", "address"), ("uint256",))
EPOCH_CLOSED = Event("EpochClosed", ("uint64",), ("bytes32", "uint256", "uint256"))
FUNCTIONS = (
    *(CREDIT_ROUND, SET_PAYOUT_ADDRESS, CLOSE_EPOCH, OPEN_EPOCH, PAYOUTS_OF),
    *(PAYOUT_ADDRESS, UNASSIGNED, BALANCE_OF, TOTAL_SUPPLY),
)
EVENTS = (ROUND_CREDITED, CREDITED, ASSIGNED, EPOCH_CLOSED)


def constructor_arguments(terms: RewardLedgerTerms, federation: bytes) -> bytes:
    """Return what follows the creation code when the contract is created under these terms."""
    caps = from_quantity(terms.round_cap), from_quantity(terms.epoch_cap)
    return encode(
        ["string", "string", "address", "uint96", "uint96"], [terms.token_name, terms.token_symbol, federation, *caps]
    )


def credit_round_call(credit: RoundCredit) -> bytes:
    """Return the call that credits a round; the contract wants hospitals ascending by their identifiers."""
    weights = {hospital_identifier(each.hospital): each.weight for each in credit.contributions}
    hospitals = sorted(weights)
    return CREDIT_ROUND.call(
        round_identifier(credit.study, credit.round),
        from_quantity(credit.pot),
        credit.weight_cap,
        hospitals,
        [weights[hospital] for hospital in hospitals],
    )


def round_reward(credit: RoundCredit, logs: Sequence[Log]) -> RoundReward:
    """Return what a round credited; shares in the order of the hospitals' names."""
    epoch, _, pot, granted = next(ROUND_CREDITED.among(logs))
    names = {hospital_identifier(each.hospital): each.hospital for each in credit.contributions}
    shares = [
        RewardShare(hospital=names[hospital], account=account_of(account), amount=as_quantity(amount))
        for _, _, hospital, account, amount in CREDITED.among(logs)
    ]
    return RoundReward(
        study=credit.study,
        round=credit.round,
        epoch=epoch,
        pot=as_quantity(pot),
        granted=as_quantity(granted),
        shares=tuple(sorted(shares, key=lambda share: share.hospital)),
    )


def payout_address(
    hospital: str, account: str, open_epoch: int, named_at: Milliseconds, logs: Sequence[Log]
) -> PayoutAddressRecord:
    """Return where a hospital is paid from now on, and what had waited for it."""
    assigned = sum(amount for _, _, _, amount in ASSIGNED.among(logs))
    return PayoutAddressRecord(
        hospital=hospital, account=account, assigned=as_quantity(assigned), epoch=open_epoch, named_at=named_at
    )


def closed_epoch(logs: Sequence[Log], payouts: Sequence[tuple[str, int]], closed_at: Milliseconds) -> ClosedEpoch:
    """Return the epoch that was closed; `payouts` is what `payoutsOf` answers."""
    epoch, root, total, _ = next(EPOCH_CLOSED.among(logs))
    return ClosedEpoch(
        epoch=epoch,
        root=as_data(root),
        total=as_quantity(total),
        closed_at=closed_at,
        payouts=tuple(EpochPayout(account=account, amount=as_quantity(amount)) for account, amount in payouts),
    )


def account_of(address: str) -> str | None:
    """Return an address that the contract answered; None for the zero address, which stands for none."""
    return None if from_data(address) == _NOBODY else address
