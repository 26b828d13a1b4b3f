"""What a round's shares come to, for any weights, and that a round's end never fails on an amount."""

from __future__ import annotations

import functools

from federation_world import ALPHA, HOSPITALS, STUDY
from hypothesis import given
from hypothesis import strategies as st
from reward_world import (
    ROUND_CAP,
    WEIGHT_CAP,
    RewardsLedger,
    account,
    credit,
    evm_terms,
)

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.resolutions import EPOCH_CAP_LIMIT
from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.federation.reward_calls import credit_round
from consilium_chaincode.shim.contract import transaction
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.resolutions import EvmTerms, ResolutionArgument, RewardLedgerTerms
from consilium_proto.ethereum.rewards import RoundCredit, RoundReward
from consilium_proto.ethereum.scalars import as_quantity, from_quantity
from consilium_proto.refusals import RefusalCode


class CreditingFederation(FederationContract):
    """Credits what it is asked to."""

    @transaction("Credit")
    async def credit(self, stub: ChaincodeStub, argument: bytes) -> bytes:
        await credit_round(stub, decode(RoundCredit, argument))
        return b""


@functools.cache
def crediting() -> RewardsLedger:
    """A channel whose federation credits at will; one hospital has an address."""
    ledger = RewardsLedger()
    ledger.found()
    ledger.enact_rewards()
    ledger.name_address(ALPHA, account(0))
    ledger.contract = ledger.ledger.chaincodes["federation"] = CreditingFederation(clock=lambda: ledger.now)
    return ledger


@given(
    weights=st.dictionaries(st.sampled_from(HOSPITALS), st.integers(1, 2**40), min_size=1),
    pot=st.integers(1, 2**96 - 1),
)
def test_a_share_is_the_pots_part_by_capped_weight_rounded_down(weights: dict[str, int], pot: int) -> None:
    ledger = crediting()
    simulation = ledger.ask(ledger.contract, "Credit", encode(credit(pot=pot, **weights)))
    assert isinstance(simulation, Simulation)
    written = simulation.writes["evm/", state_keys.round_reward(STUDY, 1)]
    assert written is not None
    reward = decode(RoundReward, written)
    counted = {name: min(weight, WEIGHT_CAP) for name, weight in weights.items()}
    available = min(pot, ROUND_CAP)
    expected = {name: available * weight // sum(counted.values()) for name, weight in counted.items()}
    assert {each.hospital: from_quantity(each.amount) for each in reward.shares} == expected
    assert from_quantity(reward.granted) == sum(expected.values()) <= available
    assert [each.hospital for each in reward.shares] == sorted(weights)
    assert {each.hospital: each.account for each in reward.shares if each.account} == (
        {ALPHA: account(0)} if ALPHA in weights else {}
    )


def with_caps(cap: int) -> EvmTerms:
    return evm_terms(
        rewards=RewardLedgerTerms(
            token_name="Reward", token_symbol="CSR", round_cap=as_quantity(cap), epoch_cap=as_quantity(cap)
        )
    )


def test_caps_leave_room_for_what_waits() -> None:
    """Two rounds of a larger cap would overflow what waits for a hospital, and the second could never end."""
    ledger = RewardsLedger()
    ledger.found()
    too_much = ResolutionArgument(resolution=with_caps(EPOCH_CAP_LIMIT + 1))
    ledger.refuse_evm(RefusalCode.UNSAFE_TERMS, "Approve", too_much, ALPHA, "admin", match="96 bits")
    ledger.enact_rewards(with_caps(EPOCH_CAP_LIMIT))
    assert 4096 * EPOCH_CAP_LIMIT <= 2**96
