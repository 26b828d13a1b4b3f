"""What k of n organisations may decide about their bridge, and nobody else."""

from __future__ import annotations

import pytest
from anvil_chain import AnvilChain
from bridge_stage import BridgeStage, random_epoch, registration_tuple, terms
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_consortium import Consortium, make_identity
from web3.exceptions import ContractCustomError

from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.identity import Identity
from consilium_proto.contracts import REWARD_BRIDGE, load_artifact
from consilium_proto.rewards.decisions import (
    AddEndorser,
    Decision,
    Pause,
    Resume,
    RevokeEndorser,
    SetThreshold,
    VoidEpoch,
)
from consilium_proto.rewards.keccak import keccak256
from consilium_proto.rewards.payout_tree import payout_root


def refusal(stage: BridgeStage, decision: Decision) -> str:
    return stage.bridge.refusal(stage.decision(decision))


def test_an_endorser_is_rotated(stage: BridgeStage) -> None:
    """The new certificate counts beside the old one, until that is revoked."""
    consortium = Consortium(0)
    consortium.peers = [make_identity("Hospital0MSP", "peer0.hospital0.example"), *stage.consortium.peers[1:4]]
    consortium.client = stage.consortium.client
    old, new = stage.consortium.keys[0], consortium.keys[0]
    stage.decide(new.registration())
    stage.add_endorser_number(new)
    epoch = random_epoch(7)
    with_new = stage.epoch_arguments(epoch, consortium.peers[:3])
    assert stage.bridge.refusal(stage.submission(with_new)) == ""
    stage.decide(RevokeEndorser(old.identity_hash))
    assert stage.functions.activeOrganizations().call() == 4
    assert stage.bridge.refusal(stage.submission(stage.epoch_arguments(epoch))) == "EndorserNotActive"
    stage.chain.transact(stage.submission(with_new))


def test_two_peers_of_one_organisation_count_once(stage: BridgeStage) -> None:
    second = make_identity("Hospital0MSP", "peer1.hospital0.example")
    key = EndorserKey.read(second.serialized)
    stage.decide(key.registration())
    stage.add_endorser_number(key)
    epoch = random_epoch(7)
    own = stage.epoch_arguments(epoch, [second, *stage.consortium.peers[1:3]])
    assert stage.bridge.refusal(stage.submission(own)) == ""
    # Both peers of Hospital0 sign the very same answer.
    number = stage.numbers[key.identity_hash].to_bytes(2, "big")
    first = stage.consortium.peers[0]
    both = sign_also(own.payload, first, number=stage.numbers[EndorserKey.read(first.serialized).identity_hash])
    assert own.signatures.startswith(number)
    arguments = (*own.as_tuple()[:4], own.signatures[:132] + both)
    assert stage.bridge.refusal(stage.functions.submitEpoch(arguments)) == "OrganizationTwice"


def sign_also(payload: bytes, peer: Identity, number: int) -> bytes:
    r, s = decode_dss_signature(peer.sign(payload + peer.serialized))
    return number.to_bytes(2, "big") + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def test_a_revoked_endorser_never_comes_back(stage: BridgeStage) -> None:
    key = stage.consortium.keys[3]
    stage.decide(RevokeEndorser(key.identity_hash))
    assert refusal(stage, key.registration()) == "EndorserKnown"
    assert refusal(stage, RevokeEndorser(key.identity_hash)) == "EndorserNotActive"
    assert refusal(stage, RevokeEndorser(bytes(32))) == "EndorserUnknown"


def test_the_threshold_stays_above_half_and_within_reach(stage: BridgeStage) -> None:
    assert refusal(stage, SetThreshold(2)) == "BadThreshold"
    assert refusal(stage, SetThreshold(5)) == "BadThreshold"
    stage.decide(SetThreshold(4))
    # With 4 of 4 nobody can be revoked: what is left could decide nothing any more.
    four = stage.consortium.peers[:4]
    call = stage.decision(RevokeEndorser(stage.consortium.keys[0].identity_hash), four)
    assert stage.bridge.refusal(call) == "BadThreshold"
    stage.decide(SetThreshold(3), four)
    stage.decide(stage.consortium.keys[4].registration())
    # With 3 of 6, two groups that have nobody in common could attest different things.
    assert refusal(stage, stage.consortium.keys[5].registration()) == "BadThreshold"
    stage.decide(SetThreshold(4))
    call = stage.decision(stage.consortium.keys[5].registration(), four)
    assert stage.bridge.refusal(call) == ""


def test_a_pause_stops_epochs_and_claims_but_no_decisions(stage: BridgeStage) -> None:
    epoch = random_epoch(7)
    stage.submit(epoch)
    stage.wait_for_claims()
    stage.decide(Pause())
    assert stage.bridge.refusal(stage.claim(epoch, 0)) == "EnforcedPause"
    assert stage.bridge.refusal(stage.submission(stage.epoch_arguments(random_epoch(8)))) == "EnforcedPause"
    assert refusal(stage, Pause()) == "EnforcedPause"
    stage.decide(Resume())
    stage.chain.transact(stage.claim(epoch, 0))
    assert refusal(stage, Resume()) == "ExpectedPause"


