"""The contract's functions about the consortium and its hospitals' keys."""

from __future__ import annotations

from consilium_chaincode.federation import consortium as rules
from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.callers import ADMIN, CLIENT
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
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.shim.contract import query, transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import digest, encode
from consilium_proto.records import Consortium, ConsortiumApproval, EventName, HospitalKey, HospitalReference

VOTER = "a hospital that decides about this consortium"
HOSPITAL = "a hospital of the consortium"


class ConsortiumFunctions(ContractPart):
    """ApproveConsortium, EnactConsortium, ReadConsortium, RegisterHospitalKey, ReadHospitalKey."""

    @transaction("ApproveConsortium")
    @takes(Consortium)
    async def approve_consortium(self, stub: ChaincodeStub, proposed: Consortium) -> bytes:
        """Record one hospital's approval of the next consortium."""
        # Who may: an admin of a hospital that decides about it.
        caller = caller_of(stub, ADMIN)
        # Read: the consortium in force, the caller's own key.
        ledger = LedgerState(stub)
        current = await ledger.read(Consortium, state_keys.consortium())
        own_key = state_keys.consortium_approval(proposed, caller.organization)
        existing = await ledger.read(ConsortiumApproval, own_key)
        # Check.
        caller.require_among(rules.voters(current, proposed), VOTER)
        self.timestamp(stub, CONSORTIUM_TOLERANCE)
        require_unwritten(existing, f"{caller.organization}'s approval of revision {proposed.revision}")
        rules.check_successor(current, proposed)
        # Write: the caller's own key.
        await ledger.write(own_key, ConsortiumApproval(consortium=digest(proposed)))
        return b""

    @transaction("EnactConsortium")
    @takes(Consortium)
    async def enact_consortium(self, stub: ChaincodeStub, proposed: Consortium) -> bytes:
        """Put an approved consortium in force."""
        # Who may: an admin of a hospital that decides about it.
        caller = caller_of(stub, ADMIN)
        # Read: the consortium in force, every decider's approval.
        ledger = LedgerState(stub)
        current = await ledger.read(Consortium, state_keys.consortium())
        voters = rules.voters(current, proposed)
        approvals = await ledger.read_all(
            ConsortiumApproval, [state_keys.consortium_approval(proposed, hospital) for hospital in voters]
        )
        # Check.
        caller.require_among(voters, VOTER)
        self.timestamp(stub, CONSORTIUM_TOLERANCE)
        rules.check_successor(current, proposed)
        approved_by = {hospital for hospital, approval in zip(voters, approvals, strict=True) if approval is not None}
        enacted = rules.enact(current, proposed, approved_by)
        # Write: the consortium.
        await ledger.write(state_keys.consortium(), enacted)
        ledger.announce(EventName.CONSORTIUM_ENACTED, caller.organization)
        return b""

    @query("ReadConsortium")
    async def read_consortium(self, stub: ChaincodeStub, argument: bytes = b"") -> bytes:
        """Return the consortium in force. Anyone in the channel may ask."""
        check_empty(argument)
        return await answer(self._read_consortium(stub))

    async def _read_consortium(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        return encode(await LedgerState(stub).consortium())

    @transaction("RegisterHospitalKey")
    @takes(HospitalKey)
    async def register_hospital_key(self, stub: ChaincodeStub, key: HospitalKey) -> bytes:
        """Set, or replace, the key to which the caller's hospital wants key epochs wrapped."""
        # Who may: a client of a hospital.
        caller = caller_of(stub, CLIENT)
        # Read: the consortium.
        ledger = LedgerState(stub)
        consortium = await ledger.consortium()
        # Check.
        caller.require_among(consortium.hospitals, HOSPITAL)
        self.timestamp(stub, CONSORTIUM_TOLERANCE)
        rules.check_hospital_key(key)
        # Write: the caller's own key.
        await ledger.write(state_keys.hospital_key(caller.organization), key)
        return b""

    @query("ReadHospitalKey")
    @takes(HospitalReference)
    async def read_hospital_key(self, stub: ChaincodeStub, reference: HospitalReference) -> bytes:
        """Return a hospital's wrapping key."""
        # Who may: whoever takes part or reads by role, and the hospital itself.
        await check_reader(stub, reference.hospital)
        key = state_keys.hospital_key(reference.hospital)
        return encode(await LedgerState(stub).require(HospitalKey, key, f"key of hospital {reference.hospital}"))
