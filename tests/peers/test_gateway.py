"""The client against gateways that the test plays: failover, retries, deadlines, what errors tell, events."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import grpc
import pytest
from client_credentials import Credentials
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from fabric_protos.common import common_pb2
from fabric_protos.gateway import gateway_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from played_gateway import BLOCK, ENDORSERS, Code, Hangs, PlayedGateway, Refuses

from consilium_peers import commit, endorsing
from consilium_peers.errors import (
    CommitError,
    CommitStatusError,
    EndorseError,
    EvaluateError,
    PeerDetail,
    SubmitError,
)
from consilium_peers.gateway import Contract, Gateway
from consilium_proto.refusals import RefusalCode

Both = tuple[PlayedGateway, PlayedGateway]
UNAVAILABLE = Refuses(grpc.StatusCode.UNAVAILABLE)
REFUSAL = PeerDetail("HungaryMSP", "127.0.0.1:7051", "chaincode response 400, WRONG_PHASE: round 3 is sealed")
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "RESEND_SECONDS", 0.15)
    monkeypatch.setattr(commit, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(endorsing, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(endorsing, "SETTLING_SECONDS", 0.3)


# ---- what is sent


async def test_a_proposal_is_what_fabric_expects(gateway: Gateway, contract: Contract, gateways: Both) -> None:
    await contract.evaluate("Get", b"\x00key", transient={"note": b"secret"})
    request = gateways[0].calls["evaluate"][0]
    signed = request.proposed_transaction
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
    payload = proposal_pb2.ChaincodeProposalPayload.FromString(proposal.payload)
    spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    assert channel_header.channel_id == request.channel_id == "consilium"
    assert channel_header.tx_id == request.transaction_id
    assert channel_header.tx_id == hashlib.sha256(signature_header.nonce + signature_header.creator).hexdigest()
    assert abs(channel_header.timestamp.ToSeconds() - time.time()) < 5
    assert list(spec.input.args) == [b"Get", b"\x00key"]
    assert dict(payload.TransientMap) == {"note": b"secret"}
    assert b"secret" not in payload.input
    check_signature(gateway, signed.proposal_bytes, signed.signature)


def check_signature(gateway: Gateway, message: bytes, signature: bytes) -> None:
    key = gateway.identity.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    assert decode_dss_signature(signature)[1] <= P256_ORDER // 2


async def test_every_signature_has_low_s(gateway: Gateway) -> None:
    for number in range(64):  # half of all signatures have a high s at first
        message = number.to_bytes(2)
        check_signature(gateway, message, gateway.identity.sign(message))


async def test_submit_endorses_orders_and_waits(gateway: Gateway, contract: Contract, gateways: Both) -> None:
    result = await contract.submit("Put", b"key", b"value", endorsing_organizations=["HungaryMSP"])
    calls = gateways[0].calls
    assert (result.payload, result.block, result.endorsers) == (b"endorsed", BLOCK, ENDORSERS)
    assert 0 < result.latency < 5
    assert list(calls["endorse"][0].endorsing_organizations) == ["HungaryMSP"]
    assert {calls["endorse"][0].transaction_id, calls["submit"][0].transaction_id} == {result.tx_id}
    envelope = calls["submit"][0].prepared_transaction
    check_signature(gateway, envelope.payload, envelope.signature)
    check_signature(gateway, calls["status"][0].request, calls["status"][0].signature)
    asked = gateway_pb2.CommitStatusRequest.FromString(calls["status"][0].request)
    assert asked.transaction_id == result.tx_id
    assert not gateways[1].calls


# ---- another gateway


async def test_a_dead_gateway_is_passed_over(contract: Contract, gateways: Both) -> None:
    await gateways[0].stop()
    assert await contract.evaluate("Get") == b"answer"
    assert (await contract.submit("Put")).block == BLOCK
    assert len(gateways[1].calls["evaluate"]) == 1


async def test_the_own_gateway_is_used_again_when_it_is_back(
    contract: Contract, gateways: Both, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consilium_peers.connection.REST_SECONDS", 0.2)
    await gateways[0].stop()
    await contract.evaluate("Get")
    await credentials.start(gateways[0])
    deadline = time.monotonic() + 5
    while not gateways[0].calls["evaluate"] and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        await contract.evaluate("Get")
    assert gateways[0].calls["evaluate"]


async def test_a_hanging_gateway_leaves_time_for_the_next(contract: Contract, gateways: Both) -> None:
    gateways[0].will("evaluate", Hangs())
    began = time.monotonic()
    assert await contract.evaluate("Get", timeout=0.6) == b"answer"
    assert time.monotonic() - began < 0.6
    await contract.evaluate("Get")  # it isn't asked again at once
    assert len(gateways[0].calls["evaluate"]) == 1


async def test_an_answer_is_final_also_a_refusal(contract: Contract, gateways: Both) -> None:
    refusal = "chaincode response 404, NOT_FOUND: there is no study S9"
    gateways[0].will("evaluate", Refuses(grpc.StatusCode.UNKNOWN, refusal))
    with pytest.raises(EvaluateError) as caught:
        await contract.evaluate("ReadStudy")
    assert caught.value.refusal is RefusalCode.NOT_FOUND
    assert not caught.value.transient
    assert not gateways[1].calls


async def test_a_gateway_that_lacks_endorsers_is_passed_over(contract: Contract, gateways: Both) -> None:
    gateways[0].will("endorse", Refuses(grpc.StatusCode.FAILED_PRECONDITION, "no combination of peers"))
    await contract.submit("Put")
    assert len(gateways[1].calls["endorse"]) == 1


async def test_with_all_gateways_dead_the_deadline_holds(contract: Contract, gateways: Both) -> None:
    for each in gateways:
        await each.stop()
    began = time.monotonic()
    with pytest.raises(EndorseError) as caught:
        await contract.submit("Put", timeout=0.5)
    assert time.monotonic() - began < 2
    assert caught.value.status == "UNAVAILABLE"
    assert caught.value.transient


# ---- once, whatever happens


async def test_the_same_envelope_is_sent_until_the_outcome_is_known(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", Hangs(), Hangs())
    gateways[1].will("status", Hangs(), Hangs())
    result = await contract.submit("Put", timeout=10)
    sent = [call for each in gateways for call in each.calls["submit"]]
    assert len(sent) >= 3
    assert {call.prepared_transaction.SerializeToString() for call in sent} == {
        sent[0].prepared_transaction.SerializeToString()
    }
    assert sum(len(each.calls["endorse"]) for each in gateways) == 1
    assert {call.transaction_id for call in sent} == {result.tx_id}


async def test_a_silent_gateway_is_not_the_only_one_asked_for_the_outcome(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", *(Hangs() for _ in range(20)))
    assert (await contract.submit("Put", timeout=5)).block == BLOCK
    assert gateways[1].calls["status"]


@pytest.mark.parametrize("text", ["request already processed", "the request already exists"])
async def test_an_envelope_that_was_ordered_already_is_a_success(contract: Contract, gateways: Both, text: str) -> None:
    detail = PeerDetail("HungaryMSP", "127.0.0.1:7053", f"received unsuccessful response from orderer: {text}")
    gateways[0].will("submit", Refuses(grpc.StatusCode.UNAVAILABLE, "insufficient number of orderers", [detail]))
    await contract.submit("Put")
    assert len(gateways[0].calls["submit"]) == 1
    assert not gateways[1].calls


async def test_unavailable_orderers_are_asked_again(contract: Contract, gateways: Both) -> None:
    for each in gateways:
        each.will("submit", UNAVAILABLE, UNAVAILABLE)
        each.will("status", Hangs())
    await contract.submit("Put", timeout=10)
    assert sum(len(each.calls["submit"]) for each in gateways) >= 3
    assert sum(len(each.calls["endorse"]) for each in gateways) == 1


async def test_what_orderers_refuse_is_not_sent_again(contract: Contract, gateways: Both) -> None:
    gateways[0].will("submit", Refuses(grpc.StatusCode.ABORTED, "status=FORBIDDEN"))
    with pytest.raises(SubmitError, match="FORBIDDEN"):
        await contract.submit("Put")
    assert len(gateways[0].calls["submit"]) == 1


async def test_a_refusal_after_an_acceptance_does_not_hide_the_outcome(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", Hangs())
    gateways[1].will("submit", Refuses(grpc.StatusCode.ABORTED, "some orderer is confused"))
    assert (await contract.submit("Put", timeout=5)).block == BLOCK


async def test_an_unknown_outcome_says_so_and_names_the_transaction(contract: Contract, gateways: Both) -> None:
    for each in gateways:
        each.will("status", *(Hangs() for _ in range(20)))
    began = time.monotonic()
    with pytest.raises(CommitStatusError, match="the outcome isn't known") as caught:
        await contract.submit("Put", timeout=0.5)
    assert time.monotonic() - began < 2
    assert caught.value.tx_id == gateways[0].calls["submit"][0].transaction_id


@pytest.mark.parametrize("code", ["MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT"])
async def test_a_conflict_is_proposed_anew(contract: Contract, gateways: Both, code: str) -> None:
    gateways[0].will("status", Code(code), Code(code))
    result = await contract.submit("Increment")
    proposed = [call.transaction_id for call in gateways[0].calls["endorse"]]
    assert len(set(proposed)) == 3
    assert result.tx_id == proposed[-1]


async def test_other_invalid_transactions_are_not_repeated(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", Code("ENDORSEMENT_POLICY_FAILURE"))
    with pytest.raises(CommitError) as caught:
        await contract.submit("Put")
    assert caught.value.status == "ENDORSEMENT_POLICY_FAILURE"
    assert len(gateways[0].calls["endorse"]) == 1


async def test_an_endless_conflict_ends_at_the_deadline(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", *(Code("MVCC_READ_CONFLICT") for _ in range(1000)))
    with pytest.raises(CommitError) as caught:
        await contract.submit("Increment", timeout=0.3)
    assert caught.value.status == "MVCC_READ_CONFLICT"


async def test_peers_that_are_away_for_a_moment_are_asked_again(contract: Contract, gateways: Both) -> None:
    for each in gateways:
        each.will("endorse", UNAVAILABLE)
    await contract.submit("Put", timeout=5)


async def test_a_refused_endorsement_names_every_peer_and_is_not_repeated(contract: Contract, gateways: Both) -> None:
    other = PeerDetail("LongBeachMSP", "127.0.0.1:7141", "chaincode response 400, WRONG_PHASE: round 3 is sealed")
    gateways[0].will("endorse", Refuses(grpc.StatusCode.ABORTED, "failed to endorse", [REFUSAL, other]))
    with pytest.raises(EndorseError) as caught:
        await contract.submit("Join")
    assert caught.value.details == (REFUSAL, other)
    assert caught.value.refusal is RefusalCode.WRONG_PHASE
    assert "HungaryMSP at 127.0.0.1:7051" in str(caught.value)
    assert "LongBeachMSP" in str(caught.value)
    assert len(gateways[0].calls["endorse"]) == 1
    assert not gateways[0].calls["submit"]


async def test_a_stranger_gets_no_connection(gateways: Both, credentials: Credentials, tmp_path: Path) -> None:
    stranger = Credentials.create(tmp_path)
    (tmp_path / "roots.pem").write_bytes((credentials.root / "roots.pem").read_bytes())
    async with Gateway.connect(stranger.profile(f"127.0.0.1:{gateways[0].port}")) as connected:
        with pytest.raises(EvaluateError) as caught:
            await connected.network().contract().evaluate("Get", timeout=3)
    assert caught.value.status == "UNAVAILABLE"
    assert not gateways[0].calls
