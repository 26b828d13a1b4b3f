"""Transactions that a member can get ordered although no honest client sends them, and how real peers mark them.

Some are left out: data that isn't a transaction at all, as real peers stop for good at a later one in the same block.
Fabric 3.1.1 waits for word of every transaction's keys, and of one that it can't decode none comes
(core/common/validation/statebased, `extractDependenciesForTx`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.peer import chaincode_event_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2

from consilium_peers.commit import Transaction
from consilium_peers.identity import Identity

DEEP_GROUPS = b"\x9b\x06" * 5000 + b"\x9c\x06" * 5000
"""An unknown field of Go's liking, which Python's parser refuses."""

OTHER_ID = "ab" * 32


@dataclass
class Parts:
    """An endorsed transaction taken apart; `behind` is appended to what the client signs."""

    payload: Any
    action: Any
    response: Any
    result: Any
    behind: bytes = b""


def crafted(transaction: Transaction, client: Identity, change: Callable[[Parts], None]) -> Transaction:
    """Return the transaction with something changed, signed by the client that sends it."""
    payload = common_pb2.Payload.FromString(transaction.envelope.payload)
    inner = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(inner.actions[0].payload)
    response = proposal_response_pb2.ProposalResponsePayload.FromString(action.action.proposal_response_payload)
    result = proposal_pb2.ChaincodeAction.FromString(response.extension)
    parts = Parts(payload, action, response, result)
    before = result.SerializeToString()
    change(parts)
    if parts.result.SerializeToString() != before:
        parts.response.extension = parts.result.SerializeToString()
        parts.action.action.proposal_response_payload = parts.response.SerializeToString()
    inner.actions[0].payload = parts.action.SerializeToString() + parts.behind
    parts.payload.data = inner.SerializeToString() + parts.behind
    raw = parts.payload.SerializeToString() + parts.behind
    return replace(transaction, envelope=common_pb2.Envelope(payload=raw, signature=client.sign(raw)))


def drop_endorsements(parts: Parts) -> None:
    del parts.action.action.endorsements[:]


def drop_one_endorsement(parts: Parts) -> None:
    del parts.action.action.endorsements[0]


def add_endorsements_that_are_none(parts: Parts) -> None:
    parts.action.action.endorsements.add(endorser=b"\xff nobody", signature=b"none")
    first = parts.action.action.endorsements[0]
    parts.action.action.endorsements.add(endorser=first.endorser, signature=b"none")


def add_deep_groups(parts: Parts) -> None:
    parts.behind = DEEP_GROUPS


def change_the_proposal(parts: Parts) -> None:
    parts.action.chaincode_proposal_payload += b"\x9a\x06\x00"


def change_the_id(parts: Parts) -> None:
    header = common_pb2.ChannelHeader.FromString(parts.payload.header.channel_header)
    header.tx_id = OTHER_ID
    parts.payload.header.channel_header = header.SerializeToString()


def write_garbage(parts: Parts) -> None:
    parts.result.results = b"\xff garbage"


def answer_for_another_chaincode(parts: Parts) -> None:
    parts.result.chaincode_id.name = "another"


def announce_for_another_chaincode(parts: Parts) -> None:
    parts.result.events = chaincode_event_pb2.ChaincodeEvent(chaincode_id="another").SerializeToString()


def write_a_namespace_twice(parts: Parts) -> None:
    written = rwset_pb2.TxReadWriteSet.FromString(parts.result.results)
    written.ns_rwset.append(written.ns_rwset[0])
    parts.result.results = written.SerializeToString()


def write_for_a_chaincode_that_is_not_there(parts: Parts) -> None:
    written = rwset_pb2.TxReadWriteSet.FromString(parts.result.results)
    for each in written.ns_rwset:
        if each.namespace == "probe":
            each.namespace = "nowhere"
    parts.result.results = written.SerializeToString()
    del parts.action.action.endorsements[:]


CRAFTED: dict[Callable[[Parts], None], tuple[str, ...]] = {
    drop_endorsements: ("ENDORSEMENT_POLICY_FAILURE",),
    drop_one_endorsement: ("ENDORSEMENT_POLICY_FAILURE",),
    add_endorsements_that_are_none: ("VALID",),
    add_deep_groups: ("VALID",),
    change_the_proposal: ("INVALID_ENDORSER_TRANSACTION",),
    change_the_id: ("BAD_PROPOSAL_TXID",),
    write_garbage: ("BAD_RWSET",),
    answer_for_another_chaincode: ("INVALID_CHAINCODE",),
    announce_for_another_chaincode: ("INVALID_OTHER_REASON",),
    write_a_namespace_twice: ("ILLEGAL_WRITESET",),
    # Whichever of its namespaces a peer looks at first.
    write_for_a_chaincode_that_is_not_there: ("INVALID_CHAINCODE", "ENDORSEMENT_POLICY_FAILURE"),
}
