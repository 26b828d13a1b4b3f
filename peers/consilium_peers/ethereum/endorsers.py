"""Whose endorsements a bridge counts: P-256 keys, MSP ids and certificates."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.msp import identities_pb2
from google.protobuf.message import DecodeError

from consilium_peers.ethereum.errors import BridgeProofError
from consilium_proto.rewards.decisions import AddEndorser
from consilium_proto.rewards.keccak import keccak256


@dataclass(frozen=True, slots=True)
class EndorserKey:
    """An endorser: the SerializedIdentity that it signs with, and what that says."""

    identity: bytes
    msp_id: str
    certificate: bytes
    public_key: ec.EllipticCurvePublicKey

    @classmethod
    def read(cls, identity: bytes) -> EndorserKey:
        """Read a SerializedIdentity.

        Raises:
            BridgeProofError: it isn't one, or its key isn't P-256, the only curve that the bridge verifies.
        """
        try:
            read = identities_pb2.SerializedIdentity.FromString(identity)
            key = x509.load_pem_x509_certificate(read.id_bytes).public_key()
        except (DecodeError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BridgeProofError(f"an endorser's identity can't be read: {error}") from None
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise BridgeProofError(f"the key of a peer of {read.mspid} isn't P-256, so no bridge can verify it")
        # The bridge writes the identity anew from MSP id and certificate: it must come out as the peer signs it.
        canonical = identities_pb2.SerializedIdentity(mspid=read.mspid, id_bytes=read.id_bytes)
        if canonical.SerializeToString(deterministic=True) != identity:
            raise BridgeProofError(f"the identity of a peer of {read.mspid} isn't encoded as Fabric encodes it")
        return cls(identity, read.mspid, read.id_bytes, key)

    @classmethod
    def of_certificate(cls, msp_id: str, certificate: bytes) -> EndorserKey:
        """Return the endorser that signs with a certificate (PEM) of an organisation; raises as `read`."""
        identity = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=certificate)
        return cls.read(identity.SerializeToString(deterministic=True))

    @property
    def identity_hash(self) -> bytes:
        """keccak256 of the identity, by which the bridge knows the endorser."""
        return keccak256(self.identity)

    def registration(self) -> AddEndorser:
        """Return what the bridge must be told to count this endorser."""
        numbers = self.public_key.public_numbers()
        return AddEndorser(numbers.x, numbers.y, self.msp_id, self.certificate)

    def signed(self, payload: bytes, signature: bytes) -> bool:
        """Tell whether this endorser signed the ProposalResponsePayload (DER signature)."""
        try:
            self.public_key.verify(signature, payload + self.identity, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True
