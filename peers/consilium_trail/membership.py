"""Whether a certificate is one of an organisation's, with which roles, and since and until when.

The rules are those of Fabric's MSP (msp/mspimpl.go, mspimplvalidate.go), with two that Fabric leaves out: the root must
be one that the verifier was given, and every certificate of the chain must be within its period at the moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from consilium_trail.blocks.configuration import ChannelConfiguration, Organization
from consilium_trail.blocks.policies import Principal
from consilium_trail.blocks.transactions import Signer
from consilium_trail.blocks.wire import parse_identity
from consilium_trail.errors import MalformedBlockError, MalformedConfigurationError
from consilium_trail.roots import TrustedRoots

T = TypeVar("T")

_ECDSA = ec.ECDSA(hashes.SHA256())
_LONGEST_CHAIN = 5
_MOST_CACHED = 20_000
# What `cryptography` raises for certificates that were made to trouble it.
_TROUBLES = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class NotAMemberError(Exception):
    """A certificate isn't one of the organisation's; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate that is an organisation's.

    Attributes:
        msp_id: the organisation.
        certificate: DER. Whoever signs is this; one certificate can be serialized in many ways.
        roles: MEMBER, and those that its organisational units or the list of admins give it.
        trusted: whether its root is one that the verifier was given.
        begins, ends: the period within which its whole chain is valid.
    """

    msp_id: str
    certificate: bytes
    roles: frozenset[str]
    trusted: bool
    begins: datetime
    ends: datetime
    _key: ec.EllipticCurvePublicKey
    _half_order: int

    def has_signed(self, signature: bytes, message: bytes) -> bool:
        """Tell whether it made this ECDSA signature over SHA-256 of the message, with s in the lower half."""
        try:
            if decode_dss_signature(signature)[1] > self._half_order:
                return False
            self._key.verify(signature, message, _ECDSA)
        except (InvalidSignature, ValueError):
            return False
        return True

    def satisfies(self, principal: Principal) -> bool:
        """Tell whether it is one of a principal's."""
        if principal.identity:
            return principal.msp_id == self.msp_id and _der_of(principal.identity) == self.certificate
        return principal.msp_id == self.msp_id and principal.role in self.roles


class Membership:
    """Who belongs to which organisation under one configuration. What was found once is remembered."""

    def __init__(self, configuration: ChannelConfiguration, roots: TrustedRoots) -> None:
        """Prepare the organisations' certificates.

        Raises:
            MalformedConfigurationError: a certificate or revocation list can't be read.
        """
        self._organizations = {name: _Msp(each, roots) for name, each in configuration.organizations.items()}
        self._found: dict[bytes, Identity | NotAMemberError] = {}

    def identity(self, signer: Signer) -> Identity:
        """Return a signer's identity.

        Raises:
            NotAMemberError: it isn't one of its organisation's.
        """
        found = self._found.get(signer.raw)
        if found is None:
            if len(self._found) >= _MOST_CACHED:
                self._found.clear()
            found = self._found[signer.raw] = self._look(signer)
        if isinstance(found, NotAMemberError):
            raise found
        return found

    def _look(self, signer: Signer) -> Identity | NotAMemberError:
        msp = self._organizations.get(signer.msp_id)
        if msp is None:
            return NotAMemberError(f"{signer.msp_id} isn't an organisation of the channel")
        try:
            return msp.identity(signer)
        except NotAMemberError as error:
            return error
        except _TROUBLES as error:
            return NotAMemberError(f"a certificate of {signer.msp_id} can't be read: {error}")


