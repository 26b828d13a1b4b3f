"""The contract's functions about studies and their key epochs."""

from __future__ import annotations

from consilium_chaincode.federation import key_epoch as epochs
from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation import study as rules
from consilium_chaincode.federation.callers import ADMIN, CLIENT, EXPORTERS
from consilium_chaincode.federation.contract_parts import (
    ContractPart,
    answer,
    caller_of,
    check_any_reader,
    check_empty,
    check_reader,
    takes,
)
from consilium_chaincode.federation.deadlines import CONSORTIUM_TOLERANCE
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.federation.reward_calls import check_rewards
from consilium_chaincode.federation.rewards import reward_check
from consilium_chaincode.shim.contract import query, transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import decode, encode
from consilium_proto.records import (
    EventName,
    KeyEpoch,
    KeyEpochReference,
    Study,
    StudyApproval,
    StudyApprovalRequest,
    StudyBars,
    StudyList,
    StudyPhase,
    StudyReference,
    StudyTerms,
    StudyView,
)
from consilium_proto.refusals import RefusalCode

HOSPITAL = "a hospital of the consortium"


class StudyFunctions(ContractPart):
    """ProposeStudy, ApproveStudy, ActivateStudy, CloseStudy, ReadStudy, ListStudies, AuthorizeExport, OpenKeyEpoch,
    ReadKeyEpoch.
    """

    @transaction("ProposeStudy")
    @takes(StudyTerms)
    async def propose_study(self, stub: ChaincodeStub, terms: StudyTerms) -> bytes:
        """Propose a study; its terms never change afterwards."""
        # Who may: an admin of a hospital.
        caller = caller_of(stub, ADMIN)
        # Read: the consortium, whether the name is taken.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        existing = await ledger.read(Study, state_keys.study(terms.study))
        # Check. The clock's tolerance is not the terms' own, which nobody has approved yet.
        caller.require_among(consortium.hospitals, HOSPITAL)
        timestamp = self.timestamp(stub, CONSORTIUM_TOLERANCE)
        require_unwritten(existing, f"study {terms.study}")
        rules.check_terms(terms, consortium)
        if (check := reward_check(terms)) is not None:
            await check_rewards(stub, check)
        proposed, progress = rules.propose(terms, caller.organization, timestamp)
        # Write: the study and its progress.
        await ledger.write(state_keys.study(terms.study), proposed)
        await ledger.write(state_keys.study_progress(terms.study), progress)
        ledger.announce(EventName.STUDY_PROPOSED, caller.organization, terms.study, phase=proposed.phase)
        return b""

    @transaction("ApproveStudy")
    @takes(StudyApprovalRequest)
    async def approve_study(self, stub: ChaincodeStub, request: StudyApprovalRequest) -> bytes:
        """Record one hospital's approval of a study's terms."""
        # Who may: an admin of a hospital.
        caller = caller_of(stub, ADMIN)
        # Read: the consortium, the study, the caller's own key.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(request.study)
        own_key = state_keys.study_approval(request.study, caller.organization)
        existing = await ledger.read(StudyApproval, own_key)
        # Check.
        caller.require_among(consortium.hospitals, HOSPITAL)
        self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s approval of study {request.study}")
        rules.check_approval(study, request)
        # Write: the caller's own key.
        await ledger.write(own_key, StudyApproval(terms=request.terms))
        ledger.announce(EventName.STUDY_APPROVED, caller.organization, request.study, phase=study.phase)
        return b""

    @transaction("ActivateStudy")
    @takes(StudyReference)
    async def activate_study(self, stub: ChaincodeStub, reference: StudyReference) -> bytes:
        """Make a study active that a majority of the hospitals have approved."""
        # Who may: an admin or client of a hospital.
        caller = caller_of(stub, ADMIN, CLIENT)
        # Read: the consortium, the study and its progress, every hospital's approval.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(reference.study)
        progress = await ledger.progress(reference.study)
        approved_by = await _approved_by(ledger, reference.study, consortium.hospitals)
        # Check.
        caller.require_among(consortium.hospitals, HOSPITAL)
        timestamp = self.timestamp(stub, study.terms.clock_tolerance)
        study, progress = rules.activate(study, progress, consortium, approved_by, timestamp)
        # Write: the study and its progress.
        await ledger.write(state_keys.study(reference.study), study)
        await ledger.write(state_keys.study_progress(reference.study), progress)
        ledger.announce(EventName.STUDY_ACTIVATED, caller.organization, reference.study, phase=study.phase)
        return b""

    @transaction("CloseStudy")
    @takes(StudyReference)
    async def close_study(self, stub: ChaincodeStub, reference: StudyReference) -> bytes:
        """Close a study: no round follows. A proposed one is withdrawn with it."""
        # Who may: an admin of the coordinator.
        caller = caller_of(stub, ADMIN)
        # Read: the consortium, the study and its progress.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(reference.study)
        progress = await ledger.progress(reference.study)
        # Check.
        caller.require_among(consortium.hospitals, HOSPITAL)
        caller.require_among([study.terms.coordinator], f"the coordinator of study {reference.study}")
        self.timestamp(stub, study.terms.clock_tolerance)
        study = rules.close(study, progress)
        # Write: the study.
        await ledger.write(state_keys.study(reference.study), study)
        ledger.announce(EventName.STUDY_CLOSED, caller.organization, reference.study, phase=study.phase)
        return b""

    @query("ReadStudy")
    @takes(StudyReference)
    async def read_study(self, stub: ChaincodeStub, reference: StudyReference) -> bytes:
        """Return a study with its approvals, head, current key epoch and bars."""
        # Who may: whoever takes part or reads by role, and the study's participants.
        ledger = LedgerState(stub)
        study = await ledger.study(reference.study)
        await check_reader(stub, *rules.participants(study.terms))
        progress = await ledger.progress(reference.study)
        consortium = await ledger.consortium()
        approved_by = await _approved_by(ledger, reference.study, consortium.hospitals)
        epoch = await ledger.current_epoch(reference.study)
        key_epoch = await ledger.read(KeyEpoch, state_keys.key_epoch(reference.study, epoch))
        bars = await ledger.read(StudyBars, state_keys.study_bars(reference.study))
        return encode(
            StudyView(
                study=study,
                approvals=approved_by,
                head=rules.head(progress, epoch),
                key_epoch=key_epoch,
                bars=() if bars is None else bars.bars,
            )
        )

    @query("ListStudies")
    async def list_studies(self, stub: ChaincodeStub, argument: bytes = b"") -> bytes:
        """Return the names of all studies. Anyone in the channel may ask."""
        check_empty(argument)
        return await answer(self._list_studies(stub))

    @query("AuthorizeExport")
    @takes(StudyReference)
    async def authorize_export(self, stub: ChaincodeStub, reference: StudyReference) -> bytes:
        """Tell whether the caller may sign a study's trail in its organisation's name; returns nothing."""
        # Who may: whoever takes part or exports by role, and the study's participants.
        study = await LedgerState(stub).study(reference.study)
        await check_reader(stub, *rules.participants(study.terms), roles=EXPORTERS)
        return b""

    async def _list_studies(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        names = [decode(Study, entry.value).terms.study async for entry in stub.by_partial_key(state_keys.STUDY_KIND)]
        return encode(StudyList(studies=tuple(sorted(names))))

    @transaction("OpenKeyEpoch")
    @takes(KeyEpoch)
    async def open_key_epoch(self, stub: ChaincodeStub, proposed: KeyEpoch) -> bytes:
        """Start a study's next key epoch; a round that hasn't reached ANCHORED is void with the old one."""
        # Who may: a client of the coordinator at first, of any holder of the current key later.
        caller = caller_of(stub, CLIENT)
        # Read: the consortium, the study, its current epoch.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        study = await ledger.study(proposed.study)
        current = await ledger.current_epoch(proposed.study)
        key_epoch = await ledger.read(KeyEpoch, state_keys.key_epoch(proposed.study, current))
        # Check.
        caller.require_among(consortium.hospitals, HOSPITAL)
        caller.require_among(rules.participants(study.terms), f"a participant of study {proposed.study}")
        epochs.check_opener(study.terms, key_epoch, caller.organization)
        self.timestamp(stub, study.terms.clock_tolerance)
        rules.require_phase(study, StudyPhase.ACTIVE)
        opened = epochs.open_epoch(study.terms, consortium, current, caller.organization, proposed)
        # Write: the epoch and its number.
        await ledger.write(state_keys.key_epoch(proposed.study, proposed.epoch), proposed)
        await ledger.write(state_keys.current_epoch(proposed.study), opened)
        ledger.announce(EventName.KEY_EPOCH_OPENED, caller.organization, proposed.study, phase=study.phase)
        return b""

    @query("ReadKeyEpoch")
    @takes(KeyEpochReference)
    async def read_key_epoch(self, stub: ChaincodeStub, reference: KeyEpochReference) -> bytes:
        """Return a key epoch, also an earlier one: who could decrypt under it."""
        # Who may: whoever takes part or reads by role, and the study's participants.
        ledger = LedgerState(stub)
        study = await ledger.study(reference.study)
        await check_reader(stub, *rules.participants(study.terms))
        found = await ledger.read(KeyEpoch, state_keys.key_epoch(reference.study, reference.epoch))
        if found is None:
            raise Refused(RefusalCode.NOT_FOUND, f"study {reference.study} has no key epoch {reference.epoch}")
        return encode(found)


async def _approved_by(ledger: LedgerState, study: str, hospitals: tuple[str, ...]) -> tuple[str, ...]:
    approvals = await ledger.read_all(StudyApproval, [state_keys.study_approval(study, name) for name in hospitals])
    return tuple(name for name, approval in zip(hospitals, approvals, strict=True) if approval is not None)
