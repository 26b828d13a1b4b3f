"""The bridge's good path, what it costs, and what it does on chains without the precompile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import rlp
from anvil_chain import P256VERIFY, AnvilChain
from bridge_stage import BridgeStage, random_epoch
from fabric_consortium import Consortium

from consilium_proto.rewards.decisions import VoidEpoch
from consilium_proto.rewards.keccak import keccak256

EPOCH_GAS = 160_000
CLAIM_GAS = 90_000
# Three signatures verified in Solidity.
EPOCH_GAS_WITHOUT_PRECOMPILE = 1_000_000


@pytest.fixture(scope="module")
def older_chain(node_packages: None) -> Iterator[AnvilChain]:
    """A chain by the rules before Osaka, which have no P256VERIFY."""
    running = AnvilChain("prague")
    yield running
    running.stop()


def test_an_epoch_is_carried_over_and_every_hospital_claims(
    stage: BridgeStage, capsys: pytest.CaptureFixture[str]
) -> None:
    epoch = random_epoch(7)
    epoch_gas = stage.submit(epoch)
    stage.wait_for_claims()
    claim_gas = [stage.chain.transact(stage.claim(epoch, index))["gasUsed"] for index in range(len(epoch.payouts))]
    assert [stage.balance(payout.account) for payout in epoch.payouts] == [payout.amount for payout in epoch.payouts]
    assert stage.functions.totalSupply().call() == epoch.root.total
    with capsys.disabled():
        print(f"\n  epoch with 3 of 4 endorsements {epoch_gas} gas, claims {min(claim_gas)} to {max(claim_gas)} gas")
    assert epoch_gas <= EPOCH_GAS
    assert max(claim_gas) <= CLAIM_GAS


@pytest.mark.parametrize("payouts", [1, 2, 3, 5, 121, 300])
def test_trees_of_any_size_pay_their_first_and_last_leaf(stage: BridgeStage, payouts: int) -> None:
    epoch = random_epoch(1, payouts)
    stage.submit(epoch)
    stage.wait_for_claims()
    for index in {0, payouts // 2, payouts - 1}:
        stage.chain.transact(stage.claim(epoch, index))
        assert stage.functions.claimed(1, index).call()
        assert stage.bridge.refusal(stage.claim(epoch, index)) == "AlreadyClaimed"
        assert stage.balance(epoch.payouts[index].account) == epoch.payouts[index].amount


def test_epochs_may_come_in_any_order(stage: BridgeStage) -> None:
    later, earlier = random_epoch(7), random_epoch(6)
    stage.submit(later)
    stage.submit(earlier)
    stage.wait_for_claims()
    stage.chain.transact(stage.claim(earlier, 0))
    stage.chain.transact(stage.claim(later, 0))


def test_every_three_of_four_organisations_convince(untouched: BridgeStage) -> None:
    peers = untouched.consortium.peers[:4]
    for absent in peers:
        arguments = untouched.epoch_arguments(random_epoch(1), [peer for peer in peers if peer is not absent])
        assert untouched.bridge.refusal(untouched.submission(arguments)) == ""


def test_without_the_precompile_the_library_verifies(older_chain: AnvilChain, consortium: Consortium) -> None:
    assert older_chain.request("eth_call", {"to": P256VERIFY, "data": known_signature()}, "latest") == "0x"
    stage = BridgeStage.set_up(older_chain, consortium)
    epoch = random_epoch(7)
    arguments = stage.epoch_arguments(epoch)
    broken = arguments.signatures[:-1] + bytes([arguments.signatures[-1] ^ 1])
    assert stage.bridge.refusal(stage.functions.submitEpoch((*arguments.as_tuple()[:4], broken))) == "BadSignature"
    assert stage.submit(epoch) <= EPOCH_GAS_WITHOUT_PRECOMPILE
    stage.decide(VoidEpoch(9, bytes(32)))
    stage.wait_for_claims()
    assert stage.chain.transact(stage.claim(epoch, 3))["gasUsed"] <= CLAIM_GAS


def test_with_the_precompile_it_is_the_precompile_that_verifies(chain: AnvilChain) -> None:
    assert int(chain.request("eth_call", {"to": P256VERIFY, "data": known_signature()}, "latest"), 16) == 1


def known_signature() -> str:
    """A valid signature of Project Wycheproof, in the precompile's form."""
    return (
        "0xbb5a52f42f9c9261ed4361f59422a1e30036e7c32b270c8807a419feca605023"
        + "5".rjust(64, "0")
        + "1".rjust(64, "0")
        + "a71af64de5126a4a4e02b7922d66ce9415ce88a4c9d25514d91082c8725ac957"
        + "5d47723c8fbe580bb369fec9c2665d8e30a435b9932645482e7c9f11e872296b"
    )


@pytest.mark.parametrize("number", [0, 126, 127, 254, 255, 256, 64_999])
def test_records_lie_where_the_rule_of_create_puts_them(untouched: BridgeStage, number: int) -> None:
    expected = keccak256(rlp.encode([untouched.bridge.address, number + 1]))[12:]
    assert bytes.fromhex(untouched.functions.recordOf(number).call()[2:]) == expected
