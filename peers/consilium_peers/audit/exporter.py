"""Who signed a trail, and whether a certificate like theirs may sign for its organisation.

The contract refuses an auditor's export, but can't keep anyone who has blocks from writing a trail of them. So whoever
verifies is told the role that the signing certificate has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from consilium_peers.audit.certificates import role_of
from consilium_peers.audit.entries import common_name
from consilium_proto.access_roles import ROLE_ATTRIBUTE, AccessRole
from consilium_trail.archive.reading import TrailReader

_MAY_EXPORT = ("", AccessRole.COMPLIANCE, AccessRole.ADMIN)


@dataclass(frozen=True, slots=True)
class Exporter:
    """The signer of a sound trail: the common name and the role in the certificate, "" for none."""

    name: str
    role: str

    @property
    def remark(self) -> str:
        """What there is to say against the signature; "" for nothing."""
        if self.role in _MAY_EXPORT:
            return ""
        return f"a certificate whose {ROLE_ATTRIBUTE} is {self.role!r} may not export in its organisation's name"


def exporter_of(trail_file: Path) -> Exporter:
    """Return who signed a trail that was found sound.

    Raises:
        TrailError: the trail can't be read.
    """
    with TrailReader(trail_file) as trail:
        certificate = trail.exporter.certificate.encode()
    return Exporter(common_name(certificate), role_of(x509.load_pem_x509_certificate(certificate)))
