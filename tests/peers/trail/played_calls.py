"""Calls of chaincode and the transactions that they become: what is read and written where, and who endorses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.peer import chaincode_event_pb2, chaincode_pb2, proposal_pb2, proposal_response_pb2, transaction_pb2
from played_membership import ChainMember

from consilium_chaincode.shim.memory_stub import Simulation

FEDERATION = "federation"
Reads = dict[str, tuple[int, int] | None]


@dataclass
class State:
    """What a transaction reads and writes in one chaincode's state."""

    reads: Reads = field(default_factory=dict)
    writes: dict[str, bytes | None] = field(default_factory=dict)
    ranges: Sequence[tuple[str, str, Reads]] = ()
    policies: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Call:
    """What a transaction consists of; change it before it is signed to make a defective one."""

    creator: ChainMember
    function: str
    arguments: tuple[bytes, ...]
    chaincode: str = FEDERATION
    version: str = "1"
    reads: Reads = field(default_factory=dict)
    writes: dict[str, bytes | None] = field(default_factory=dict)
    event: tuple[str, bytes] | None = None
    answer: bytes = b""
    timestamp: int = 0
    nonce: bytes = field(default_factory=lambda: os.urandom(24))
    endorsers: Sequence[ChainMember] = ()
    namespace: str = ""
    """Where the reads and writes are, if not in the chaincode's own state."""
    ranges: Sequence[tuple[str, str, Reads]] = ()
    policies: dict[str, bytes] = field(default_factory=dict)
    """Keys' own endorsement policies."""
    others: dict[str, State] = field(default_factory=dict)
    """What was read and written in other chaincodes' states, by their names."""
    proposer: ChainMember | None = None
    tx_id: str = ""


def endorsed_action(call: Call, channel_header: bytes, signature_header: bytes) -> Any:
    words = [call.function.encode(), *call.arguments]
    specification = chaincode_pb2.ChaincodeSpec(
        chaincode_id=chaincode_pb2.ChaincodeID(name=call.chaincode), input=chaincode_pb2.ChaincodeInput(args=words)
    )
    invocation = chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=specification).SerializeToString()
    proposal = proposal_pb2.ChaincodeProposalPayload(input=invocation).SerializeToString()
    result = proposal_pb2.ChaincodeAction(
        results=_read_write_set(call),
        response=proposal_response_pb2.Response(status=200, payload=call.answer),
        chaincode_id=chaincode_pb2.ChaincodeID(name=call.chaincode, version=call.version),
    )
    if call.event is not None:
        result.events = chaincode_event_pb2.ChaincodeEvent(
            chaincode_id=call.chaincode, event_name=call.event[0], payload=call.event[1]
        ).SerializeToString()
    response = proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=hashlib.sha256(channel_header + signature_header + proposal).digest(),
        extension=result.SerializeToString(),
    ).SerializeToString()
    endorsements = [
        proposal_response_pb2.Endorsement(endorser=each.serialized, signature=each.sign(response + each.serialized))
        for each in call.endorsers
    ]
    endorsed = transaction_pb2.ChaincodeEndorsedAction(proposal_response_payload=response, endorsements=endorsements)
    return transaction_pb2.ChaincodeActionPayload(chaincode_proposal_payload=proposal, action=endorsed)


def state_of(simulation: Simulation, namespace: str) -> State:
    return State(
        reads={key: version for (where, key), version in simulation.reads.items() if where == namespace},
        writes={key: value for (where, key), value in simulation.writes.items() if where == namespace},
        ranges=[(each.start, each.end, dict(each.found)) for each in simulation.ranges if each.collection == namespace],
    )


def states_of(call: Call) -> dict[str, State]:
    own = State(call.reads, call.writes, call.ranges, call.policies)
    return {call.namespace or call.chaincode: own, **call.others}


def _read_write_set(call: Call) -> bytes:
    sets = [
        rwset_pb2.NsReadWriteSet(namespace=name, rwset=_key_values(state).SerializeToString())
        for name, state in sorted(states_of(call).items())
    ]
    return rwset_pb2.TxReadWriteSet(ns_rwset=sets).SerializeToString()


def _key_values(state: State) -> Any:
    written = kv_rwset_pb2.KVRWSet(
        reads=[_read(key, version) for key, version in sorted(state.reads.items())],
        writes=[
            kv_rwset_pb2.KVWrite(key=key, value=value or b"", is_delete=value is None)
            for key, value in sorted(state.writes.items())
        ],
    )
    for key, policy in sorted(state.policies.items()):
        entry = kv_rwset_pb2.KVMetadataEntry(name="VALIDATION_PARAMETER", value=policy)
        written.metadata_writes.add(key=key, entries=[entry])
    for start, end, found in state.ranges:
        reads = kv_rwset_pb2.QueryReads(kv_reads=[_read(key, version) for key, version in found.items()])
        written.range_queries_info.add(start_key=start, end_key=end, itr_exhausted=True, raw_reads=reads)
    return written


def _read(key: str, version: tuple[int, int] | None) -> Any:
    if version is None:
        return kv_rwset_pb2.KVRead(key=key)
    return kv_rwset_pb2.KVRead(key=key, version=kv_rwset_pb2.Version(block_num=version[0], tx_num=version[1]))
