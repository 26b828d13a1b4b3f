"""Blocks in one line each, and one transaction with everything that is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consilium_peers.audit.configuration_changes import changed_elements
from consilium_peers.audit.entries import common_name
from consilium_peers.audit.ledger_keys import shown_key
from consilium_peers.audit.moments import shown_moment
from consilium_trail.blocks.block import Block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.read_write_sets import NamespaceSet, Version
from consilium_trail.blocks.transactions import CONFIG, Invocation, Signer, Transaction, decode_transaction
from consilium_trail.errors import MalformedTransactionError
from consilium_trail.validation_codes import VALID, code_name


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """One block.

    Attributes:
        valid: how many of its transactions peers found valid.
        kinds: what they are: the chaincodes' functions, CONFIG, or unreadable.
        signed_by: the consenters' numbers, under Byzantine ordering.
        size: in bytes.
    """

    number: int
    transactions: int
    valid: int
    proposed: str
    kinds: tuple[str, ...]
    signed_by: tuple[str, ...]
    size: int
    hash: str


def block_summary(block: Block, size: int) -> BlockSummary:
    """Return a block in one line; `proposed` is the claimed time of its first readable transaction."""
    kinds: list[str] = []
    proposed = ""
    for envelope in block.envelopes:
        try:
            transaction = decode_transaction(envelope)
        except MalformedTransactionError:
            kinds.append("unreadable")
            continue
        proposed = proposed or shown_moment(transaction.envelope.timestamp)
        called = transaction.invocation
        kinds.append(CONFIG if called is None else f"{called.chaincode}.{called.function}")
    return BlockSummary(
        number=block.number,
        transactions=len(block.envelopes),
        valid=sum(code_name(flag) == VALID for flag in block.flags),
        proposed=proposed,
        kinds=tuple(kinds),
        signed_by=_signers(block),
        size=size,
        hash=block.header.hash().hex(),
    )


def _signers(block: Block) -> tuple[str, ...]:
    return tuple(str(each.consenter) for each in block.signatures.signatures)


def find_transaction(block: Block, tx_id: str) -> dict[str, Any] | None:
    """Return everything about a transaction of a block, as plain values; None when the block doesn't have it."""
    for position, envelope in enumerate(block.envelopes):
        try:
            transaction = decode_transaction(envelope)
        except MalformedTransactionError:
            continue
        if transaction.envelope.tx_id == tx_id:
            return _document(block, position, transaction, len(envelope))
    return None


def _document(block: Block, position: int, transaction: Transaction, size: int) -> dict[str, Any]:
    envelope = transaction.envelope
    document: dict[str, Any] = {
        "tx_id": envelope.tx_id,
        "block": block.number,
        "position": position,
        "validation_code": code_name(block.flags[position]),
        "type": envelope.kind,
        "channel": envelope.channel,
        "proposed": shown_moment(envelope.timestamp),
        "creator": None if envelope.creator is None else _signer(envelope.creator),
        "size": size,
    }
    if transaction.invocation is not None:
        document |= _invocation(transaction.invocation)
    elif envelope.kind == CONFIG:
        document["configuration"] = _configuration(decode_configuration(envelope.data))
    return document


def _signer(signer: Signer) -> dict[str, str]:
    return {"organization": signer.msp_id, "name": common_name(signer.certificate)}


def _invocation(called: Invocation) -> dict[str, Any]:
    return {
        "chaincode": called.chaincode,
        "version": called.version,
        "function": called.function,
        "arguments": [_shown(argument) for argument in called.arguments],
        "endorsers": [_signer(each.endorser) for each in called.endorsements],
        "reads_and_writes": [_set(each) for each in called.sets],
        "event": None if called.event is None else {"name": called.event.name, "payload": _shown(called.event.payload)},
        "response": {"status": called.status, "message": called.message, "payload": _shown(called.answer)},
    }


def _set(each: NamespaceSet) -> dict[str, Any]:
    return {
        "namespace": each.namespace,
        "reads": [{"key": shown_key(read.key), "version": _version(read.version)} for read in each.reads],
        "range_reads": [
            {"start": shown_key(part.start), "end": shown_key(part.end), "exhausted": part.exhausted}
            for part in each.ranges
        ],
        "writes": [
            {"key": shown_key(write.key), "value": None if write.value is None else _shown(write.value)}
            for write in each.writes
        ],
        "metadata_writes": [shown_key(write.key) for write in each.metadata_writes],
        "private_collections": [collection.name for collection in each.collections],
    }


def _version(version: Version | None) -> str | None:
    return None if version is None else f"{version.block}:{version.transaction}"


def _configuration(found: ChannelConfiguration) -> dict[str, Any]:
    return {
        "sequence": found.sequence,
        "organizations": sorted(found.organizations),
        "consenters": {number: each.msp_id for number, each in sorted(found.consenters.items())},
        "consensus": found.consensus,
        "policies": sorted(found.policies),
        "revocation_lists": {name: len(each.revocation_lists) for name, each in sorted(found.organizations.items())},
        "changed": [] if found.update is None else changed_elements(found.update),
        "signed_by": [] if found.update is None else sorted({each.signer.msp_id for each in found.update.signatures}),
    }


def _shown(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
