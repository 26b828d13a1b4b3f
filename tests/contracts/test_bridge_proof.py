"""From a prepared transaction to the bridge's arguments, and what keeps it from convincing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_consortium import Consortium, action_of, make_identity, payload_of
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2

from consilium_peers.ethereum.endorsed_answer import EndorsedAnswer
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_proto.rewards.attestation import EPOCH_FUNCTION, BridgeLocation, EpochRoot, encode_epoch

ANSWER = encode_epoch(BridgeLocation("consilium", 31337, bytes(20)), EpochRoot(7, 1000, bytes(32), 3))


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return Consortium(4)


@pytest.fixture
def numbers(consortium: Consortium) -> dict[bytes, int]:
    return {key.identity_hash: 10 + i for i, key in enumerate(consortium.keys)}


def endorsed(consortium: Consortium, answer: bytes = ANSWER, organizations: int = 4) -> EndorsedAnswer:
    question = consortium.question(EPOCH_FUNCTION)
    payload = payload_of(question.hash, action_of(answer).SerializeToString())
    return EndorsedAnswer.of_prepared(consortium.envelope(question, payload, consortium.peers[:organizations]))


def test_a_prepared_transaction_becomes_arguments(consortium: Consortium, numbers: dict[bytes, int]) -> None:
    answer = endorsed(consortium)
    assert (answer.answer, answer.function) == (ANSWER, EPOCH_FUNCTION)
    arguments = answer.arguments(numbers, 3)
    packed = [arguments.signatures[i : i + 66] for i in range(0, len(arguments.signatures), 66)]
    assert [int.from_bytes(each[:2], "big") for each in packed] == [10, 11, 12]
    assert arguments.as_tuple()[:4] == (
        answer.payload,
        answer.channel_header,
        answer.signature_header,
        answer.proposal_payload,
    )


def test_of_each_organisation_one_registered_peer_is_taken(consortium: Consortium, numbers: dict[bytes, int]) -> None:
    """A peer whose endorsements the bridge doesn't count gives way to its organisation's other one."""
    unregistered = make_identity("Hospital0MSP", "peer1.hospital0.example")
    question = consortium.question(EPOCH_FUNCTION)
    payload = payload_of(question.hash, action_of(ANSWER).SerializeToString())
    peers = [unregistered, *consortium.peers[:3]]
    arguments = EndorsedAnswer.of_prepared(consortium.envelope(question, payload, peers)).arguments(numbers, 3)
    assert arguments.signatures[:2] == (10).to_bytes(2, "big")
    with pytest.raises(BridgeProofError, match=r"3 organisations and counts 2 of Hospital0MSP, Hospital1MSP, Hosp"):
        EndorsedAnswer.of_prepared(consortium.envelope(question, payload, [unregistered, *peers[2:]])).arguments(
            numbers, 3
        )


def test_too_few_organisations_are_named(consortium: Consortium, numbers: dict[bytes, int]) -> None:
    with pytest.raises(BridgeProofError, match="wants endorsements of 3 organisations and counts 2"):
        endorsed(consortium, organizations=2).arguments(numbers, 3)
    with pytest.raises(BridgeProofError, match="counts 0 of nobody"):
        endorsed(consortium, organizations=0).arguments(numbers, 3)


def test_what_isnt_an_attestation_isnt_carried(consortium: Consortium, numbers: dict[bytes, int]) -> None:
    with pytest.raises(BridgeProofError, match="AttestEpoch didn't answer an attestation"):
        endorsed(consortium, b'{"epoch":7}').arguments(numbers, 3)


def test_a_signature_over_something_else_is_noticed(consortium: Consortium) -> None:
    question = consortium.question(EPOCH_FUNCTION)
    payload = payload_of(question.hash, action_of(ANSWER).SerializeToString())
    envelope = consortium.envelope(question, payload, consortium.peers[:3])
    altered = envelope.payload.replace(ANSWER, ANSWER[:-1] + b"\4")
    assert altered != envelope.payload
    with pytest.raises(BridgeProofError, match="endorsement of Hospital0MSP isn't a signature over this answer"):
        EndorsedAnswer.of_prepared(common_pb2.Envelope(payload=altered))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x12\x03abc"])
def test_what_is_no_endorsed_transaction_is_named(payload: bytes) -> None:
    with pytest.raises(BridgeProofError, match=r"endorsed transaction can't be read|has one action"):
        EndorsedAnswer.of_prepared(common_pb2.Envelope(payload=payload))


def test_unreadable_parts_are_named(consortium: Consortium) -> None:
    answer = endorsed(consortium)
    with pytest.raises(BridgeProofError, match="endorsed answer can't be read"):
        _ = replace(answer, payload=b"\xff").answer
    with pytest.raises(BridgeProofError, match="proposal can't be read"):
        _ = replace(answer, proposal_payload=b"\xff").function


def test_an_endorser_is_what_its_certificate_says(consortium: Consortium) -> None:
    key = consortium.keys[1]
    added = key.registration()
    numbers = consortium.peers[1].certificate.public_key().public_numbers()  # type: ignore[union-attr]
    assert (added.qx, added.qy, added.msp_id) == (numbers.x, numbers.y, "Hospital1MSP")  # type: ignore[union-attr]
    assert added.certificate == consortium.peers[1].certificate_pem


def test_identities_that_no_bridge_verifies_are_refused(consortium: Consortium) -> None:
    with pytest.raises(BridgeProofError, match="identity can't be read"):
        EndorserKey.read(b"\xff")
    with pytest.raises(BridgeProofError, match="identity can't be read"):
        EndorserKey.read(identities_pb2.SerializedIdentity(mspid="OrgMSP", id_bytes=b"x").SerializeToString())
    with pytest.raises(BridgeProofError, match="isn't encoded as Fabric"):
        EndorserKey.read(consortium.peers[0].serialized + b"\x1a\x00")
    other_curve = identities_pb2.SerializedIdentity(mspid="OrgMSP", id_bytes=p384_certificate(consortium))
    with pytest.raises(BridgeProofError, match="OrgMSP isn't P-256"):
        EndorserKey.read(other_curve.SerializeToString())


def p384_certificate(consortium: Consortium) -> bytes:
    like = consortium.peers[0].certificate
    key = ec.generate_private_key(ec.SECP384R1())
    builder = x509.CertificateBuilder(
        like.issuer, like.subject, key.public_key(), 1, like.not_valid_before_utc, like.not_valid_after_utc
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
