"""Reads a study's facts out of blocks, one block after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec import UNSET, UnsetType

from consilium_chaincode.federation import state_keys
from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_proto.ethereum.rewards import RoundReward
from consilium_proto.records import Anchor, Attestation, Disproof, MalformedChunk, Round, Study, StudyTerms
from consilium_trail.blocks.block import Block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.transactions import CONFIG, Invocation, Transaction, decode_transaction
from consilium_trail.definitions import FEDERATION, LIFECYCLE, NoDefinitionError, chaincode_policy
from consilium_trail.errors import MalformedTransactionError
from consilium_trail.facts import AttestedFact, DisputeFact, PrivacyFact, RoundFact, StudyFacts, TransactionFact
from consilium_trail.reward_collector import RewardCollector
from consilium_trail.subjects import subject_of
from consilium_trail.validation_codes import VALID, code_name

R = TypeVar("R", bound=Record)
_LATEST = 2**53  # milliseconds; what a client may write beyond isn't a time


class _RoundSoFar:
    """What was seen of a round."""

    def __init__(self) -> None:
        self.state: Round | None = None
        self.opened = 0
        self.policy = ""
        self.attestations: list[AttestedFact] = []
        self.privacy: list[PrivacyFact] = []
        self.disputes: list[DisputeFact] = []
        self.transactions: list[TransactionFact] = []


class FactCollector:
    """Collects the facts of one study from a channel's blocks, which must come in order, from the first one on.

    `rounds` are those that matter; without any, all do.
    """

    def __init__(self, channel: str, study: str, rounds: Sequence[int] = ()) -> None:
        self.channel = channel
        self.study = study
        self.rounds = frozenset(rounds)
        self.blocks = 0
        self.last_needed = 0
        """The newest block with a transaction about the rounds that matter or their rewards, or the study if all do."""
        self._terms: StudyTerms | None = None
        self._genesis = self._last = ""
        self._configuration: ChannelConfiguration | None = None
        self._lifecycle: dict[str, bytes | None] = {}
        self._rounds: dict[int, _RoundSoFar] = {}
        self._transactions: list[TransactionFact] = []
        self._rewards = RewardCollector(study, rounds)

    def add(self, block: Block, transactions: Sequence[Transaction | None] | None = None) -> None:
        """Take in the next block. Whoever has its transactions decoded gives them, with None for undecodable ones.

        Raises:
            MalformedConfigurationError: the block holds a configuration that can't be read.
        """
        self._last = block.header.hash().hex()
        self._genesis = self._genesis or self._last
        self.blocks = block.number + 1
        found = decoded(block) if transactions is None else transactions
        for position, transaction in enumerate(found):
            if transaction is None:
                continue
            code = code_name(block.flags[position])
            if transaction.invocation is not None:
                self._invocation(block.number, position, transaction, transaction.invocation, code)
            elif transaction.envelope.kind == CONFIG and code == VALID:
                self._configuration = decode_configuration(transaction.envelope.data)

    def facts(self) -> StudyFacts:
        """Return what was found so far."""
        found = sorted(number for number, seen in self._rounds.items() if seen.state is not None)
        return StudyFacts(
            channel=self.channel,
            study=self.study,
            genesis=self._genesis,
            blocks=self.blocks,
            last_hash=self._last,
            terms=self._terms,
            transactions=tuple(self._transactions),
            rounds=tuple(_fact(self._rounds[number], self._rewards.rounds.get(number, UNSET)) for number in found),
            rewards=self._rewards.facts(),
        )

    def _invocation(self, block: int, position: int, transaction: Transaction, call: Invocation, code: str) -> None:
        fact = _transaction_fact(block, position, transaction, call, code)
        if code == VALID:
            self._definitions(call)
            if self._rewards.add(fact, call):
                self.last_needed = block
        if call.chaincode != FEDERATION:
            return
        subject = subject_of(call.arguments)
        if subject.study != self.study or (self.rounds and subject.round and subject.round not in self.rounds):
            return
        if subject.round or not self.rounds:
            self.last_needed = block
        if not subject.round:
            self._transactions.append(fact)
            if code == VALID:
                self._read_terms(call)
            return
        seen = self._rounds.setdefault(subject.round, _RoundSoFar())
        seen.transactions.append(fact)
        if code == VALID:
            self._read_round(seen, subject.round, fact, call)

    def _definitions(self, call: Invocation) -> None:
        for each in call.sets:
            if each.namespace == LIFECYCLE:
                self._lifecycle.update({write.key: write.value for write in each.writes})

    def _read_terms(self, call: Invocation) -> None:
        study = _written(call, Study, state_keys.study(self.study))
        if study is not None:
            self._terms = study.terms

    def _read_round(self, seen: _RoundSoFar, number: int, fact: TransactionFact, call: Invocation) -> None:
        state = _written(call, Round, state_keys.round_state(self.study, number))
        if state is not None:
            seen.opened = seen.opened if seen.state else fact.time
            seen.state = state
            seen.policy = self._policy()
        if call.function == "Attest" and (attested := _argument(call, Attestation)):
            seen.attestations.append(AttestedFact(hospital=fact.creator, model=attested.model))
        elif call.function == "Anchor" and (anchor := _argument(call, Anchor)) and anchor.privacy:
            seen.privacy.append(PrivacyFact(hospital=fact.creator, attempt=anchor.attempt, entry=anchor.privacy))
        elif call.function == "Disprove" and (disproof := _argument(call, Disproof)):
            seen.disputes.append(_dispute(call.function, disproof.vector, disproof.author, fact))
        elif call.function == "ProveMalformed" and (malformed := _argument(call, MalformedChunk)):
            seen.disputes.append(_dispute(call.function, malformed.vector, malformed.vector, fact))

    def _policy(self) -> str:
        if self._configuration is None:
            return ""
        try:
            return str(chaincode_policy(self._configuration, FEDERATION, self._lifecycle.get))
        except NoDefinitionError:
            return ""


def decoded(block: Block) -> list[Transaction | None]:
    """Return a block's transactions, None for those that can't be decoded."""
    found: list[Transaction | None] = []
    for raw in block.envelopes:
        try:
            found.append(decode_transaction(raw))
        except MalformedTransactionError:
            found.append(None)
    return found


def _transaction_fact(
    block: int, position: int, transaction: Transaction, call: Invocation, code: str
) -> TransactionFact:
    creator = transaction.envelope.creator
    return TransactionFact(
        block=block,
        transaction=position,
        tx_id=transaction.envelope.tx_id,
        time=min(max(transaction.envelope.timestamp, 0), _LATEST),
        function=call.function,
        creator=creator.msp_id if creator else "",
        endorsers=tuple(sorted({each.endorser.msp_id for each in call.endorsements})),
        code=code,
    )


def _dispute(kind: str, vector: str, culprit: str, fact: TransactionFact) -> DisputeFact:
    return DisputeFact(kind=kind, vector=vector, culprit=culprit, shown_by=fact.creator, tx_id=fact.tx_id)


def _argument(call: Invocation, kind: type[R]) -> R | None:
    try:
        return decode(kind, call.arguments[0])
    except WireError:
        return None


def _written(call: Invocation, kind: type[R], key: str) -> R | None:
    """Return the record that a transaction wrote under a key of the federation's."""
    for each in call.sets:
        for write in each.writes if each.namespace == FEDERATION else ():
            if write.key == key and write.value is not None:
                try:
                    return decode(kind, write.value)
                except WireError:
                    return None
    return None


def _fact(seen: _RoundSoFar, reward: RoundReward | UnsetType) -> RoundFact:
    state = seen.state
    assert state is not None
    return RoundFact(
        round=state.round,
        phase=state.phase,
        base=state.base,
        model=state.model,
        epoch=state.epoch,
        attempt=state.attempt,
        participants=state.participants,
        missing=state.missing,
        publisher=state.publisher,
        rejected=state.rejected,
        barred=state.barred,
        attested_by=state.attested_by,
        challenge=state.challenge,
        policy=seen.policy,
        opened=seen.opened,
        decided=state.entered if state.phase.decided else None,
        attestations=tuple(seen.attestations),
        privacy=tuple(seen.privacy),
        disputes=tuple(seen.disputes),
        transactions=tuple(seen.transactions),
        reward=reward,
    )
