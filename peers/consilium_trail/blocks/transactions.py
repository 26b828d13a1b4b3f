"""A transaction, decoded completely: who sent it, what was asked, who endorsed it, what it read, wrote and emitted.

Decoding follows the order in which Fabric's peers look at a transaction (core/common/validation/msgvalidation.go), so
that what can't be decoded has the validation code that peers give it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    chaincode_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from consilium_trail.blocks.read_write_sets import NamespaceSet, decode_read_write_set
from consilium_trail.blocks.wire import parse, parse_identity
from consilium_trail.errors import MalformedBlockError, MalformedTransactionError

ENDORSER_TRANSACTION = "ENDORSER_TRANSACTION"
CONFIG = "CONFIG"
_TYPES = {
    common_pb2.HeaderType.ENDORSER_TRANSACTION: ENDORSER_TRANSACTION,
    common_pb2.HeaderType.CONFIG: CONFIG,
}


@dataclass(frozen=True, slots=True)
class Signer:
    """A serialized identity: the bytes themselves, the MSP id and the certificate (PEM) in them."""

    raw: bytes
    msp_id: str
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """What every transaction has.

    Attributes:
        kind: ENDORSER_TRANSACTION or CONFIG.
        tx_id: its id; empty in some configuration transactions.
        channel: the channel's name.
        timestamp: milliseconds since 1970, as the client wrote it.
        creator: who signed; None in a channel's first block alone.
        nonce: what makes the id unique.
        payload: the bytes that are signed.
        signature: the creator's, over `payload`.
        data: what is of the kind.
        channel_header, signature_header: as they were serialized.
    """

    kind: str
    tx_id: str
    channel: str
    timestamp: int
    creator: Signer | None
    nonce: bytes
    payload: bytes
    signature: bytes
    data: bytes
    channel_header: bytes
    signature_header: bytes


@dataclass(frozen=True, slots=True)
class Endorsement:
    """An endorser and its signature over the proposal response ‖ the endorser's serialized identity."""

    endorser: Signer
    signature: bytes


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """The event of a transaction."""

    name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a chaincode, with all that its endorsers signed.

    Attributes:
        chaincode: its name.
        version: of the chaincode's definition, as the endorsers saw it.
        function: the first argument, as text (undecodable bytes replaced).
        arguments: all the others.
        proposer: the serialized identity in the proposal that was endorsed; the creator's, in an honest transaction.
        proposal_response: what every endorser signed.
        endorsements: in the transaction's order.
        sets: what was read and written, per namespace.
        event: None when there is none.
        status, message, answer: what the chaincode returned.
    """

    chaincode: str
    version: str
    function: str
    arguments: tuple[bytes, ...]
    proposer: bytes
    proposal_response: bytes
    endorsements: tuple[Endorsement, ...]
    sets: tuple[NamespaceSet, ...]
    event: ChaincodeEvent | None
    status: int
    message: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class Transaction:
    """A decoded transaction; `invocation` is None in a configuration transaction."""

    envelope: Envelope
    invocation: Invocation | None


def decode_transaction(raw: bytes) -> Transaction:
    """Decode one of a block's envelopes; `configuration.decode_configuration` reads what a CONFIG one holds.

    Raises:
        MalformedTransactionError: it can't be decoded. Its code is the one that peers flag such a transaction with,
            once they found the creator's signature good.
    """
    envelope = decode_envelope(raw)
    return Transaction(envelope, decode_invocation(envelope) if envelope.kind == ENDORSER_TRANSACTION else None)


def decode_envelope(raw: bytes) -> Envelope:
    """Decode the outside of a transaction: all that the creator's signature needs.

    Raises:
        MalformedTransactionError: INVALID_OTHER_REASON, BAD_PAYLOAD, BAD_COMMON_HEADER or UNSUPPORTED_TX_PAYLOAD.
    """
    envelope = _parse(common_pb2.Envelope, raw, "INVALID_OTHER_REASON")
    payload = _parse(common_pb2.Payload, envelope.payload, "BAD_PAYLOAD")
    bad = "BAD_COMMON_HEADER"
    channel_header = _parse(common_pb2.ChannelHeader, payload.header.channel_header, bad)
    signature_header = _parse(common_pb2.SignatureHeader, payload.header.signature_header, bad)
    if channel_header.type == common_pb2.HeaderType.CONFIG_UPDATE:
        raise MalformedTransactionError("UNSUPPORTED_TX_PAYLOAD", "a bare configuration update was ordered")
    kind = _TYPES.get(channel_header.type)
    if kind is None or channel_header.epoch:
        raise MalformedTransactionError(bad, f"transaction type {channel_header.type}, epoch {channel_header.epoch}")
    creator = None
    if signature_header.creator:
        creator = _creator(bytes(signature_header.creator))
    if not signature_header.nonce or (creator is None and kind == ENDORSER_TRANSACTION):
        raise MalformedTransactionError(bad, "no nonce or no creator")
    stamp = channel_header.timestamp
    return Envelope(
        kind=kind,
        tx_id=str(channel_header.tx_id),
        channel=str(channel_header.channel_id),
        timestamp=stamp.seconds * 1000 + stamp.nanos // 1_000_000,
        creator=creator,
        nonce=bytes(signature_header.nonce),
        payload=bytes(envelope.payload),
        signature=bytes(envelope.signature),
        data=bytes(payload.data),
        channel_header=bytes(payload.header.channel_header),
        signature_header=bytes(payload.header.signature_header),
    )


def transaction_id(nonce: bytes, creator: bytes) -> str:
    """Return the id that a transaction must have: SHA-256 over nonce and serialized creator, in hex."""
    return hashlib.sha256(nonce + creator).hexdigest()


def indexed_id(raw: bytes) -> str:
    """Return the id under which peers remember a transaction, valid or not; empty for one that they can't.

    As protoutil.GetOrComputeTxIDFromEnvelope: what the channel header says, else the id of nonce and creator.
    """
    try:
        envelope = parse(common_pb2.Envelope, raw, "the transaction")
        header = parse(common_pb2.Payload, envelope.payload, "the payload").header
        said = str(parse(common_pb2.ChannelHeader, header.channel_header, "the channel header").tx_id)
        signed = parse(common_pb2.SignatureHeader, header.signature_header, "the signature header")
    except MalformedBlockError:
        return ""
    return said or transaction_id(bytes(signed.nonce), bytes(signed.creator))


def decode_invocation(envelope: Envelope) -> Invocation:
    """Decode the inside of an ENDORSER_TRANSACTION, and check that its parts belong together.

    Raises:
        MalformedTransactionError: BAD_PROPOSAL_TXID, INVALID_ENDORSER_TRANSACTION (also when what was endorsed isn't
            this proposal), BAD_HEADER_EXTENSION, BAD_RESPONSE_PAYLOAD, BAD_RWSET, ILLEGAL_WRITESET, INVALID_CHAINCODE
            or INVALID_OTHER_REASON.
    """
    creator = envelope.creator.raw if envelope.creator else b""
    if envelope.tx_id != transaction_id(envelope.nonce, creator):
        raise MalformedTransactionError("BAD_PROPOSAL_TXID", f"{envelope.tx_id!r} isn't the id of nonce and creator")
    header, payload, response = _action(envelope)
    action = _parse(proposal_pb2.ChaincodeAction, response.extension, "BAD_RESPONSE_PAYLOAD")
    try:
        sets = decode_read_write_set(bytes(action.results))
    except MalformedBlockError as error:
        raise MalformedTransactionError(
            "ILLEGAL_WRITESET" if "twice" in str(error) else "BAD_RWSET", str(error)
        ) from None
    chaincode = _chaincode_name(envelope, action)
    words = _arguments(payload)
    return Invocation(
        chaincode=chaincode,
        version=str(action.chaincode_id.version),
        function=words[0].decode(errors="replace") if words else "",
        arguments=words[1:],
        proposer=bytes(header.creator),
        proposal_response=bytes(payload.action.proposal_response_payload),
        endorsements=_endorsements(payload.action.endorsements),
        sets=sets,
        event=_event(action, chaincode),
        status=int(action.response.status),
        message=str(action.response.message),
        answer=bytes(action.response.payload),
    )


def _action(envelope: Envelope) -> tuple[Any, Any, Any]:
    """Return the proposal's signature header, the action and the endorsed response, bound to each other by a hash."""
    bad = "INVALID_ENDORSER_TRANSACTION"
    transaction = _parse(transaction_pb2.Transaction, envelope.data, bad)
    if len(transaction.actions) != 1:
        raise MalformedTransactionError(bad, f"{len(transaction.actions)} actions, not one")
    (only,) = transaction.actions
    header = _parse(common_pb2.SignatureHeader, only.header, bad)
    if not header.nonce or not header.creator:
        raise MalformedTransactionError(bad, "the action has no nonce or no creator")
    payload = _parse(transaction_pb2.ChaincodeActionPayload, only.payload, bad)
    response = _parse(proposal_response_pb2.ProposalResponsePayload, payload.action.proposal_response_payload, bad)
    proposal = hashlib.sha256(envelope.channel_header + only.header + payload.chaincode_proposal_payload).digest()
    if proposal != response.proposal_hash:
        raise MalformedTransactionError(bad, "what was endorsed isn't this proposal")
    return header, payload, response


