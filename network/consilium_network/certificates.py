"""Certificates: an organisation's two authorities and what they sign. Needs nothing but `cryptography`.

One authority signs identities, another one TLS certificates, as Fabric's membership documentation advises. All keys are
ECDSA on P-256. Roles are told by the organisational unit (Fabric's NodeOUs), so one organisation has its peer, orderer,
admins and clients under one MSP id. The subject's O is the MSP id in every certificate.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consilium_network.errors import CertificateError
from consilium_network.layout import KeyPair
from consilium_peers.durable import write_atomically
from consilium_proto.access_roles import ATTRIBUTES_OID, ROLE_ATTRIBUTE, AccessRole

AUTHORITY_DAYS = 3650
_BACKDATED = datetime.timedelta(minutes=5)  # bears clocks that differ a little
_HALF_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551 >> 1


class OrganizationalUnit(StrEnum):
    """What a certificate's holder is, in Fabric's words."""

    PEER = "peer"
    ORDERER = "orderer"
    ADMIN = "admin"
    CLIENT = "client"


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        """Return the certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def private_key_pem(self) -> bytes:
        """Return the key as unencrypted PKCS#8 PEM, the form that Fabric's programs read."""
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def save(self, pair: KeyPair) -> None:
        """Write both; the key is readable by its owner alone."""
        write_atomically(pair.certificate, self.certificate_pem())
        write_atomically(pair.private_key, self.private_key_pem(), mode=0o600)


class Authority:
    """A certificate authority of one organisation."""

    def __init__(self, issued: Issued) -> None:
        self.issued = issued

    @classmethod
    def create(cls, common_name: str, msp_id: str) -> Authority:
        """Make a new, self-signed authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject(common_name, msp_id)
        builder = _builder(name, name, key.public_key(), key.public_key(), datetime.timedelta(days=AUTHORITY_DAYS))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(authority=True), critical=True)
        return cls(Issued(_sign(builder, key), key))

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Read an authority that `save` wrote.

        Raises:
            CertificateError: a file is missing or malformed.
        """
        pair = KeyPair.within(folder)
        try:
            key = serialization.load_pem_private_key(pair.private_key.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise CertificateError(f"can't read the authority's key {pair.private_key}: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise CertificateError(f"{pair.private_key} is no elliptic-curve key")
        return cls(Issued(read_certificate(pair.certificate), key))

    def save(self, folder: Path) -> None:
        """Write the authority to a folder."""
        self.issued.save(KeyPair.within(folder))

    def identity(
        self, common_name: str, unit: OrganizationalUnit, days: float, access: AccessRole | None = None
    ) -> Issued:
        """Issue a Fabric identity that is valid for `days`; `access` becomes the attribute that the contract reads."""
        extensions = () if access is None else (_attributes({ROLE_ATTRIBUTE: access.value}),)
        return self._issue(_subject(common_name, self._msp_id(), unit), days, extensions)

    def tls(self, common_name: str, hosts: Sequence[str], days: float) -> Issued:
        """Issue a TLS certificate for servers and clients; `hosts` are names or addresses of the server."""
        names = [_general_name(host) for host in dict.fromkeys(hosts)]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        extensions: list[x509.ExtensionType] = [usage]
        if names:
            extensions.append(x509.SubjectAlternativeName(names))
        return self._issue(_subject(common_name, self._msp_id()), days, extensions)

    def _issue(self, subject: x509.Name, days: float, extensions: Sequence[x509.ExtensionType]) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        own = self.issued
        lifetime = datetime.timedelta(days=days)
        builder = _builder(subject, own.certificate.subject, key.public_key(), own.private_key.public_key(), lifetime)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(authority=False), critical=True)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Issued(_sign(builder, own.private_key), key)

    def _msp_id(self) -> str:
        (organization,) = self.issued.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(organization.value)


def read_certificate(path: Path) -> x509.Certificate:
    """Read a PEM certificate.

    Raises:
        CertificateError: the file is missing or holds no certificate.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CertificateError(f"can't read the certificate {path}: {error}") from None


def expiry(path: Path) -> datetime.datetime:
    """Return the moment (UTC) until which a certificate is valid."""
    return read_certificate(path).not_valid_after_utc


def check_validity(path: Path, owner: str, now: datetime.datetime | None = None) -> None:
    """Refuse a certificate that isn't valid at this moment.

    Raises:
        CertificateError: it has expired or isn't valid yet. The message names owner, file and date.
    """
    certificate = read_certificate(path)
    moment = now or datetime.datetime.now(datetime.UTC)
    if moment > certificate.not_valid_after_utc:
        raise CertificateError(
            f"the certificate of {owner} expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC ({path}): "
            "issue a new one, or make the network anew with `consilium network down` and `up`"
        )
    if moment < certificate.not_valid_before_utc:
        raise CertificateError(
            f"the certificate of {owner} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on "
            f"({path}): check this machine's clock"
        )


def _subject(common_name: str, msp_id: str, unit: OrganizationalUnit | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, msp_id)]
    if unit is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit.value))
    attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + lifetime) - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _attributes(attributes: Mapping[str, str]) -> x509.UnrecognizedExtension:
    """Return the extension in which Fabric's own certificate authority writes attributes."""
    content = json.dumps({"attrs": attributes}, separators=(",", ":")).encode()
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(ATTRIBUTES_OID), content)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _sign(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Sign until S is in the lower half of the curve's order.

    Fabric re-encodes a certificate with a high S before it compares identities, so its bytes would differ between
    places (msp/cert.go, `sanitizeECDSASignedCert`). Two tries on average.
    """
    while True:
        certificate = builder.sign(key, hashes.SHA256())
        if decode_dss_signature(certificate.signature)[1] <= _HALF_ORDER:
            return certificate
