"""The ledger's history, folded out of its blocks: every transaction of the federation, every configuration.

Blocks come from one peer. The fold checks that they follow from each other by their hashes, but takes the peer's word
for which transactions are valid: nobody signs that. `consilium audit verify` doesn't take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from consilium_peers.audit.errors import BrokenLedgerError, NotOnLedgerError
from consilium_peers.audit.ledger_keys import read_key
from consilium_peers.gateway import Network
from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_trail.blocks.block import Block, data_hash, decode_block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.read_write_sets import Version, Write
from consilium_trail.blocks.transactions import CONFIG, Invocation, Signer, Transaction, decode_transaction
from consilium_trail.errors import MalformedTransactionError, TrailError
from consilium_trail.subjects import subject_of
from consilium_trail.validation_codes import VALID, code_name

R = TypeVar("R", bound=Record)
Say = Callable[[int, int], None]
"""Tells how many blocks of how many were read."""


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


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration, and the block that put it into force; `proposed` is its client's claim of the time."""

    block: int
    proposed: int
    configuration: ChannelConfiguration


@dataclass(slots=True)
class SignerSeen:
    """A certificate that signed something: its organisation, what it did, and the first and last block of that."""

    msp_id: str
    certificate: bytes
    acts: set[str]
    first_block: int
    last_block: int


@dataclass
class History:
    """What blocks 0 to `height` - 1 say. Feed it every block in order with `add`.

    Attributes:
        chaincode: the federation's chaincode.
        entries: its transactions, also invalid ones, in the ledger's order.
        evm_entries: of whatever chaincode, those that write the EVM's state; `writes` are in that state.
        configurations: in their order.
        signers: who signed valid transactions, by serialized identity.
    """

    chaincode: str
    height: int = 0
    entries: list[Entry] = field(default_factory=list)
    evm_entries: list[Entry] = field(default_factory=list)
    configurations: list[Configured] = field(default_factory=list)
    signers: dict[bytes, SignerSeen] = field(default_factory=dict)
    _of_study: dict[str, list[Entry]] = field(default_factory=dict)
    _hash: bytes = b""

    def add(self, raw: bytes) -> None:
        """Take in the next block, serialized.

        Raises:
            BrokenLedgerError: it isn't the next one, or says something that can't be read.
        """
        try:
            block = decode_block(raw)
        except TrailError as error:
            raise BrokenLedgerError(f"block {self.height}: {error}") from None
        self.add_block(block)

    def add_block(self, block: Block) -> None:
        """Take in the next block.

        Raises:
            BrokenLedgerError: as `add`.
        """
        self._check_follows(block)
        try:
            for position, envelope in enumerate(block.envelopes):
                self._take(block, position, envelope)
        except TrailError as error:
            raise BrokenLedgerError(f"block {block.number}: {error}") from None
        self.height, self._hash = block.number + 1, block.header.hash()

    def note(self, entry: Entry) -> None:
        """Take in a transaction; `add` does so for each of a block."""
        self.entries.append(entry)
        if entry.valid and entry.study:
            self._of_study.setdefault(entry.study, []).append(entry)

    def valid(self) -> Iterator[Entry]:
        """Yield the transactions whose writes were applied."""
        return (entry for entry in self.entries if entry.valid)

    def valid_of_evm(self) -> Iterator[Entry]:
        """Yield what was written in the EVM's state."""
        return (entry for entry in self.evm_entries if entry.valid)

    def up_to(self, height: int) -> History:
        """Return what the blocks below `height` say; of signers, all that were seen at all."""
        return History(
            chaincode=self.chaincode,
            height=min(height, self.height),
            entries=[entry for entry in self.entries if entry.block < height],
            evm_entries=[entry for entry in self.evm_entries if entry.block < height],
            configurations=[each for each in self.configurations if each.block < height],
            signers=self.signers,
            _of_study={
                study: found
                for study, entries in self._of_study.items()
                if (found := [entry for entry in entries if entry.block < height])
            },
        )

    def of_study(self, study: str) -> list[Entry]:
        """Return the applied transactions about a study.

        Raises:
            NotOnLedgerError: there are none.
        """
        if study not in self._of_study:
            raise NotOnLedgerError(f"there is no study {study!r} in blocks 0 to {self.height - 1}")
        return self._of_study[study]

    def _check_follows(self, block: Block) -> None:
        if block.number != self.height or block.header.previous_hash != self._hash:
            raise BrokenLedgerError(f"block {block.number} doesn't follow block {self.height - 1}")
        if block.header.data_hash != data_hash(block.envelopes):
            raise BrokenLedgerError(f"block {block.number} doesn't hold the transactions that its header names")

    def _take(self, block: Block, position: int, envelope: bytes) -> None:
        code = code_name(block.flags[position])
        try:
            transaction = decode_transaction(envelope)
        except MalformedTransactionError as error:
            if code == VALID:
                raise BrokenLedgerError(
                    f"transaction {position} of block {block.number} is valid and can't be read: {error}"
                ) from None
            return
        creator = transaction.envelope.creator
        if creator is not None and code == VALID:
            self._saw(creator, "sent", block.number)
        if transaction.envelope.kind == CONFIG and code == VALID:
            found = decode_configuration(transaction.envelope.data)
            self.configurations.append(Configured(block.number, transaction.envelope.timestamp, found))
        invocation = transaction.invocation
        if invocation is None:
            return
        # An invalid transaction may name endorsers that never existed, and a valid one what peers passed over.
        for endorsement in invocation.endorsements if code == VALID else ():
            if endorsement.endorser.raw in self.signers or is_readable(endorsement.endorser.certificate):
                self._saw(endorsement.endorser, "endorsed", block.number)
        called = _Called(block.number, position, code, transaction, invocation, len(envelope))
        if invocation.chaincode == self.chaincode:
            self.note(called.entry(self.chaincode))
        if any(each.namespace == EVM_CHAINCODE and each.writes for each in invocation.sets):
            self.evm_entries.append(called.entry(EVM_CHAINCODE))

    def _saw(self, signer: Signer, act: str, block: int) -> None:
        seen = self.signers.get(signer.raw)
        if seen is None:
            self.signers[signer.raw] = SignerSeen(signer.msp_id, signer.certificate, {act}, block, block)
        else:
            seen.acts.add(act)
            seen.last_block = block


def is_readable(certificate: bytes) -> bool:
    """Tell whether it is a certificate (PEM)."""
    try:
        x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return False
    return True


def common_name(certificate: bytes) -> str:
    """Return the common name in a certificate (PEM); "" when there is none, or no certificate."""
    try:
        names = x509.load_pem_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return ""
    return str(names[0].value) if names else ""


@dataclass(frozen=True, slots=True)
class _Called:
    """A transaction in a block, and its envelope's size."""

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


async def read_history(network: Network, say: Say | None = None, end: int | None = None) -> History:
    """Read a channel's blocks up to `end` (excluded; None: as many as there are now) and fold them.

    Raises:
        BlocksError: no peer delivers them.
        BrokenLedgerError: they don't make a ledger.
    """
    history = History(network.gateway.profile.chaincode)
    height = await network.height() if end is None else end
    async with aclosing(network.blocks(0, height)) as blocks:
        async for block in blocks:
            history.add(block.content)
            if say is not None:
                say(history.height, height)
    return history
