"""The files that follow from the blocks: facts, statements, index, configuration history.

The exporter writes them for whoever has no verifier at hand; the verifier computes them anew and compares bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from consilium_proto.canonical import Record, encode
from consilium_trail.blocks.block import Block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.transactions import CONFIG, Transaction
from consilium_trail.fact_collector import FactCollector
from consilium_trail.statements import round_statement, statement_file
from consilium_trail.validation_codes import VALID, code_name

FACTS = "report/facts.json"
INDEX = "index.json"
CONFIGURATIONS = "configurations.json"


class IndexedBlock(Record, frozen=True, kw_only=True):
    """A block: its number, hash and the ids of its transactions in order (empty for one without)."""

    number: int
    hash: str
    transactions: tuple[str, ...]


class Index(Record, frozen=True, kw_only=True):
    """Where every transaction stands; `index.json`."""

    blocks: tuple[IndexedBlock, ...]


class OrganizationRecord(Record, frozen=True, kw_only=True):
    """An organisation as a configuration has it; certificates and revocation lists as PEM."""

    msp_id: str
    roots: tuple[str, ...]
    intermediates: tuple[str, ...]
    revocation_lists: tuple[str, ...]


class ConsenterRecord(Record, frozen=True, kw_only=True):
    """An orderer as a configuration has it."""

    number: int
    msp_id: str
    certificate: str


class ConfigurationRecord(Record, frozen=True, kw_only=True):
    """A configuration and the block that brought it. `policies` pairs each policy's path with its rule."""

    block: int
    sequence: int
    organizations: tuple[OrganizationRecord, ...]
    consenters: tuple[ConsenterRecord, ...]
    policies: tuple[tuple[str, str], ...]


class ConfigurationHistory(Record, frozen=True, kw_only=True):
    """Every configuration of the channel, oldest first; `configurations.json`."""

    configurations: tuple[ConfigurationRecord, ...]


class DerivedFiles:
    """Computes the derived files while blocks pass by, in order, from the first one on."""

    def __init__(self, channel: str, study: str, rounds: Sequence[int] = ()) -> None:
        self.collector = FactCollector(channel, study, rounds)
        self._blocks: list[IndexedBlock] = []
        self._configurations: list[ConfigurationRecord] = []

    def add(self, block: Block, transactions: Sequence[Transaction | None]) -> None:
        """Take in the next block and its decoded transactions, None for those that can't be decoded.

        Raises:
            MalformedConfigurationError: the block holds a configuration that can't be read.
        """
        self.collector.add(block, transactions)
        ids = tuple(each.envelope.tx_id if each else "" for each in transactions)
        self._blocks.append(IndexedBlock(number=block.number, hash=block.header.hash().hex(), transactions=ids))
        for position, each in enumerate(transactions):
            if each and each.envelope.kind == CONFIG and code_name(block.flags[position]) == VALID:
                self._configurations.append(_configuration(block.number, decode_configuration(each.envelope.data)))

    def files(self) -> dict[str, bytes]:
        """Return the files' contents by their names."""
        facts = self.collector.facts()
        statements = {statement_file(each.round): round_statement(facts, each) for each in facts.rounds}
        return {
            **statements,
            FACTS: encode(facts),
            INDEX: encode(Index(blocks=tuple(self._blocks))),
            CONFIGURATIONS: encode(ConfigurationHistory(configurations=tuple(self._configurations))),
        }


def _configuration(block: int, found: ChannelConfiguration) -> ConfigurationRecord:
    organizations = tuple(
        OrganizationRecord(
            msp_id=name,
            roots=_texts(each.roots),
            intermediates=_texts(each.intermediates),
            revocation_lists=_texts(each.revocation_lists),
        )
        for name, each in sorted(found.organizations.items())
    )
    consenters = tuple(
        ConsenterRecord(number=number, msp_id=each.msp_id, certificate=_text(each.identity))
        for number, each in sorted(found.consenters.items())
    )
    policies = tuple(sorted((path, str(policy)) for path, policy in found.policies.items()))
    return ConfigurationRecord(
        block=block,
        sequence=found.sequence,
        organizations=organizations,
        consenters=consenters,
        policies=policies,
    )


def _texts(raw: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(_text(each) for each in raw)


def _text(raw: bytes) -> str:
    return raw.decode("ascii", errors="replace")
