"""Who signs: an MSP id, a certificate and its P-256 key, which rests in a file or in a PKCS#11 token."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.msp import identities_pb2

from consilium_peers.errors import IdentityError
from consilium_peers.pkcs11_token import TokenKey
from consilium_peers.token_keys import TokenSigningKey

# The order of P-256 (FIPS 186-4). Fabric refuses signatures whose s lies in the upper half, so that a signature has
# one form only.
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


# What a key signs to show that it is the certificate's; no message of Fabric begins so.
_PROOF = b"consilium: this key belongs to the certificate"


class SigningKey(Protocol):
    """A P-256 private key, wherever it rests."""

    def sign(self, message: bytes) -> tuple[int, int]:
        """Return r and s of an ECDSA signature over SHA-256 of `message`."""
        ...


class _PemSigningKey:
    """A private key in this process's memory."""

    def __init__(self, msp_id: str, pem: bytes) -> None:
        try:
            key = serialization.load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise IdentityError(f"the identity of {msp_id} can't be read: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise IdentityError(f"the key of {msp_id} isn't P-256; ask its CA for a P-256 certificate")
        self._key = key

    def sign(self, message: bytes) -> tuple[int, int]:
        return decode_dss_signature(self._key.sign(message, ec.ECDSA(hashes.SHA256())))


class Identity:
    """A Fabric identity that can sign."""

    def __init__(self, msp_id: str, certificate_pem: bytes, private_key: bytes | SigningKey) -> None:
        """Check that certificate and key are a valid pair. A private key given as bytes is PEM.

        Raises:
            IdentityError: unreadable, not P-256, not a pair, or outside its period of validity.
            TokenError: the key rests in a token that doesn't sign.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            public_key = certificate.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise IdentityError(f"the identity of {msp_id} can't be read: {error}") from None
        self.msp_id = msp_id
        self.certificate_pem = certificate_pem
        self.certificate = certificate
        self._key = _PemSigningKey(msp_id, private_key) if isinstance(private_key, bytes) else private_key
        if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
            raise IdentityError(f"the certificate of {msp_id} isn't P-256; ask its CA for a P-256 certificate")
        try:
            # A token may hold the private key alone, so the pair is proved by a signature, not by comparing.
            public_key.verify(self.sign(_PROOF), _PROOF, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            raise IdentityError(
                f"the key of {msp_id} doesn't belong to the certificate {certificate.subject.rfc4514_string()}"
            ) from None
        self.serialized = identities_pb2.SerializedIdentity(mspid=msp_id, id_bytes=certificate_pem).SerializeToString()
        self.check_period()

    @classmethod
    def load(cls, msp_id: str, certificate: Path, private_key: Path) -> Identity:
        """Read an identity from two PEM files."""
        try:
            return cls(msp_id, certificate.read_bytes(), private_key.read_bytes())
        except OSError as error:
            raise IdentityError(f"the identity of {msp_id} can't be read: {error}") from None

    @classmethod
    def load_with_token(cls, msp_id: str, certificate: Path, key: TokenKey) -> Identity:
        """Read a certificate whose private key rests in a token, and stays there.

        Raises:
            IdentityError: as the constructor.
            TokenError: the token can't be opened, or has no such key.
        """
        try:
            pem = certificate.read_bytes()
        except OSError as error:
            raise IdentityError(f"the identity of {msp_id} can't be read: {error}") from None
        return cls(msp_id, pem, TokenSigningKey(key))

    def check_period(self) -> None:
        """Check that the certificate is valid now; a program that runs for months asks before each proposal.

        Raises:
            IdentityError: it has expired, or isn't valid yet.
        """
        first, last = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if not first <= datetime.now(UTC) <= last:
            raise IdentityError(
                f"the certificate {self.certificate.subject.rfc4514_string()} of {self.msp_id} is valid from "
                f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC; renew it, or set this machine's clock"
            )

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature over SHA-256 of `message`, DER with low s.

        Raises:
            TokenError: the key rests in a token, and the token is gone.
        """
        r, s = self._key.sign(message)
        return encode_dss_signature(r, min(s, _P256_ORDER - s))
