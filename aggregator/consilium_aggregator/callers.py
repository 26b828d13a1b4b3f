"""Who calls: the organisation whose TLS root issued the caller's certificate, never what a message says."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from consilium_aggregator.errors import ServerError, StrangerError
from consilium_peers.profile import OrganizationRoots


class Callers:
    """Recognises callers by the TLS roots of the consortium's organisations."""

    def __init__(self, organizations: Iterable[OrganizationRoots]) -> None:
        self._roots: list[tuple[str, x509.Certificate]] = []
        self._pem = b""
        for entry in organizations:
            try:
                pem = entry.tls_roots.read_bytes()
                self._roots += [(entry.organization, root) for root in x509.load_pem_x509_certificates(pem)]
            except (OSError, ValueError) as error:
                raise ServerError(f"TLS roots of {entry.organization} in {entry.tls_roots}: {error}") from None
            self._pem += pem.rstrip() + b"\n"

    @property
    def trusted_roots(self) -> bytes:
        """All roots, PEM, for the TLS handshake."""
        return self._pem

    def organization(self, certificate_pem: bytes) -> str:
        """Return the MSP id of the organisation that vouches for the certificate.

        The TLS handshake has checked chain, period and key; this tells whose root it was, and that the certificate
        names the same organisation.

        Raises:
            StrangerError: none of them, or the certificate's subject names another one.
        """
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        for organization, root in self._roots:
            try:
                certificate.verify_directly_issued_by(root)
            except (ValueError, TypeError, InvalidSignature):
                continue
            named = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
            if named == [organization]:
                return organization
            raise StrangerError(f"a certificate of {organization}'s CA names organisation {named or 'nobody'}")
        raise StrangerError("no organisation of the consortium issued the caller's certificate")
