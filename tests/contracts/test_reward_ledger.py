"""The ledger of rewards: who credits, how much, to whom, and what an epoch's root stands for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from anvil_chain import AnvilChain, Deployed
from bridge_stage import BridgeStage, PaidEpoch, as_address
from fabric_consortium import Consortium
from web3.exceptions import ContractCustomError

from consilium_proto.contracts import REWARD_LEDGER, load_artifact
from consilium_proto.rewards.keccak import keccak256
from consilium_proto.rewards.payout_tree import Payout, payout_root

TOKEN = 10**18
ROUND_CAP, EPOCH_CAP = 100 * TOKEN, 250 * TOKEN
NO_WEIGHT_CAP = 2**64 - 1


def hospital_ids(count: int) -> list[bytes]:
    return sorted(keccak256(f"Hospital{i}MSP".encode()) for i in range(count))


@dataclass
class LedgerStage:
    """A ledger of rewards and its hospitals' ids and payout addresses."""

    ledger: Deployed
    federation: str
    hospitals: list[bytes]
    accounts: list[bytes]

    @property
    def functions(self) -> Any:
        return self.ledger.contract.functions

    def send(self, call: Any) -> Any:
        return self.ledger.chain.transact(call, sender=self.federation)

    def refusal(self, call: Any) -> str:
        return self.ledger.refusal(call, sender=self.federation)

    def credit(self, weights: Sequence[int], pot: int = ROUND_CAP, cap: int = NO_WEIGHT_CAP) -> Any:
        """Credit a new round to the first hospitals, one for each weight."""
        return self.functions.creditRound(os.urandom(32), pot, cap, self.hospitals[: len(weights)], list(weights))

    def balances(self) -> list[int]:
        return [self.functions.balanceOf(as_address(account)).call() for account in self.accounts]

    def payouts(self, epoch: int) -> list[Payout]:
        return [
            Payout(bytes.fromhex(account[2:]), amount) for account, amount in self.functions.payoutsOf(epoch).call()
        ]


@pytest.fixture
def stage(chain: AnvilChain) -> LedgerStage:
    federation = chain.web3.eth.accounts[1]
    ledger = chain.deploy(REWARD_LEDGER, "Consilium Reward", "CSR", federation, ROUND_CAP, EPOCH_CAP)
    made = LedgerStage(ledger, federation, hospital_ids(4), [os.urandom(20) for _ in range(4)])
    for hospital, account in zip(made.hospitals, made.accounts, strict=True):
        made.send(made.functions.setPayoutAddress(hospital, as_address(account)))
    return made


def test_a_pot_is_split_by_weight_among_those_who_took_part(stage: LedgerStage) -> None:
    stage.send(stage.credit([100, 300, 600]))
    assert stage.balances() == [10 * TOKEN, 30 * TOKEN, 60 * TOKEN, 0]
    assert stage.functions.totalSupply().call() == 100 * TOKEN


def test_a_weight_counts_up_to_its_cap(stage: LedgerStage) -> None:
    stage.send(stage.credit([100, 100, 1_000_000], cap=200))
    assert stage.balances() == [25 * TOKEN, 25 * TOKEN, 50 * TOKEN, 0]


def test_what_rounding_leaves_over_isnt_credited(stage: LedgerStage) -> None:
    stage.send(stage.credit([1, 1, 1], pot=100))
    assert stage.balances() == [33, 33, 33, 0]
    assert stage.functions.epochRecord(1).call()[1] == 99


def test_a_cap_that_is_met_shortens_the_pot(stage: LedgerStage) -> None:
    """A reward that is used up must not keep a round from ending."""
    stage.send(stage.credit([1], pot=5 * ROUND_CAP))
    assert stage.balances()[0] == ROUND_CAP
    stage.send(stage.credit([1]))
    stage.send(stage.credit([1]))
    assert stage.balances()[0] == EPOCH_CAP
    stage.send(stage.credit([1, 1]))
    assert stage.functions.totalSupply().call() == EPOCH_CAP
    stage.send(stage.functions.closeEpoch())
    stage.send(stage.credit([1]))
    assert stage.balances()[0] == EPOCH_CAP + ROUND_CAP


def test_a_round_is_credited_once(stage: LedgerStage) -> None:
    call = stage.credit([1, 2])
    stage.send(call)
    assert stage.refusal(call) == "RoundAlreadyCredited"
    assert stage.functions.roundCredited(call.args[0]).call()


def test_a_malformed_list_of_hospitals(stage: LedgerStage) -> None:
    one, other = stage.hospitals[:2]

    def refused(hospitals: list[bytes], weights: list[int], cap: int = 9) -> str:
        return stage.refusal(stage.functions.creditRound(os.urandom(32), 1, cap, hospitals, weights))

    assert refused([other, one], [1, 1]) == "HospitalsUnordered"
    assert refused([one, one], [1, 1]) == "HospitalsUnordered"
    assert refused([one, other], [1]) == "WeightsDontMatch"
    assert refused([one, other], [1, 0]) == "NoWeight"
    assert refused([one, other], [1, 1], cap=0) == "NoWeight"
    assert refused([], []) == "NobodyTookPart"


