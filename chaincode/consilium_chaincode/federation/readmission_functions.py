"""The contract's functions about who was barred: approving a readmission, and carrying it out."""

from __future__ import annotations

from consilium_chaincode.federation import bars as rules
from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation import study as studies
from consilium_chaincode.federation.callers import ADMIN
from consilium_chaincode.federation.contract_parts import ContractPart, caller_of, takes
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.shim.contract import transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import digest
from consilium_proto.records import EventName, Readmission, ReadmissionApproval, StudyBars


class ReadmissionFunctions(ContractPart):
    """ApproveReadmission, Readmit."""

    @transaction("ApproveReadmission")
    @takes(Readmission)
    async def approve_readmission(self, stub: ChaincodeStub, readmission: Readmission) -> bytes:
        """Record one hospital's word that a barred party may act again."""
        # Who may: an admin of another participant of the study.
        caller = caller_of(stub, ADMIN)
        # Read: the study, its progress, who is barred, the caller's own key.
        ledger = LedgerState(stub)
        study = await ledger.study(readmission.study)
        progress = await ledger.progress(readmission.study)
        bars = await ledger.read(StudyBars, state_keys.study_bars(readmission.study))
        own_key = _approval_key(readmission, caller.organization)
        existing = await ledger.read(ReadmissionApproval, own_key)
        # Check.
        caller.require_among(rules.voters(study.terms, readmission.party), "another participant of this study")
        self.timestamp(stub, study.terms.clock_tolerance)
        require_unwritten(existing, f"{caller.organization}'s approval of the readmission of {readmission.party}")
        rules.check_readmission(bars, progress, readmission)
        # Write: the caller's own key.
        await ledger.write(own_key, ReadmissionApproval(readmission=digest(readmission)))
        ledger.announce(EventName.READMISSION_APPROVED, caller.organization, readmission.study)
        return b""

    @transaction("Readmit")
    @takes(Readmission)
    async def readmit(self, stub: ChaincodeStub, readmission: Readmission) -> bytes:
        """Let a barred party act again, once enough hospitals have approved it."""
        # Who may: an admin of a participant of the study.
        caller = caller_of(stub, ADMIN)
        # Read: the study, its progress, who is barred, every voter's approval.
        ledger = LedgerState(stub)
        study = await ledger.study(readmission.study)
        progress = await ledger.progress(readmission.study)
        bars = await ledger.read(StudyBars, state_keys.study_bars(readmission.study))
        voters = rules.voters(study.terms, readmission.party)
        approvals = await ledger.read_all(
            ReadmissionApproval, [_approval_key(readmission, hospital) for hospital in voters]
        )
        # Check.
        caller.require_among(studies.participants(study.terms), f"a participant of study {readmission.study}")
        self.timestamp(stub, study.terms.clock_tolerance)
        rules.check_readmission(bars, progress, readmission)
        approved_by = {hospital for hospital, found in zip(voters, approvals, strict=True) if found is not None}
        following = rules.readmit(study.terms, bars, readmission, approved_by)
        # Write: who is barred from now on.
        await ledger.write(state_keys.study_bars(readmission.study), following)
        ledger.announce(EventName.PARTY_READMITTED, caller.organization, readmission.study)
        return b""


def _approval_key(readmission: Readmission, hospital: str) -> str:
    return state_keys.readmission_approval(readmission.study, readmission.party, readmission.round, hospital)
