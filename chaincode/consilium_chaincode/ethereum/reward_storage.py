"""Where `RewardLedger` keeps what crediting a round reads, so that it is read in a few requests instead of a hundred.

Solidity's layout of storage: a mapping's value lies at keccak256(key ‖ the mapping's slot), an array's elements from
keccak256 of its slot on. Nothing depends on this list but time: what it lacks is read when it is needed, one by one
(`test_a_credit_is_read_in_a_few_requests` says that it lacks nothing).
"""

from __future__ import annotations

from collections.abc import Sequence

from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.state_keys import SlotKey
from consilium_chaincode.evm.transactions.forms import Access
from consilium_proto.ethereum.rewards import RoundCredit
from consilium_proto.rewards.identifiers import hospital_identifier, round_identifier

_BALANCES, _TOTAL_SUPPLY, _OPEN_EPOCH, _PAYOUT_ADDRESS, _UNASSIGNED, _ROUND_CREDITED = 0, 2, 5, 6, 7, 8
_EPOCHS, _PAYOUTS, _PLACES = 9, 10, 11
# What an epoch's rounds credited lies behind its root.
_CREDITED = 1
_WORD = 32


async def prefetch_credit(reads: LedgerReads, contract: bytes, credit: RoundCredit) -> None:
    """Read what crediting a round reads: first what is known by names, then what follows from it, twice."""
    hospitals = [hospital_identifier(each.hospital) for each in credit.contributions]
    addresses = [_of_mapping(_PAYOUT_ADDRESS, hospital) for hospital in hospitals]
    known = _of_mapping(_ROUND_CREDITED, round_identifier(credit.study, credit.round))
    await _fetch(reads, contract, [_OPEN_EPOCH, _TOTAL_SUPPLY, known, *addresses])

    epoch = await _word(reads, contract, _OPEN_EPOCH)
    named = [await _word(reads, contract, slot) for slot in addresses]
    waiting = [_of_mapping(_UNASSIGNED, each) for each, account in zip(hospitals, named, strict=True) if not account]
    accounts = list(dict.fromkeys(account for account in named if account))
    payouts = _of_mapping(_PAYOUTS, _word_of(epoch))
    places = [_of_mapping(_of_mapping(_PLACES, _word_of(epoch)), _word_of(account)) for account in accounts]
    balances = [_of_mapping(_BALANCES, _word_of(account)) for account in accounts]
    credited = _of_mapping(_EPOCHS, _word_of(epoch)) + _CREDITED
    await _fetch(reads, contract, [credited, payouts, *waiting, *places, *balances])

    first = int.from_bytes(keccak256(_word_of(payouts)), "big")
    found = [await _word(reads, contract, slot) for slot in places]
    count = await _word(reads, contract, payouts)
    added = range(count, count + found.count(0))
    await _fetch(reads, contract, [first + place for place in (*(each - 1 for each in found if each), *added)])


def _of_mapping(slot: int, key: bytes) -> int:
    return int.from_bytes(keccak256(key + _word_of(slot)), "big")


def _word_of(number: int) -> bytes:
    return number.to_bytes(_WORD, "big")


async def _fetch(reads: LedgerReads, contract: bytes, slots: Sequence[int]) -> None:
    await reads.prefetch((), [Access(contract, tuple(slots))])


async def _word(reads: LedgerReads, contract: bytes, slot: int) -> int:
    return int.from_bytes(await reads.value(SlotKey(contract, slot)), "big")