def test_a_false_epoch_is_challenged_and_the_right_one_taken(stage: BridgeStage) -> None:
    false, right = random_epoch(7), random_epoch(7)
    arguments = stage.epoch_arguments(false)
    stage.chain.transact(stage.submission(arguments))
    stage.decide(Pause())
    stage.decide(VoidEpoch(7, payout_root(false.payouts)))
    stage.decide(Resume())
    assert stage.bridge.refusal(stage.submission(arguments)) == "EpochWasVoided"
    stage.submit(right)
    stage.wait_for_claims()
    assert stage.bridge.refusal(stage.claim(false, 0)) == "BadProof"
    stage.chain.transact(stage.claim(right, 0))


def test_an_epoch_can_be_voided_before_anybody_brings_it(stage: BridgeStage) -> None:
    false = random_epoch(7)
    stage.decide(VoidEpoch(7, payout_root(false.payouts)))
    assert stage.bridge.refusal(stage.submission(stage.epoch_arguments(false))) == "EpochWasVoided"
    stage.submit(random_epoch(7))


def test_voiding_one_root_leaves_another_accepted_one(stage: BridgeStage) -> None:
    epoch = random_epoch(7)
    stage.submit(epoch)
    stage.decide(VoidEpoch(7, bytes(31) + b"\1"))
    stage.wait_for_claims()
    assert stage.bridge.refusal(stage.claim(epoch, 0)) == ""


def test_marks_of_a_voided_epoch_dont_bar_the_right_ones_claims(stage: BridgeStage) -> None:
    false, right = random_epoch(7, 130), random_epoch(7, 130)
    stage.submit(false)
    stage.wait_for_claims()
    for index in (0, 125):
        stage.chain.transact(stage.claim(false, index))
    stage.decide(VoidEpoch(7, payout_root(false.payouts)))
    stage.submit(right)
    stage.wait_for_claims()
    for index in (0, 125):
        stage.chain.transact(stage.claim(right, index))


def test_decisions_are_carried_out_once_and_in_order(stage: BridgeStage) -> None:
    first = stage.decision(Pause(), number=1)
    assert stage.bridge.refusal(stage.decision(Resume(), number=2)) == "DecisionOutOfTurn"
    stage.chain.transact(first)
    assert stage.bridge.refusal(first) == "DecisionOutOfTurn"
    stage.chain.transact(stage.decision(Resume(), number=2))
    assert stage.bridge.refusal(first) == "DecisionOutOfTurn"
    assert stage.functions.paused().call() is False


@pytest.mark.parametrize(
    "decision", [Pause(), SetThreshold(4), VoidEpoch(1, bytes(32))], ids=lambda each: each.kind.name
)
def test_fewer_than_k_decide_nothing(untouched: BridgeStage, decision: Decision) -> None:
    call = untouched.decision(decision)
    endorsed = call.args[0]
    few = (*endorsed[:4], endorsed[4][:132])
    assert untouched.bridge.refusal(untouched.functions.carryOut(few)) == "NotEnoughOrganizations"


def test_a_decision_that_says_too_much_or_too_little(untouched: BridgeStage) -> None:
    class Longer(Pause):
        def content(self) -> bytes:
            return b"\0"

    class Shorter(SetThreshold):
        def content(self) -> bytes:
            return b"\4"

    assert refusal(untouched, Longer()) == "BadSize"
    assert refusal(untouched, Shorter(4)) == "BadSize"


def test_endorsers_that_cant_be(untouched: BridgeStage) -> None:
    key = untouched.consortium.keys[5].registration()
    off_the_curve = AddEndorser(key.qx, key.qy ^ 1, key.msp_id, key.certificate)
    assert refusal(untouched, off_the_curve) == "NotAKey"
    assert refusal(untouched, AddEndorser(0, 0, key.msp_id, key.certificate)) == "NotAKey"

    class Nameless(AddEndorser):
        def content(self) -> bytes:
            return key.content()[:64] + b"\0" + key.certificate

    assert refusal(untouched, Nameless(key.qx, key.qy, "", key.certificate)) == "BadIdentity"


def test_nobody_owns_the_bridge(stage: BridgeStage) -> None:
    """Every function that changes something is open to all and asks for a proof; none asks who calls."""
    abi = load_artifact(REWARD_BRIDGE).abi
    changing = {
        each["name"] for each in abi if each["type"] == "function" and each["stateMutability"] not in ("view", "pure")
    }
    assert changing == {"submitEpoch", "carryOut", "claim", "transfer", "transferFrom", "approve"}
    stranger = stage.chain.web3.eth.accounts[5]
    epoch = random_epoch(7)
    stage.chain.transact(stage.submission(stage.epoch_arguments(epoch)), sender=stranger)
    stage.chain.transact(stage.decision(SetThreshold(4)), sender=stranger)
    stage.wait_for_claims()
    stage.chain.transact(stage.claim(epoch, 0), sender=stranger)
    assert stage.balance(epoch.payouts[0].account) == epoch.payouts[0].amount


@pytest.mark.parametrize(("threshold", "organizations"), [(0, 0), (2, 4), (5, 4), (1, 2)])
def test_a_bridge_with_a_bad_threshold_isnt_deployed(
    chain: AnvilChain, consortium: Consortium, threshold: int, organizations: int
) -> None:
    artifact = load_artifact(REWARD_BRIDGE)
    made = chain.web3.eth.contract(abi=list(artifact.abi), bytecode=artifact.creation_code)
    registrations = [registration_tuple(key) for key in consortium.keys[:organizations]]
    with pytest.raises(ContractCustomError) as caught:
        made.constructor(terms(threshold), registrations).estimate_gas({"from": chain.payer})
    assert str(caught.value.data).startswith("0x" + keccak256(b"BadThreshold(uint256,uint256)")[:4].hex())
