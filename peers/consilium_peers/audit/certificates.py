"""Which certificates were valid, revoked or expired at a moment: those that signed anything, and those that vouch.

Revocation lists come from the channel's configuration that was in force at the moment. A block has no time of its own,
so "in force" goes by the time that the configuration's sender claimed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from consilium_peers.audit.entries import common_name
from consilium_peers.audit.errors import BrokenLedgerError
from consilium_peers.audit.history import Configured, History
from consilium_proto.access_roles import ATTRIBUTES_OID, ROLE_ATTRIBUTE
from consilium_trail.blocks.configuration import ChannelConfiguration

_Serial = tuple[str, int]
VALID, EXPIRED, NOT_YET_VALID, REVOKED = "valid", "expired", "not yet valid", "revoked"


@dataclass(frozen=True, slots=True)
class CertificateState:
    """A certificate and what it was at the moment.

    Attributes:
        acts: what it did on the ledger (sent, endorsed, orders), or what it vouches for (root, TLS root).
        role: the certificate's attribute `consilium.role`; "" without one.
        revoked: when, as the revocation list says; "" when it wasn't.
        first_block, last_block: of what it did; of the configurations that hold it, for what vouches; -1 for one that
            a revocation list alone names, of which the ledger knows no more than its serial number.
        configured: the block of the configuration that decided about revocation.
    """

    organization: str
    name: str
    unit: str
    role: str
    acts: tuple[str, ...]
    state: str
    revoked: str
    not_before: str
    not_after: str
    serial: str
    first_block: int
    last_block: int
    configured: int


@dataclass(slots=True)
class _Found:
    organization: str
    acts: set[str]
    first_block: int
    last_block: int


def certificates_at(history: History, moment: datetime) -> tuple[CertificateState, ...]:
    """Return every certificate that the ledger knows, sorted by organisation and name, as it was at a moment.

    Raises:
        BrokenLedgerError: a certificate or revocation list can't be read.
    """
    configured = _in_force(history, moment)
    revoked = dict(_revoked(configured.configuration, moment))
    states = [
        _state(certificate, found, moment, revoked, configured.block) for certificate, found in _all(history).items()
    ]
    known = {(state.organization, state.serial) for state in states}
    states += [
        _unknown(organization, serial, date, configured.block)
        for (organization, serial), date in revoked.items()
        if (organization, f"{serial:x}") not in known
    ]
    return tuple(sorted(states, key=lambda state: (state.organization, state.name, state.not_before, state.serial)))


def _in_force(history: History, moment: datetime) -> Configured:
    """Return the newest configuration that was proposed by then; the first one when none was."""
    if not history.configurations:
        raise BrokenLedgerError("the blocks hold no configuration")
    milliseconds = int(moment.timestamp() * 1000)
    earlier = [each for each in history.configurations if each.proposed <= milliseconds]
    return earlier[-1] if earlier else history.configurations[0]


def _revoked(configuration: ChannelConfiguration, moment: datetime) -> Iterator[tuple[_Serial, datetime]]:
    """Yield organisation and serial number, and the date, of what the revocation lists name by then."""
    for organization in configuration.organizations.values():
        for raw in organization.revocation_lists:
            try:
                listed = x509.load_pem_x509_crl(raw)
            except ValueError as error:
                raise BrokenLedgerError(f"a revocation list of {organization.msp_id} can't be read: {error}") from None
            for each in listed:
                if each.revocation_date_utc <= moment:
                    yield (organization.msp_id, each.serial_number), each.revocation_date_utc


def _all(history: History) -> dict[bytes, _Found]:
    found: dict[bytes, _Found] = {}
    for seen in history.signers.values():
        found[seen.certificate] = _Found(seen.msp_id, set(seen.acts), seen.first_block, seen.last_block)
    for position, configured in enumerate(history.configurations):
        following = history.configurations[position + 1 :]
        last = following[0].block - 1 if following else history.height - 1
        for organization, act, certificate in _configured(configured.configuration):
            one = found.setdefault(certificate, _Found(organization, set(), configured.block, last))
            one.acts.add(act)
            one.last_block = max(one.last_block, last)
            one.first_block = min(one.first_block, configured.block)
    return found


def _configured(configuration: ChannelConfiguration) -> Iterator[tuple[str, str, bytes]]:
    for organization in configuration.organizations.values():
        for act, certificates in (
            ("root", organization.roots),
            ("intermediate", organization.intermediates),
            ("TLS root", organization.tls_roots),
        ):
            for certificate in certificates:
                yield organization.msp_id, act, certificate
    for consenter in configuration.consenters.values():
        yield consenter.msp_id, "orders", consenter.identity


def _state(
    raw: bytes, found: _Found, moment: datetime, revoked: dict[_Serial, datetime], configured: int
) -> CertificateState:
    try:
        certificate = x509.load_pem_x509_certificate(raw)
    except ValueError as error:
        raise BrokenLedgerError(f"a certificate of {found.organization} can't be read: {error}") from None
    date = revoked.get((found.organization, certificate.serial_number))
    units = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    return CertificateState(
        organization=found.organization,
        name=common_name(raw),
        unit=" ".join(str(unit.value) for unit in units),
        role=role_of(certificate),
        acts=tuple(sorted(found.acts)),
        state=REVOKED if date is not None else _validity(certificate, moment),
        revoked="" if date is None else _shown(date),
        not_before=_shown(certificate.not_valid_before_utc),
        not_after=_shown(certificate.not_valid_after_utc),
        serial=f"{certificate.serial_number:x}",
        first_block=found.first_block,
        last_block=found.last_block,
        configured=configured,
    )


def _unknown(organization: str, serial: int, date: datetime, configured: int) -> CertificateState:
    return CertificateState(
        organization=organization,
        name="",
        unit="",
        role="",
        acts=(),
        state=REVOKED,
        revoked=_shown(date),
        not_before="",
        not_after="",
        serial=f"{serial:x}",
        first_block=-1,
        last_block=-1,
        configured=configured,
    )


def _validity(certificate: x509.Certificate, moment: datetime) -> str:
    if moment > certificate.not_valid_after_utc:
        return EXPIRED
    return NOT_YET_VALID if moment < certificate.not_valid_before_utc else VALID


def role_of(certificate: x509.Certificate) -> str:
    """Return a certificate's attribute `consilium.role`; "" when it has none."""
    try:
        extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier(ATTRIBUTES_OID)).value
        content = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b"{}"
        return str(json.loads(content)["attrs"][ROLE_ATTRIBUTE])
    except (x509.ExtensionNotFound, ValueError, KeyError, TypeError):
        return ""


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
