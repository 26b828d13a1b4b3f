"""The contract's functions about rounds: opening, what the parties write, Advance, and reading."""

from __future__ import annotations

from consilium_chaincode.federation import bars, opening, rewards, round_writes, state_keys
from consilium_chaincode.federation import round as rules
from consilium_chaincode.federation import study as studies
from consilium_chaincode.federation.bounds import smallest_cohort
from consilium_chaincode.federation.callers import ADMIN, CLIENT
from consilium_chaincode.federation.contract_parts import ContractPart, caller_of, check_reader, takes
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.federation.reward_calls import credit_round
from consilium_chaincode.federation.round_reading import read_held, read_joins, read_written
from consilium_chaincode.federation.round_view import read_view
from consilium_chaincode.federation.verification_functions import participant
from consilium_chaincode.privacy.account import charge_anchor
from consilium_chaincode.privacy.account_reading import read_spending, require_affordable
from consilium_chaincode.shim.contract import query, transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.records import (
    Anchor,
    Attestation,
    EventName,
    Join,
    KeyEpoch,
    Opening,
    Publication,
    RoundPhase,
    RoundReference,
    StudyBars,
)
from consilium_proto.refusals import RefusalCode

ENTERED = {
    RoundPhase.SEALED: EventName.ROUND_SEALED,
    RoundPhase.ANCHORED: EventName.UPDATES_ANCHORED,
    RoundPhase.AGGREGATED: EventName.SUM_AGGREGATED,
    RoundPhase.CHALLENGED: EventName.ROUND_CHALLENGED,
    RoundPhase.LISTING: EventName.LISTING_BEGUN,
    RoundPhase.PROVING: EventName.PROVING_BEGUN,
    RoundPhase.VERIFIED: EventName.SUM_VERIFIED,
    RoundPhase.FINAL: EventName.ROUND_FINAL,
    RoundPhase.EXPIRED: EventName.ROUND_EXPIRED,
    RoundPhase.VOID: EventName.ROUND_VOID,
}


