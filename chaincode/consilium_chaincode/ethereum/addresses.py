"""The addresses of whoever has no Ethereum key: identities of the channel, and the federation's chaincode.

Each is the end of a hash of something that is no public key of secp256k1, so nobody can sign as one of them.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.shim.stub import Creator

FEDERATION_ADDRESS = keccak256(b"consilium federation chaincode")[12:]
"""The sender of what the ledger itself does in the EVM."""

_IDENTITY_DOMAIN = b"consilium fabric identity"


def identity_address(creator: Creator) -> bytes:
    """Return the address (20 bytes) of an identity of the channel: of its public key, so a new certificate keeps it."""
    key = x509.load_pem_x509_certificate(creator.certificate).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return keccak256(_IDENTITY_DOMAIN + encoded)[12:]
