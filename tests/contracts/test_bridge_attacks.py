"""What the bridge refuses, and why: each attack is an honest endorsement of something else, or a forged one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from bridge_stage import BridgeStage, as_address, random_epoch
from fabric_consortium import CHAINCODE, action_of, payload_of

from consilium_peers.ethereum.endorsed_answer import BridgeArguments, EndorsedAnswer
from consilium_proto.rewards.attestation import DECISION_FUNCTION, EPOCH_FUNCTION, BridgeLocation, encode_epoch
from consilium_proto.rewards.decisions import Pause, RevokeEndorser, encode_decision
from consilium_proto.rewards.payout_tree import payout_leaf, payout_proof

SIGNATURE_SIZE = 66
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def refusal(stage: BridgeStage, arguments: BridgeArguments) -> str:
    return stage.bridge.refusal(stage.submission(arguments))


@pytest.fixture(scope="module")
def good(untouched: BridgeStage) -> BridgeArguments:
    """What the bridge would take."""
    arguments = untouched.epoch_arguments(random_epoch(7))
    assert refusal(untouched, arguments) == ""
    return arguments


# ---- who endorsed


@pytest.mark.parametrize("endorsers", [0, 1, 2])
def test_too_few_endorsements(untouched: BridgeStage, good: BridgeArguments, endorsers: int) -> None:
    few = replace(good, signatures=good.signatures[: endorsers * SIGNATURE_SIZE])
    assert refusal(untouched, few) == "NotEnoughOrganizations"


def test_one_organisation_twice(untouched: BridgeStage, good: BridgeArguments) -> None:
    first = good.signatures[:SIGNATURE_SIZE]
    assert refusal(untouched, replace(good, signatures=good.signatures[: 2 * SIGNATURE_SIZE] + first)) == (
        "OrganizationTwice"
    )


def test_a_peer_that_isnt_registered(untouched: BridgeStage) -> None:
    stranger = untouched.consortium.peers[4]
    peers = [*untouched.consortium.peers[:2], stranger]
    answer = untouched.endorsed(EPOCH_FUNCTION, encode_epoch(untouched.location, random_epoch(7).root), peers)
    unregistered = {key.identity_hash: i for i, key in enumerate(untouched.consortium.keys)}
    # Under its own number, which the bridge doesn't know, and under another's.
    assert refusal(untouched, answer.arguments(unregistered, 3)) == "EndorserNotActive"
    unregistered[untouched.consortium.keys[4].identity_hash] = 3
    assert refusal(untouched, answer.arguments(unregistered, 3)) == "BadSignature"


def test_a_revoked_peer(stage: BridgeStage) -> None:
    arguments = stage.epoch_arguments(random_epoch(7))
    assert refusal(stage, arguments) == ""
    stage.decide(RevokeEndorser(stage.consortium.keys[0].identity_hash))
    assert refusal(stage, arguments) == "EndorserNotActive"
    others = stage.epoch_arguments(random_epoch(7), stage.consortium.peers[1:4])
    assert refusal(stage, others) == ""


def test_a_signature_with_high_s(untouched: BridgeStage, good: BridgeArguments) -> None:
    s = int.from_bytes(good.signatures[34:66], "big")
    other_form = good.signatures[:34] + (P256_ORDER - s).to_bytes(32, "big") + good.signatures[66:]
    assert refusal(untouched, replace(good, signatures=other_form)) == "HighS"


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (P256_ORDER, 1), (P256_ORDER + 1, 1)])
def test_numbers_that_are_no_signature(untouched: BridgeStage, good: BridgeArguments, r: int, s: int) -> None:
    forged = good.signatures[:2] + r.to_bytes(32, "big") + s.to_bytes(32, "big") + good.signatures[66:]
    assert refusal(untouched, replace(good, signatures=forged)) == "BadSignature"


def test_signatures_of_another_answer(untouched: BridgeStage, good: BridgeArguments) -> None:
    other = untouched.epoch_arguments(random_epoch(7))
    assert refusal(untouched, replace(good, signatures=other.signatures)) == "BadSignature"


@pytest.mark.parametrize("cut", [1, 65])
def test_signatures_of_an_odd_length(untouched: BridgeStage, good: BridgeArguments, cut: int) -> None:
    assert refusal(untouched, replace(good, signatures=good.signatures[:-cut])) == "BadSignatures"
    assert refusal(untouched, replace(good, signatures=good.signatures + bytes(cut))) == "BadSignatures"


# ---- what was endorsed


def epoch_answer(stage: BridgeStage) -> bytes:
    return encode_epoch(stage.location, random_epoch(7).root)


def asked(stage: BridgeStage, answer: EndorsedAnswer) -> str:
    return refusal(stage, answer.arguments(stage.numbers, 3))


def test_another_channel(untouched: BridgeStage) -> None:
    """The same organisations' peers, the same chaincode's name, on a channel where anybody may deploy it."""
    answer = untouched.endorsed(EPOCH_FUNCTION, epoch_answer(untouched), channel="trial")
    assert asked(untouched, answer) == "BadChannel"


def test_another_chaincode(untouched: BridgeStage) -> None:
    answer = untouched.endorsed(EPOCH_FUNCTION, epoch_answer(untouched), chaincode="evm")
    assert asked(untouched, answer) == "BadChaincode"


@pytest.mark.parametrize("function", ["eth_call", "Query", DECISION_FUNCTION, "AttestEpoch2", "attestepoch", ""])
def test_bytes_shaped_like_an_attestation_from_another_function(untouched: BridgeStage, function: str) -> None:
    """A contract in the EVM can be written to return any bytes; so the bridge looks at what was asked, too."""
    answer = untouched.endorsed(function, epoch_answer(untouched))
    assert answer.function == function
    assert asked(untouched, answer) == "BadFunction"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda here: replace(here, chain_id=here.chain_id + 1), "OtherChain"),
        (lambda here: replace(here, chain_id=1), "OtherChain"),
        (lambda here: replace(here, address=bytes(19) + b"\1"), "OtherBridge"),
        (lambda here: replace(here, channel="trial"), "OtherChannel"),
    ],
    ids=["next chain", "mainnet", "bridge", "channel"],
)
def test_an_attestation_for_somewhere_else(
    untouched: BridgeStage, change: Callable[[BridgeLocation], BridgeLocation], expected: str
) -> None:
    elsewhere = encode_epoch(change(untouched.location), random_epoch(7).root)
    assert asked(untouched, untouched.endorsed(EPOCH_FUNCTION, elsewhere)) == expected


def test_an_attestation_of_another_version_kind_or_size(untouched: BridgeStage) -> None:
    answer = epoch_answer(untouched)
    pause = encode_decision(untouched.location, 1, Pause())
    expected = {
        answer[:7] + b"\2" + answer[8:]: "BadMagic",
        b"{" + answer[1:]: "BadMagic",
        pause: "BadKind",
        answer[:8] + bytes([200]) + answer[9:]: "BadKind",
        answer[:-1]: "BadSize",
        answer + b"\0": "BadSize",
        answer[:92]: "BadSize",
        b"": "BadEncoding",  # an empty field isn't written
    }
    found = {
        content: refusal(untouched, forced_arguments(untouched, untouched.endorsed(EPOCH_FUNCTION, content)))
        for content in expected
    }
    assert found == expected


def forced_arguments(stage: BridgeStage, answer: EndorsedAnswer) -> BridgeArguments:
    """Assemble what our own program wouldn't, as it isn't an attestation."""
    stand_in = stage.endorsed(EPOCH_FUNCTION, epoch_answer(stage))
    signatures = replace(stand_in, endorsements=answer.endorsements).arguments(stage.numbers, 3).signatures
    return BridgeArguments(
        answer.payload, answer.channel_header, answer.signature_header, answer.proposal_payload, signatures
    )


def test_an_answer_with_another_status(untouched: BridgeStage) -> None:
    """Peers endorse no status from 400 on, but everything below."""
    question = untouched.consortium.question(EPOCH_FUNCTION)
    for status in (0, 199, 201, 399, 500):
        action = action_of(epoch_answer(untouched), CHAINCODE, status).SerializeToString()
        envelope = untouched.consortium.envelope(
            question, payload_of(question.hash, action), untouched.consortium.peers[:3]
        )
        assert asked(untouched, EndorsedAnswer.of_prepared(envelope)) == "BadEncoding"


def test_a_decision_is_no_epoch_and_an_epoch_no_decision(untouched: BridgeStage) -> None:
    epoch = untouched.epoch_arguments(random_epoch(7))
    assert untouched.bridge.refusal(untouched.functions.carryOut(epoch.as_tuple())) == "BadFunction"
    kind_of_epoch = untouched.endorsed(DECISION_FUNCTION, epoch_answer(untouched)[:93] + (1).to_bytes(8, "big"))
    call = untouched.functions.carryOut(kind_of_epoch.arguments(untouched.numbers, 3).as_tuple())
    assert untouched.bridge.refusal(call) == "BadKind"


# ---- again, or too much


def test_a_replayed_epoch(stage: BridgeStage) -> None:
    epoch = random_epoch(7)
    arguments = stage.epoch_arguments(epoch)
    stage.chain.transact(stage.submission(arguments))
    assert refusal(stage, arguments) == "EpochAlreadyAccepted"
    # Nor after another, nor a second version of it.
    stage.submit(random_epoch(8))
    assert refusal(stage, arguments) == "EpochAlreadyAccepted"
    assert refusal(stage, stage.epoch_arguments(random_epoch(7))) == "EpochAlreadyAccepted"


def test_a_double_claim(stage: BridgeStage) -> None:
    epoch = random_epoch(7)
    stage.submit(epoch)
    stage.wait_for_claims()
    stage.chain.transact(stage.claim(epoch, 5))
    assert stage.bridge.refusal(stage.claim(epoch, 5)) == "AlreadyClaimed"
    assert stage.bridge.refusal(stage.claim(epoch, 6)) == ""


def test_a_wrong_amount_account_index_or_epoch(stage: BridgeStage) -> None:
    epoch = random_epoch(7)
    stage.submit(epoch)
    stage.submit(random_epoch(8))
    stage.wait_for_claims()
    payout, proof = epoch.payouts[5], payout_proof(epoch.payouts, 5)
    account, other = as_address(payout.account), as_address(epoch.payouts[4].account)
    right = (7, 5, account, payout.amount, proof)
    assert stage.bridge.refusal(stage.functions.claim(*right)) == ""
    wrong = [
        (7, 5, account, payout.amount + 1, proof),
        (7, 5, account, payout.amount - 1, proof),
        (7, 5, other, payout.amount, proof),
        (7, 4, account, payout.amount, proof),
        (7, 5 + 256, account, payout.amount, proof),
        (8, 5, account, payout.amount, proof),
        (7, 5, account, payout.amount, proof[:-1]),
        (7, 5, account, payout.amount, ()),
        (7, 5, account, payout.amount, (*proof, bytes(32))),
        (7, 5, account, payout.amount, (payout_leaf(5, payout), *proof)),
    ]
    assert {stage.bridge.refusal(stage.functions.claim(*each)) for each in wrong} == {"BadProof"}
    assert stage.bridge.refusal(stage.functions.claim(9, 5, account, payout.amount, proof)) == "EpochUnknown"


def test_an_epoch_never_pays_more_than_was_attested(stage: BridgeStage) -> None:
    """Even if k organisations attested a root that promises more than the total."""
    epoch = random_epoch(7, 3)
    short = replace(epoch.root, total=epoch.payouts[0].amount + epoch.payouts[1].amount)
    answer = stage.endorsed(EPOCH_FUNCTION, encode_epoch(stage.location, short))
    stage.chain.transact(stage.submission(answer.arguments(stage.numbers, 3)))
    stage.wait_for_claims()
    stage.chain.transact(stage.claim(epoch, 0))
    stage.chain.transact(stage.claim(epoch, 1))
    assert stage.bridge.refusal(stage.claim(epoch, 2)) == "MoreThanAttested"


def test_a_claim_before_the_challenge_delay_has_ended(stage: BridgeStage) -> None:
    epoch = random_epoch(7)
    stage.submit(epoch)
    assert stage.bridge.refusal(stage.claim(epoch, 0)) == "OpenToChallenge"
    stage.wait_for_claims()
    assert stage.bridge.refusal(stage.claim(epoch, 0)) == ""
