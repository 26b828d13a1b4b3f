"""What a client sends to be delivered blocks: a signed envelope that names the first and the last one.

The channel header carries the hash of the client's TLS certificate, so that nobody can use the envelope over a
connection of his own (Fabric's `common/deliver`, "mutual TLS binding").
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fabric_protos.common import common_pb2
from fabric_protos.orderer import ab_pb2

from consilium_peers.errors import ProfileError
from consilium_peers.identity import Identity

_NONCE_BYTES = 24
# The peer's own word for "no end".
_ENDLESS = 2**64 - 1


def tls_certificate_hash(certificate: Path) -> bytes:
    """Return SHA-256 of a TLS certificate's DER form.

    Raises:
        ProfileError: the file holds no certificate.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise ProfileError(f"the TLS certificate {certificate} can't be read: {error}") from None
    return hashlib.sha256(found.public_bytes(Encoding.DER)).digest()


def seek_envelope(identity: Identity, channel: str, tls_hash: bytes, start: int, end: int | None) -> Any:
    """Return the signed request for blocks from `start` up to, but without, `end`; None stands for all to come.

    A range is only asked for when the peer has it, so a block that isn't there is an error, not a silence.
    """
    stop = _ENDLESS if end is None else end - 1
    behaviour = ab_pb2.SeekInfo.BLOCK_UNTIL_READY if end is None else ab_pb2.SeekInfo.FAIL_IF_NOT_READY
    seek = ab_pb2.SeekInfo(
        start=ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start)),
        stop=ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=stop)),
        behavior=behaviour,
    )
    channel_header = common_pb2.ChannelHeader(
        type=common_pb2.HeaderType.DELIVER_SEEK_INFO, channel_id=channel, tls_cert_hash=tls_hash
    )
    channel_header.timestamp.GetCurrentTime()
    signature_header = common_pb2.SignatureHeader(creator=identity.serialized, nonce=os.urandom(_NONCE_BYTES))
    payload = common_pb2.Payload(
        header=common_pb2.Header(
            channel_header=channel_header.SerializeToString(),
            signature_header=signature_header.SerializeToString(),
        ),
        data=seek.SerializeToString(),
    ).SerializeToString()
    return common_pb2.Envelope(payload=payload, signature=identity.sign(payload))
