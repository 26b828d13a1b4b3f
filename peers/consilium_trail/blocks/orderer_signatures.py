"""The orderers' signatures of a block, as they stand in its metadata."""

from __future__ import annotations

from dataclasses import dataclass

from fabric_protos.common import common_pb2

from consilium_trail.blocks.wire import parse
from consilium_trail.errors import MalformedBlockError


@dataclass(frozen=True, slots=True)
class OrdererSignature:
    """One orderer's signature over value ‖ `signed_header` ‖ the block header's DER form.

    Attributes:
        consenter: the signer's number in the channel's consenter mapping (Byzantine ordering); None when the signer is
            named by a whole identity, as crash-tolerant orderers do.
        signed_header: the identifier header or signature header, as it was signed.
        signature: ECDSA over SHA-256, DER.
    """

    consenter: int | None
    signed_header: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class OrdererSignatures:
    """What the orderers signed besides the header, and their signatures; none in a channel's first block.

    Attributes:
        raw: the serialized `common.Metadata`, as it stood in the block.
        value: what every signature covers first.
        signatures: one per orderer, in the block's order.
    """

    raw: bytes
    value: bytes
    signatures: tuple[OrdererSignature, ...]

    def last_configuration(self) -> int:
        """Return the number of the block that holds the configuration in force, as the orderers say.

        Raises:
            MalformedBlockError: they don't.
        """
        return int(parse(common_pb2.OrdererBlockMetadata, self.value, "the orderers' metadata").last_config.index)


def decode_orderer_signatures(raw: bytes, number: int) -> OrdererSignatures:
    """Decode the signatures of block `number`.

    Raises:
        MalformedBlockError: they aren't a `common.Metadata`, or one of them names no signer.
    """
    message = parse(common_pb2.Metadata, raw, f"the signatures of block {number}")
    signatures = tuple(_signature(each, number) for each in message.signatures)
    return OrdererSignatures(raw, bytes(message.value), signatures)


def _signature(message: object, number: int) -> OrdererSignature:
    identifier_header = bytes(getattr(message, "identifier_header", b""))
    signature_header = bytes(getattr(message, "signature_header", b""))
    signature = bytes(getattr(message, "signature", b""))
    if bool(identifier_header) == bool(signature_header) or not signature:
        raise MalformedBlockError(f"a signature of block {number} doesn't name its signer in one way")
    if signature_header:
        return OrdererSignature(None, signature_header, signature)
    header = parse(common_pb2.IdentifierHeader, identifier_header, f"the signer of block {number}")
    return OrdererSignature(int(header.identifier), identifier_header, signature)