def _chaincode_name(envelope: Envelope, action: Any) -> str:
    header = _parse(common_pb2.ChannelHeader, envelope.channel_header, "BAD_CHANNEL_HEADER")
    named = _parse(proposal_pb2.ChaincodeHeaderExtension, header.extension, "BAD_HEADER_EXTENSION").chaincode_id.name
    if not named or named != action.chaincode_id.name or not action.chaincode_id.version:
        raise MalformedTransactionError("INVALID_CHAINCODE", f"{named!r} was asked, {action.chaincode_id.name!r} ran")
    return str(named)


def _arguments(payload: Any) -> tuple[bytes, ...]:
    """Return function and arguments, as the endorsers had them: the proposal's hash is in what they signed."""
    bad = "INVALID_OTHER_REASON"
    proposal = _parse(proposal_pb2.ChaincodeProposalPayload, payload.chaincode_proposal_payload, bad)
    invoked = _parse(chaincode_pb2.ChaincodeInvocationSpec, proposal.input, bad).chaincode_spec
    return tuple(bytes(word) for word in invoked.input.args)


def _endorsements(messages: Any) -> tuple[Endorsement, ...]:
    return tuple(Endorsement(_endorser(bytes(each.endorser)), bytes(each.signature)) for each in messages)


def _endorser(raw: bytes) -> Signer:
    """Return an endorser; one that can't be read is nobody's: any client may add such a one, and peers pass over it."""
    try:
        return Signer(raw, *parse_identity(raw, "an endorser"))
    except MalformedBlockError:
        return Signer(raw, "", b"")


def _event(action: Any, chaincode: str) -> ChaincodeEvent | None:
    if not action.events:
        return None
    event = _parse(chaincode_event_pb2.ChaincodeEvent, action.events, "INVALID_OTHER_REASON")
    if event.chaincode_id != chaincode:
        raise MalformedTransactionError("INVALID_OTHER_REASON", f"the event is of chaincode {event.chaincode_id!r}")
    return ChaincodeEvent(str(event.event_name), bytes(event.payload))


def _creator(raw: bytes) -> Signer:
    try:
        return Signer(raw, *parse_identity(raw, "the creator"))
    except MalformedBlockError as error:
        raise MalformedTransactionError("BAD_CREATOR_SIGNATURE", str(error)) from None


def _parse(kind: Any, data: bytes, code: str) -> Any:
    try:
        return parse(kind, data, "a part of the transaction")
    except MalformedBlockError as error:
        raise MalformedTransactionError(code, str(error)) from None