def test_nobody_but_the_federation_writes(stage: LedgerStage) -> None:
    """Least of all a hospital itself."""
    hospital = stage.ledger.chain.web3.eth.accounts[2]
    calls = [
        stage.credit([1]),
        stage.functions.setPayoutAddress(stage.hospitals[0], hospital),
        stage.functions.closeEpoch(),
    ]
    assert [stage.ledger.refusal(call, sender=hospital) for call in calls] == ["NotFederation"] * 3
    changing = {
        each["name"]
        for each in load_artifact(REWARD_LEDGER).abi
        if each["type"] == "function" and each["stateMutability"] == "nonpayable"
    }
    assert changing == {"creditRound", "setPayoutAddress", "closeEpoch", "transfer", "transferFrom"}


def test_rewards_dont_move_on_the_consortiums_ledger(chain: AnvilChain, stage: LedgerStage) -> None:
    holder, other = chain.web3.eth.accounts[3:5]
    stage.send(stage.functions.setPayoutAddress(stage.hospitals[0], holder))
    stage.send(stage.credit([1]))
    assert stage.functions.balanceOf(holder).call() == ROUND_CAP
    calls = [
        stage.functions.transfer(other, 1),
        stage.functions.approve(other, 1),
        stage.functions.transferFrom(holder, other, 0),
    ]
    assert [stage.ledger.refusal(call, sender=holder) for call in calls] == ["NotTransferable"] * 3
    taken = stage.functions.transferFrom(holder, other, 1)
    assert stage.ledger.refusal(taken, sender=other) == "ERC20InsufficientAllowance"


def test_a_reward_waits_for_a_payout_address(chain: AnvilChain, stage: LedgerStage) -> None:
    late = keccak256(b"LateMSP")
    stage.send(stage.functions.creditRound(os.urandom(32), 10, NO_WEIGHT_CAP, [late], [1]))
    assert stage.functions.unassigned(late).call() == 10
    assert stage.functions.totalSupply().call() == 0
    account = os.urandom(20)
    stage.send(stage.functions.setPayoutAddress(late, as_address(account)))
    assert stage.functions.balanceOf(as_address(account)).call() == 10
    assert stage.functions.unassigned(late).call() == 0
    assert stage.payouts(1) == [Payout(account, 10)]
    assert stage.refusal(stage.functions.setPayoutAddress(late, as_address(bytes(20)))) == "NoAddress"


def test_a_new_payout_address_takes_later_rewards_alone(stage: LedgerStage) -> None:
    stage.send(stage.credit([1], pot=10))
    moved = os.urandom(20)
    stage.send(stage.functions.setPayoutAddress(stage.hospitals[0], as_address(moved)))
    stage.send(stage.credit([1], pot=20))
    assert stage.payouts(1) == [Payout(stage.accounts[0], 10), Payout(moved, 20)]


@pytest.mark.parametrize("hospitals", [1, 2, 3, 4, 7])
def test_a_closed_epochs_root_is_that_of_its_payouts(stage: LedgerStage, hospitals: int) -> None:
    """Contract and Python build the same tree."""
    stage.hospitals = hospital_ids(hospitals)
    for hospital in stage.hospitals:
        stage.send(stage.functions.setPayoutAddress(hospital, as_address(os.urandom(20))))
    stage.send(stage.credit([10 + i for i in range(hospitals)]))
    stage.send(stage.functions.closeEpoch())
    payouts = stage.payouts(1)
    root, credited, count, closed_at = stage.functions.epochRecord(1).call()
    assert (root, count) == (payout_root(payouts), hospitals)
    assert credited == sum(payout.amount for payout in payouts)
    assert closed_at > 0
    assert stage.functions.openEpoch().call() == 2
    assert stage.refusal(stage.functions.closeEpoch()) == "NothingToClose"


def test_both_sides_balances_agree(chain: AnvilChain, consortium: Consortium, stage: LedgerStage) -> None:
    """Rounds are credited on one ledger, and paid by the bridge on another."""
    for weights in ([1, 2, 3, 4], [5, 5, 5], [7]):
        stage.send(stage.credit(weights, pot=70 * TOKEN))
    stage.send(stage.functions.closeEpoch())
    epoch = PaidEpoch(1, tuple(stage.payouts(1)))
    bridge = BridgeStage.set_up(chain, consortium)
    bridge.submit(epoch)
    bridge.wait_for_claims()
    for index in range(len(epoch.payouts)):
        chain.transact(bridge.claim(epoch, index))
    assert [bridge.balance(account) for account in stage.accounts] == stage.balances()
    assert bridge.functions.totalSupply().call() == stage.functions.totalSupply().call()


@pytest.mark.parametrize(("round_cap", "epoch_cap"), [(0, 10), (10, 9), (0, 0)])
def test_a_ledger_without_caps_isnt_deployed(chain: AnvilChain, round_cap: int, epoch_cap: int) -> None:
    with pytest.raises(ContractCustomError) as caught:
        chain.deploy(REWARD_LEDGER, "Reward", "R", chain.payer, round_cap, epoch_cap)
    assert str(caught.value.data) == "0x" + keccak256(b"NoCap()")[:4].hex()


def test_twenty_hospitals_fit_in_one_round(chain: AnvilChain, stage: LedgerStage) -> None:
    stage.hospitals = hospital_ids(20)
    for hospital in stage.hospitals:
        stage.send(stage.functions.setPayoutAddress(hospital, as_address(os.urandom(20))))
    first = stage.send(stage.credit([1] * 20))["gasUsed"]
    later = stage.send(stage.credit([1] * 20))["gasUsed"]
    assert first < 3_000_000
    assert later < 600_000
