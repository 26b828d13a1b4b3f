"""The contract's function about privacy: what a data set has spent. `Anchor` writes it."""

from __future__ import annotations

from consilium_chaincode.federation.contract_parts import ContractPart, check_reader, takes
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.privacy.account_reading import read_account
from consilium_chaincode.shim.contract import query
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.records import PrivacyAccountReference


class PrivacyFunctions(ContractPart):
    """ReadPrivacyAccount."""

    @query("ReadPrivacyAccount")
    @takes(PrivacyAccountReference)
    async def read_privacy_account(self, stub: ChaincodeStub, reference: PrivacyAccountReference) -> bytes:
        """Return what a hospital's data set has spent, settled as of its last anchor; an empty account before any."""
        # Who may: whoever takes part or reads by role, and the hospital itself.
        await check_reader(stub, reference.hospital)
        return encode(await read_account(LedgerState(stub), reference.hospital, reference.data_set))
