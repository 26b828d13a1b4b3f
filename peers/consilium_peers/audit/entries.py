"""Transactions as auditors' questions take them: who sent what when, who endorsed it, what it wrote in one state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from consilium_peers.audit.errors import BrokenLedgerError
from consilium_peers.audit.ledger_keys import read_key
from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_trail.blocks.read_write_sets import Version, Write
from consilium_trail.blocks.transactions import Invocation, Transaction
from consilium_trail.subjects import subject_of
from consilium_trail.validation_codes import VALID

R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction of the federation's chaincode, or what a transaction wrote in the EVM's state.

    Attributes:
        block, position: where it is.
        code: VALID, or why peers found it invalid.
        proposed: milliseconds since 1970, as its client claims.
        creator: the MSP id of who sent it.
        certificate: the common name in the creator's certificate.
        endorsers: the MSP ids of who endorsed it.
        function, argument: what was asked.
        study, round: what it was asked about, as the argument says; "" and 0 for neither.
        event: the event's name, "" without one.
        writes: keys and values; nothing of it was applied unless the transaction is valid.
        read_versions: which transactions had written what this one read.
        size: of the whole envelope, in bytes.
    """

    block: int
    position: int
    tx_id: str
    code: str
    proposed: int
    creator: str
    certificate: str
    endorsers: tuple[str, ...]
    function: str
    argument: bytes
    study: str
    round: int
    event: str
    writes: tuple[Write, ...]
    read_versions: frozenset[Version]
    size: int

    @property
    def valid(self) -> bool:
        """True when its writes were applied."""
        return self.code == VALID

    def written(self, kind: type[R], key_kind: str, *attributes: str) -> Iterator[tuple[tuple[str, ...], R]]:
        """Yield the records of a kind that it wrote, with their keys' attributes, which begin with `attributes`."""
        for write in self.writes:
            key = read_key(write.key)
            if key.kind == key_kind and write.value is not None and key.attributes[: len(attributes)] == attributes:
                yield key.attributes, _record(kind, write.value, self)

    def asked(self, kind: type[R]) -> R:
        """Return the argument."""
        return _record(kind, self.argument, self)


def _record(kind: type[R], value: bytes, entry: Entry) -> R:
    try:
        return decode(kind, value)
    except WireError as error:
        raise BrokenLedgerError(f"transaction {entry.tx_id} of block {entry.block}: {error}") from None


def is_readable(certificate: bytes) -> bool:
    """Tell whether it is a certificate (PEM)."""
    try:
        x509.load_pem_x509_certificate(certificate)
    except (ValueError, x509.InvalidVersion):
        return False
    return True


def common_name(certificate: bytes) -> str:
    """Return the common name in a certificate (PEM); "" when there is none, or no certificate."""
    try:
        names = x509.load_pem_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, x509.InvalidVersion):
        return ""
    return str(names[0].value) if names else ""


@dataclass(frozen=True, slots=True)
class CalledTransaction:
    """A transaction that calls a chaincode, where it stands in a block, and its envelope's size."""

    block: int
    position: int
    code: str
    transaction: Transaction
    invocation: Invocation
    size: int

    def entry(self, namespace: str) -> Entry:
        """Return it with what it read and wrote in one chaincode's state."""
        envelope, invocation = self.transaction.envelope, self.invocation
        creator = envelope.creator
        own = [each for each in invocation.sets if each.namespace == namespace]
        about = subject_of(invocation.arguments)
        return Entry(
            block=self.block,
            position=self.position,
            tx_id=envelope.tx_id,
            code=self.code,
            proposed=envelope.timestamp,
            creator="" if creator is None else creator.msp_id,
            certificate="" if creator is None else common_name(creator.certificate),
            endorsers=tuple(sorted({each.endorser.msp_id for each in invocation.endorsements})),
            function=invocation.function,
            argument=invocation.arguments[0] if invocation.arguments else b"",
            study=about.study,
            round=about.round,
            event=invocation.event.name if invocation.event else "",
            writes=tuple(write for each in own for write in each.writes),
            read_versions=frozenset(read.version for each in own for read in each.reads if read.version is not None),
            size=self.size,
        )
