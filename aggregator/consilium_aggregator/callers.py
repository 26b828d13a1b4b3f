"""Who calls: the organisation whose TLS authority signed the caller's certificate, never what a message says.

A certificate names its organisation (O) itself, so the name alone proves nothing: it counts only when a root of that
very organisation signed the certificate. Otherwise any member's authority could issue certificates for the others;
`test_callers.py` does so and is refused.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from consilium_aggregator.errors import ConfigurationError, StrangerError
from consilium_peers.profile import OrganizationRoots

_CERTIFICATE_PROPERTY = "x509_pem_cert"


class Callers:
    """Names callers by the TLS roots of all organisations. Certificates are issued by a root directly."""

    def __init__(self, roots: Mapping[str, Sequence[x509.Certificate]]) -> None:
        self._roots = roots

    @classmethod
    def load(cls, organizations: Iterable[OrganizationRoots]) -> Callers:
        """Read the roots of all organisations.

        Raises:
            ConfigurationError: there are none, or a file holds no certificates.
        """
        roots: dict[str, list[x509.Certificate]] = defaultdict(list)
        for entry in organizations:
            try:
                roots[entry.organization] += x509.load_pem_x509_certificates(entry.tls_roots.read_bytes())
            except (OSError, ValueError) as error:
                raise ConfigurationError(f"TLS roots of {entry.organization}, {entry.tls_roots}: {error}") from None
        if not roots:
            raise ConfigurationError("the profile lists no organizations, so no caller could be recognised")
        return cls(roots)

    def organization(self, certificate_pem: bytes) -> str:
        """Return the MSP id of the organisation that vouches for a certificate.

        Raises:
            StrangerError: no certificate, an expired one, or one that its organisation's root didn't sign.
        """
        certificate = _read(certificate_pem)
        name = _organization_name(certificate)
        now = datetime.datetime.now(datetime.UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise StrangerError(
                f"the TLS certificate of {name} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} to "
                f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC only; renew it or check the clocks"
            )
        if not any(_issued_by(certificate, root) for root in self._roots.get(name, ())):
            raise StrangerError(
                f"the TLS certificate says {name}, but no TLS root of that organisation signed it; use the pair that "
                "the organisation's own TLS authority issued"
            )
        return name

    def of_call(self, properties: Mapping[str, Iterable[bytes]]) -> str:
        """Return the organisation of a call, from the authentication properties of its connection.

        Raises:
            StrangerError: see `organization`.
        """
        for certificate in properties.get(_CERTIFICATE_PROPERTY, ()):
            return self.organization(certificate)
        raise StrangerError("the call carries no TLS client certificate")


def _read(certificate_pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise StrangerError(f"the TLS client certificate can't be read: {error}") from None


def _organization_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if len(names) != 1:
        raise StrangerError(f"the TLS certificate's subject names {len(names)} organisations instead of one")
    return str(names[0].value)


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
