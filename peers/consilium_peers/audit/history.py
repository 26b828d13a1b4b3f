"""The ledger's history, folded out of its blocks: every transaction of the federation, every configuration.

Blocks come from one peer. The fold checks that they follow from each other by their hashes, but takes the peer's word
for which transactions are valid: nobody signs that. `consilium audit verify` doesn't take it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from consilium_peers.audit.entries import CalledTransaction, Entry, is_readable
from consilium_peers.audit.errors import BrokenLedgerError, NotOnLedgerError
from consilium_peers.gateway import Network
from consilium_proto.canonical import Record
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_trail.blocks.block import Block, data_hash, decode_block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.transactions import CONFIG, Signer, decode_transaction
from consilium_trail.errors import MalformedTransactionError, TrailError
from consilium_trail.validation_codes import VALID, code_name

R = TypeVar("R", bound=Record)
Say = Callable[[int, int], None]
"""Tells how many blocks of how many were read."""


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
        called = CalledTransaction(block.number, position, code, transaction, invocation, len(envelope))
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
