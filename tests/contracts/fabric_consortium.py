"""A consortium's peers with real keys, which endorse what they are asked as Fabric's peers do."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.identity import Identity
from consilium_peers.proposal import sign_proposal

CHANNEL = "consilium"
CHAINCODE = "attestation"


def make_identity(msp_id: str, name: str, unit: OrganizationalUnit = OrganizationalUnit.PEER) -> Identity:
    """Issue an identity as the project's own certificate authorities do."""
    issued = Authority.create(f"ca.{name}", msp_id).identity(name, unit, days=365)
    return Identity(msp_id, issued.certificate_pem(), issued.private_key_pem())


@dataclass(frozen=True)
class Question:
    """A proposal as a client wrote it: the three parts that its hash is over."""

    channel_header: bytes
    signature_header: bytes
    proposal_payload: bytes

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        return (self.channel_header, self.signature_header, self.proposal_payload)

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(b"".join(self.parts)).digest()


class Consortium:
    """Organisations with one peer each, and a client that asks them."""

    def __init__(self, organizations: int) -> None:
        self.peers = [make_identity(f"Hospital{i}MSP", f"peer0.hospital{i}.example") for i in range(organizations)]
        self.client = make_identity("Hospital0MSP", "client.hospital0.example", OrganizationalUnit.CLIENT)

    @property
    def keys(self) -> list[EndorserKey]:
        return [EndorserKey.read(peer.serialized) for peer in self.peers]

    def question(self, function: str, channel: str = CHANNEL, chaincode: str = CHAINCODE) -> Question:
        """Ask as the project's own client does."""
        message = sign_proposal(self.client, channel, chaincode, [function.encode(), b"7"]).message
        proposal = proposal_pb2.Proposal.FromString(message.proposal_bytes)
        header = common_pb2.Header.FromString(proposal.header)
        return Question(header.channel_header, header.signature_header, proposal.payload)

    def envelope(self, question: Question, payload: bytes, peers: Sequence[Identity]) -> Any:
        """Prepare the transaction as a Gateway does."""
        endorsements = [
            proposal_response_pb2.Endorsement(endorser=peer.serialized, signature=peer.sign(payload + peer.serialized))
            for peer in peers
        ]
        action = transaction_pb2.ChaincodeActionPayload(
            chaincode_proposal_payload=question.proposal_payload,
            action=transaction_pb2.ChaincodeEndorsedAction(
                proposal_response_payload=payload, endorsements=endorsements
            ),
        )
        transaction = transaction_pb2.Transaction(
            actions=[
                transaction_pb2.TransactionAction(header=question.signature_header, payload=action.SerializeToString())
            ]
        )
        header = common_pb2.Header(channel_header=question.channel_header, signature_header=question.signature_header)
        payload_bytes = common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
        return common_pb2.Envelope(payload=payload_bytes)


def action_of(answer: bytes, chaincode: str = CHAINCODE, status: int = 200) -> Any:
    """Return a ChaincodeAction as a peer writes it for a read-only function."""
    return proposal_pb2.ChaincodeAction(
        results=_read_set(chaincode),
        response=proposal_response_pb2.Response(status=status, payload=answer),
        chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode, version="1.0"),
    )


def payload_of(question_hash: bytes, action: bytes) -> bytes:
    """Return the ProposalResponsePayload, which peers sign."""
    return bytes(
        proposal_response_pb2.ProposalResponsePayload(proposal_hash=question_hash, extension=action).SerializeToString()
    )


def _read_set(chaincode: str) -> bytes:
    lifecycle = kv_rwset_pb2.KVRWSet(
        reads=[
            kv_rwset_pb2.KVRead(
                key=f"namespaces/fields/{chaincode}/Sequence", version=kv_rwset_pb2.Version(block_num=7)
            )
        ]
    )
    read = kv_rwset_pb2.KVRWSet(
        reads=[kv_rwset_pb2.KVRead(key="epoch/7", version=kv_rwset_pb2.Version(block_num=1000, tx_num=1))]
    )
    return bytes(
        rwset_pb2.TxReadWriteSet(
            data_model=rwset_pb2.TxReadWriteSet.KV,
            ns_rwset=[
                rwset_pb2.NsReadWriteSet(namespace="_lifecycle", rwset=lifecycle.SerializeToString()),
                rwset_pb2.NsReadWriteSet(namespace=chaincode, rwset=read.SerializeToString()),
            ],
        ).SerializeToString()
    )
