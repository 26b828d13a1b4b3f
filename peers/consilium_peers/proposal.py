"""Builds what clients sign: proposals, and reads what comes back in a prepared transaction."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from consilium_peers.identity import Identity

_NONCE_BYTES = 24


@dataclass(frozen=True)
class SignedProposal:
    """A proposal ready to be sent: its transaction id and the signed protocol buffer."""

    tx_id: str
    message: Any


def sign_proposal(
    identity: Identity,
    channel: str,
    chaincode: str,
    arguments: Sequence[bytes],
    transient: Mapping[str, bytes] | None = None,
) -> SignedProposal:
    """Build and sign a proposal to invoke a chaincode; an empty `channel` addresses a peer's own system chaincode.

    The transaction id is SHA-256 over a fresh nonce and the creator, as the protocol asks.

    Raises:
        IdentityError: the certificate has expired; peers would refuse it without saying so.
    """
    identity.check_period()
    nonce = os.urandom(_NONCE_BYTES)
    tx_id = hashlib.sha256(nonce + identity.serialized).hexdigest()
    chaincode_id = chaincode_pb2.ChaincodeID(name=chaincode)
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.ENDORSER_TRANSACTION,
        channel_id=channel,
        tx_id=tx_id,
        extension=proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode_id).SerializeToString(),
    )
    channel_header.timestamp.GetCurrentTime()
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=common_pb2.SignatureHeader(creator=identity.serialized, nonce=nonce).SerializeToString(),
    )
    invocation = chaincode_pb2.ChaincodeInvocationSpec(
        chaincode_spec=chaincode_pb2.ChaincodeSpec(
            type=chaincode_pb2.ChaincodeSpec.CAR,
            chaincode_id=chaincode_id,
            input=chaincode_pb2.ChaincodeInput(args=list(arguments)),
        )
    )
    payload = proposal_pb2.ChaincodeProposalPayload(
        input=invocation.SerializeToString(), TransientMap=dict(transient or {})
    )
    proposal = proposal_pb2.Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())
    raw = proposal.SerializeToString()
    return SignedProposal(tx_id, proposal_pb2.SignedProposal(proposal_bytes=raw, signature=identity.sign(raw)))


@dataclass(frozen=True)
class PreparedResult:
    """What the endorsers agreed on: the chaincode's answer and the organisations that endorsed it."""

    payload: bytes
    endorsers: tuple[str, ...]


def read_prepared(envelope: Any) -> PreparedResult:
    """Read answer and endorsers out of a transaction that the gateway prepared."""
    payload = common_pb2.Payload.FromString(envelope.payload)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload).action
    response = proposal_response_pb2.ProposalResponsePayload.FromString(action.proposal_response_payload)
    result = proposal_pb2.ChaincodeAction.FromString(response.extension)
    endorsers = (identities_pb2.SerializedIdentity.FromString(each.endorser).mspid for each in action.endorsements)
    return PreparedResult(result.response.payload, tuple(endorsers))