class RoundFunctions(ContractPart):
    """OpenRound, Join, Anchor, Publish, Attest, Advance, ReadRound."""

    @transaction("OpenRound")
    @takes(Opening)
    async def open_round(self, stub: ChaincodeStub, proposed: Opening) -> bytes:
        """Open a study's next round on its newest model."""
        # Who may: a client of the coordinator, of any participant once the study has been idle.
        caller = caller_of(stub, CLIENT)
        # Read: the consortium, the study, its progress, current key epoch and bars.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(proposed.study)
        progress = await ledger.progress(proposed.study)
        epoch = await ledger.current_epoch(proposed.study)
        key_epoch = await ledger.read(KeyEpoch, state_keys.key_epoch(proposed.study, epoch))
        barred = bars.barred_parties(await ledger.read(StudyBars, state_keys.study_bars(proposed.study)))
        # Check.
        caller.require_among(consortium.hospitals, "a hospital of the consortium")
        caller.require_among(studies.participants(study.terms), f"a participant of study {proposed.study}")
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        opened, following = opening.open_round(study, progress, consortium, key_epoch, barred, proposed, timestamp)
        opening.check_opener(study.terms, progress, caller.organization, timestamp)
        # Whose accounts are read follows from who would take part.
        least = smallest_cohort(study.terms.max_colluding)
        await require_affordable(ledger, proposed.study, study.terms.privacy, opened.participants, least)
        # Write: the round's state, the study's progress.
        await ledger.write(state_keys.round_state(proposed.study, proposed.round), opened)
        await ledger.write(state_keys.study_progress(proposed.study), following)
        ledger.announce(EventName.ROUND_OPENED, caller.organization, proposed.study, proposed.round, opened.phase)
        return b""

    @transaction("Join")
    @takes(Join)
    async def join(self, stub: ChaincodeStub, join: Join) -> bytes:
        """Take part in an open round."""
        # Who may: a client of a hospital that holds the round's key.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the caller's own key.
        ledger = LedgerState(stub)
        study = await ledger.study(join.study)
        state = await ledger.round(join.study, join.round)
        own_key = state_keys.join(join.study, join.round, caller.organization)
        existing = await ledger.read(Join, own_key)
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s join of round {join.round}")
        round_writes.check_join(study.terms, state, caller.organization, join, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, join)
        ledger.announce(EventName.HOSPITAL_JOINED, caller.organization, join.study, join.round, state.phase)
        return b""

    @transaction("Anchor")
    @takes(Anchor)
    async def anchor(self, stub: ChaincodeStub, anchor: Anchor) -> bytes:
        """Bind a hospital to its encrypted update before anything of it is uploaded."""
        # Who may: a client of one of the round's hospitals.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the caller's own keys of this attempt and the one before, its privacy account.
        ledger = LedgerState(stub)
        study = await ledger.study(anchor.study)
        state = await ledger.round(anchor.study, anchor.round)
        own_key = state_keys.anchor(anchor.study, anchor.round, anchor.attempt, caller.organization)
        existing = await ledger.read(Anchor, own_key)
        earlier: Anchor | None = None
        if anchor.attempt > 0:
            earlier_key = state_keys.anchor(anchor.study, anchor.round, anchor.attempt - 1, caller.organization)
            earlier = await ledger.read(Anchor, earlier_key)
        spending = await read_spending(ledger, caller.organization, anchor, earlier)
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s anchor of round {anchor.round}, attempt {anchor.attempt}")
        round_writes.check_anchor(study.terms, state, anchor, earlier, timestamp)
        charged = charge_anchor(spending, study.terms.privacy, anchor)
        # Write: the caller's own key; its privacy account and newest entry, once a round.
        await ledger.write(own_key, anchor)
        if charged is not None:
            account, newest = charged
            await ledger.write(state_keys.privacy_account(caller.organization, account.data_set), account)
            await ledger.write(state_keys.study_privacy(anchor.study, caller.organization), newest)
        ledger.announce(EventName.UPDATE_ANCHORED, caller.organization, anchor.study, anchor.round, state.phase)
        return b""

    @transaction("Publish")
    @takes(Publication)
    async def publish(self, stub: ChaincodeStub, publication: Publication) -> bytes:
        """Publish the root of the encrypted sum."""
        # Who may: a client of a registered aggregator.
        caller = caller_of(stub, CLIENT)
        # Read: the consortium, the study, its bars, the round, what is held, the caller's own key.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(publication.study)
        barred = bars.barred_parties(await ledger.read(StudyBars, state_keys.study_bars(publication.study)))
        state = await ledger.round(publication.study, publication.round)
        held = await read_held(ledger, study.terms, state)
        own_key = state_keys.publication(publication.study, publication.round, caller.organization)
        existing = await ledger.read(Publication, own_key)
        # Check.
        caller.require_among(consortium.aggregators, "an aggregator of the consortium")
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s publication in round {publication.round}")
        round_writes.check_publication(study.terms, state, caller.organization, publication, held, barred, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, publication)
        ledger.announce(EventName.SUM_PUBLISHED, caller.organization, publication.study, publication.round, state.phase)
        return b""

    @transaction("Attest")
    @takes(Attestation)
    async def attest(self, stub: ChaincodeStub, attestation: Attestation) -> bytes:
        """Attest which model follows from the round's publication."""
        # Who may: a client of one of the round's hospitals.
        caller = caller_of(stub, CLIENT)
        # Read: the study, the round, the caller's own key.
        ledger = LedgerState(stub)
        study = await ledger.study(attestation.study)
        state = await ledger.round(attestation.study, attestation.round)
        own_key = state_keys.attestation(
            attestation.study, attestation.round, attestation.publication, caller.organization
        )
        existing = await ledger.read(Attestation, own_key)
        # Check.
        caller.require_among(state.participants, participant(state))
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s attestation in round {attestation.round}")
        round_writes.check_attestation(state, attestation, timestamp)
        # Write: the caller's own key.
        await ledger.write(own_key, attestation)
        ledger.announce(
            EventName.MODEL_ATTESTED, caller.organization, attestation.study, attestation.round, state.phase
        )
        return b""

    @transaction("Advance")
    @takes(RoundReference)
    async def advance(self, stub: ChaincodeStub, reference: RoundReference) -> bytes:
        """Move a round on, or answer NOT_YET. Returns the round's new state."""
        # Who may: a client or admin of a participant of the study or a hospital of the consortium.
        caller = caller_of(stub, CLIENT, ADMIN)
        # Read: the consortium, the study, the round and what its phase waits for; the progress only to end the round.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(reference.study)
        state = await ledger.round(reference.study, reference.round)
        written = await read_written(ledger, stub.channel, study.terms, state, consortium)
        # Check.
        caller.require_among({*studies.participants(study.terms), *consortium.hospitals}, "a hospital of this study")
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        moved = rules.advance(study.terms, state, written, timestamp)
        if moved is None:
            raise Refused(
                RefusalCode.NOT_YET, f"round {state.round} of {state.study} stays {state.phase} at {timestamp}"
            )
        # Whose joins are read follows from who took part to the end.
        joins = await read_joins(ledger, moved, rewards.rewarded(study.terms, moved, written.attested))
        credit = rewards.round_credit(study.terms, moved, {name: join.samples for name, join in joins.items()})
        # Write: the round's state; the study's progress when the round is decided; who was proved to have lied; in
        # chaincode `evm`, what a final round is worth.
        await ledger.write(state_keys.round_state(state.study, state.round), moved)
        if moved.phase.decided:
            progress = studies.after_decision(await ledger.progress(state.study), moved, timestamp)
            await ledger.write(state_keys.study_progress(state.study), progress)
        if moved.barred != state.barred:
            bars_key = state_keys.study_bars(state.study)
            await ledger.write(bars_key, bars.after_round(await ledger.read(StudyBars, bars_key), moved))
        if credit is not None:
            await credit_round(stub, credit)
        retried = moved.attempt != state.attempt
        rejected = moved.rejected != state.rejected
        entered = EventName.SUM_REJECTED if rejected else ENTERED[moved.phase]
        event = EventName.ATTEMPT_STARTED if retried else entered
        ledger.announce(event, caller.organization, state.study, state.round, moved.phase)
        return encode(moved)

    @query("ReadRound")
    @takes(RoundReference)
    async def read_round(self, stub: ChaincodeStub, reference: RoundReference) -> bytes:
        """Return a round and everything its parties wrote."""
        # Who may: whoever takes part or reads by role, the study's participants, and who published in the round.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(reference.study)
        state = await ledger.round(reference.study, reference.round)
        published = (*state.rejected, *(() if state.publisher is None else (state.publisher,)))
        await check_reader(stub, *studies.participants(study.terms), *published)
        return encode(await read_view(ledger, stub.channel, study.terms, state, consortium, stub.timestamp))
