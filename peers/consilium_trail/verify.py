"""Proving a trail: everything is computed again from the blocks and the trusted roots, step by step, without a network.

     1  digests          every file is the one that the manifest declares
     2  chain            every block follows the one before, from the channel's first one on
     3  orderers         a quorum of the orderers signed every block, under the configuration then in force
     4  creators         every transaction was signed by a member of the channel, whose certificate was good then
     5  endorsements     so was every endorsement that counts
     6  policies         who endorsed satisfies the policies then in force; who changed the configuration, its policies
     7  flags            every transaction's validation code is the one that follows
     8  replay           the contracts of federation and EVM, run again, read, write and announce what was committed
     9  sums             fingerprints add up to the sum, epsilon to the account
    10  statements       statements, facts, index and reports say what the blocks say; the exporter signed them
    11  artifacts        (if there are any) ciphertexts have the roots that are on the ledger

docs/trail.md says what each step proves and what the whole doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from consilium_trail.archive.derived_files import DerivedFiles
from consilium_trail.archive.reading import TrailReader
from consilium_trail.blocks.block import Block
from consilium_trail.blocks.configuration import ChannelConfiguration, decode_configuration
from consilium_trail.blocks.read_write_sets import Version
from consilium_trail.blocks.transactions import CONFIG, Transaction
from consilium_trail.definitions import FEDERATION
from consilium_trail.errors import TrailError
from consilium_trail.fact_collector import decoded
from consilium_trail.membership import Membership
from consilium_trail.roots import TrustedRoots
from consilium_trail.state import Place as StatePlace
from consilium_trail.state import State
from consilium_trail.validation_codes import VALID
from consilium_trail.verification.artifacts import ArtifactCheck, CheckedArtifacts
from consilium_trail.verification.chain import ChainCheck
from consilium_trail.verification.configuration_updates import check_update
from consilium_trail.verification.derived import check_derived, check_envelopes
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.flags import UsedIds, check_flag, place_of, without_duplicates
from consilium_trail.verification.moments import EARLIEST, vouched_moment
from consilium_trail.verification.ordering import check_consenters, check_last_configuration, check_quorum
from consilium_trail.verification.replay import Replay
from consilium_trail.verification.results import Counts, Verification, sound, unreadable, unsound
from consilium_trail.verification.sums import SumCheck
from consilium_trail.verification.transactions import Outcome, Rules

Progress = Callable[[int, int], None]
"""Told after every block: how many blocks have been verified, of how many."""


def silent(_: int, __: int) -> None:
    """Show no progress."""


def verify_trail(
    path: Path, roots: TrustedRoots, progress: Progress = silent, artifacts: Path | None = None
) -> Verification:
    """Verify a trail. Whatever the file holds, the answer is a result, never an exception.

    Args:
        path: the trail.
        roots: what is trusted.
        progress: is told how far it is.
        artifacts: a folder of ciphertexts, such as an aggregator's store, to check against the ledger.
    """
    run = _Run(roots)
    try:
        with TrailReader(path) as trail:
            run.verify(trail, progress, artifacts)
            return sound(trail, run.counts, run.derived, run.exporter, run.checked_artifacts, roots)
    except UnsoundError as finding:
        return unsound(finding, run.counts)
    except TrailError as error:
        return unreadable(error, run.place, run.counts)


class _Run:
    """One verification, under way."""

    def __init__(self, roots: TrustedRoots) -> None:
        self.roots = roots
        self.counts = Counts()
        self.place = Place()
        self.derived = DerivedFiles("", "")
        self.exporter = ""
        self.checked_artifacts: CheckedArtifacts | None = None

    def verify(self, trail: TrailReader, progress: Progress, artifacts: Path | None) -> None:
        """Run all steps."""
        self._prepare(trail)
        self._check_digests(trail)  # step 1
        self.place = Place(0)
        for block in trail.blocks():
            self._chain.check(block)  # step 2
            if block.number == 0:
                self._begin(block)
            else:
                self._check_block(block)  # steps 3 to 9
            self.counts.blocks += 1
            progress(self.counts.blocks, trail.manifest.blocks)
            self.place = Place(self.counts.blocks)
        self.place = Place()
        check_derived(trail, self.derived)  # step 10
        facts = self.derived.collector.facts()
        self.exporter = check_envelopes(trail, facts, self._membership, self._passed).msp_id
        if artifacts is not None:
            epochs = {each.round: each.epoch for each in facts.rounds}
            self.checked_artifacts = self._artifacts.check(artifacts, epochs)  # step 11

    def _prepare(self, trail: TrailReader) -> None:
        manifest = trail.manifest
        self._channel = manifest.channel
        self._chain = ChainCheck(self.roots)
        self._state = State()
        self._used_ids = UsedIds()
        self._replay = Replay(manifest.channel)
        self._sums = SumCheck()
        self._artifacts = ArtifactCheck(manifest.channel, manifest.study)
        self.derived = DerivedFiles(manifest.channel, manifest.study, manifest.rounds)
        self._passed = EARLIEST

    def _check_digests(self, trail: TrailReader) -> None:
        for name, declared in trail.files.items():
            if trail.digest(name) != declared.sha256:
                raise UnsoundError(Step.DIGESTS, Place(file=name), "its SHA-256 isn't the one that is declared")

    def _begin(self, block: Block) -> None:
        """Take the channel's first configuration, which nobody signs: its hash, and signers' roots, are trusted."""
        transactions = decoded(block)
        first = transactions[0]
        if first is None or first.envelope.kind != CONFIG or len(transactions) != 1:
            raise UnsoundError(Step.CHAIN, self.place, "the channel's first block isn't one configuration")
        if first.envelope.channel != self._channel:
            reason = f"the blocks are of channel {first.envelope.channel!r}, the manifest says {self._channel!r}"
            raise UnsoundError(Step.CHAIN, self.place, reason)
        check_flag(block, 0, Outcome(VALID, transaction=first))
        self.derived.add(block, transactions)
        self._use(decode_configuration(first.envelope.data), block.number)

    def _use(self, configuration: ChannelConfiguration, number: int) -> None:
        check_consenters(configuration, number)
        self._configuration = configuration
        self._membership = Membership(configuration, self.roots)
        self._configured_in = number

    def _check_block(self, block: Block) -> None:
        self.counts.orderer_signatures += check_quorum(  # step 3
            block, self._configuration, self._membership, self._passed
        )
        transactions = decoded(block)
        outcomes = self._judge(block, transactions)  # steps 4 to 6
        self._state.begin_block()
        following: ChannelConfiguration | None = None
        for position, outcome in enumerate(outcomes):
            settled = self._with_conflict(outcome)
            check_flag(block, position, settled)  # step 7
            self.counts.transactions += 1
            if settled.code == VALID:
                following = self._accept(block, position, settled) or following
        check_last_configuration(block, block.number if following else self._configured_in)
        self._used_ids.add(block)
        self.derived.add(block, transactions)
        if following:
            self._use(following, block.number)

    def _judge(self, block: Block, transactions: Sequence[Transaction | None]) -> list[Outcome]:
        rules = Rules(self._channel, self._configuration, self._membership, self._state, self._passed, self._used_ids)
        changed: set[tuple[StatePlace, str]] = set()
        pairs = zip(block.envelopes, transactions, strict=True)
        outcomes = [rules.judge(raw, transaction, changed) for raw, transaction in pairs]
        self.counts.endorsements += sum(each.endorsements for each in outcomes)
        return without_duplicates(outcomes)

    def _with_conflict(self, outcome: Outcome) -> Outcome:
        """Return the outcome once versions have been looked at."""
        call = outcome.transaction.invocation if outcome.transaction else None
        if outcome.code != VALID or call is None:
            return outcome
        conflict = self._state.conflict(call.sets)
        return replace(outcome, code=conflict, reason="what it read has changed since") if conflict else outcome

    def _accept(self, block: Block, position: int, outcome: Outcome) -> ChannelConfiguration | None:
        """Take over a valid transaction; return the configuration that it brings, if it does."""
        place = place_of(block, position, outcome)
        if outcome.objection is not None:
            raise UnsoundError(outcome.objection[0], place, outcome.objection[1])
        transaction = outcome.transaction
        assert transaction is not None, "what can't be decoded isn't valid"
        call, creator = transaction.invocation, transaction.envelope.creator
        if call is None or creator is None:
            if len(block.envelopes) != 1:
                raise UnsoundError(Step.POLICIES, place, "a configuration shares its block with other transactions")
            following = decode_configuration(transaction.envelope.data)
            check_update(place, self._channel, self._configuration, following, self._membership, self._passed)  # step 6
            return following
        self._replay.check(place, transaction, call, (block.number, position))  # step 8
        self._state.apply(call.sets, Version(block.number, position))
        if call.chaincode == FEDERATION:
            self._passed = max(self._passed, vouched_moment(transaction) or EARLIEST)
            self._sums.check(place, creator.msp_id, call)  # step 9
            self._artifacts.note(creator.msp_id, call)
        if call.chaincode not in self._replay.chaincodes:
            self.counts.not_replayed[call.chaincode] = self.counts.not_replayed.get(call.chaincode, 0) + 1
        return None