class _Msp:
    """One organisation's rules."""

    def __init__(self, organization: Organization, roots: TrustedRoots) -> None:
        self._organization = organization
        self._trusted = roots.certificates
        self._roots = self._read(organization.roots, x509.load_pem_x509_certificate)
        self._authorities = [*self._roots, *self._read(organization.intermediates, x509.load_pem_x509_certificate)]
        self._revocations = self._read(organization.revocation_lists, x509.load_pem_x509_crl)
        self._admins = {_der(each) for each in self._read(organization.admins, x509.load_pem_x509_certificate)}
        self._certifiers = {
            unit.certifier: _der(x509.load_pem_x509_certificate(unit.certifier))
            for unit in organization.node_units.values()
            if self._read([unit.certifier] if unit.certifier else [], x509.load_pem_x509_certificate)
        }

    def identity(self, signer: Signer) -> Identity:
        certificate = x509.load_pem_x509_certificate(signer.certificate)
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise NotAMemberError(f"the key of {self._name(certificate)} isn't ECDSA")
        if _is_authority(certificate):
            raise NotAMemberError(
                f"{self._name(certificate)} is an authority's certificate, which signs no transactions"
            )
        chain = self._chain(certificate)
        for issued, issuer in itertools.pairwise(chain):
            if self._is_revoked(issued, issuer):
                raise NotAMemberError(f"{self._name(issued)} has been revoked")
        return Identity(
            msp_id=signer.msp_id,
            certificate=_der(certificate),
            roles=frozenset(self._roles(certificate, chain)),
            trusted=_der(chain[-1]) in self._trusted,
            begins=max(each.not_valid_before_utc for each in chain),
            ends=min(each.not_valid_after_utc for each in chain),
            _key=key,
            _half_order=_half_order(key),
        )

    def _chain(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        """Return certificate, authorities and root, each signed by the next."""
        chain = [certificate]
        while len(chain) <= _LONGEST_CHAIN:
            last = chain[-1]
            if last in self._roots:
                return chain
            issuer = next((each for each in self._authorities if _has_issued(each, last)), None)
            if issuer is None or issuer in chain:
                break
            chain.append(issuer)
        raise NotAMemberError(f"{self._name(certificate)} isn't signed by an authority of {self._organization.msp_id}")

    def _is_revoked(self, issued: x509.Certificate, issuer: x509.Certificate) -> bool:
        key = issuer.public_key()
        return any(
            listed.issuer == issuer.subject
            and listed.get_revoked_certificate_by_serial_number(issued.serial_number) is not None
            and isinstance(key, ec.EllipticCurvePublicKey)
            and listed.is_signature_valid(key)
            for listed in self._revocations
        )

    def _roles(self, certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> set[str]:
        roles = {"MEMBER"}
        if _der(certificate) in self._admins:
            roles.add("ADMIN")
        units = self._organization.node_units
        if not units:
            return roles
        found = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
        named = [str(each.value) for each in found]
        given = [role for role, unit in units.items() if unit.unit in named]
        if len(given) != 1:
            raise NotAMemberError(
                f"{self._name(certificate)} has {len(given)} organisational units that are roles, not 1"
            )
        certifier = units[given[0]].certifier
        if certifier and self._certifiers[certifier] != _der(chain[1]):
            raise NotAMemberError(f"{self._name(certificate)} has its role from another authority than roles come from")
        return roles | set(given)

    def _read(self, raw: Iterable[bytes], load: Callable[[bytes], T]) -> list[T]:
        try:
            return [load(each) for each in raw]
        except _TROUBLES as error:
            name = self._organization.msp_id
            raise MalformedConfigurationError(f"a certificate in the MSP of {name} can't be read: {error}") from None

    def _name(self, certificate: x509.Certificate) -> str:
        return f"the certificate {certificate.serial_number:x} of {self._organization.msp_id}"


def _der_of(serialized: bytes) -> bytes | None:
    """Return the certificate in a serialized identity, DER; None when it can't be read."""
    try:
        return _der(x509.load_pem_x509_certificate(parse_identity(serialized, "a principal")[1]))
    except (MalformedBlockError, *_TROUBLES):
        return None


def _has_issued(issuer: x509.Certificate, issued: x509.Certificate) -> bool:
    if issuer.subject != issued.issuer or not _is_authority(issuer):
        return False
    try:
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, *_TROUBLES):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}


def _half_order(key: ec.EllipticCurvePublicKey) -> int:
    order = _ORDERS.get(key.curve.name)
    if order is None:
        raise NotAMemberError(f"keys on {key.curve.name} aren't Fabric's; P-256 and P-384 are")
    return order // 2
