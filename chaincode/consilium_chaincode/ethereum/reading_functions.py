"""What the EVM's state holds, for whoever asks."""

from __future__ import annotations

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.addresses import identity_address
from consilium_chaincode.ethereum.contract_parts import EthereumPart
from consilium_chaincode.ethereum.environment import terms_in_force
from consilium_chaincode.evm.state_keys import Account
from consilium_chaincode.federation.contract_parts import answer, check_any_reader, check_empty, takes
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.shim.contract import query
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data, from_quantity
from consilium_proto.ethereum.transactions import (
    AccountReference,
    AccountView,
    CodeView,
    IdentityAddress,
    ReceiptRecord,
    ReceiptReference,
    SlotReference,
    SlotView,
)


class ReadingFunctions(EthereumPart):
    """ReadTerms, ReadOwnAddress, ReadAccount, ReadCode, ReadSlot, ReadReceipt."""

    @query("ReadTerms")
    async def read_terms(self, stub: ChaincodeStub, argument: bytes) -> bytes:
        """Return the terms of the EVM in force."""
        check_empty(argument)
        return await answer(self._terms(stub))

    @query("ReadOwnAddress")
    async def read_own_address(self, stub: ChaincodeStub, argument: bytes) -> bytes:
        """Return the address of whoever asks."""
        check_empty(argument)
        return await answer(self._own_address(stub))

    @query("ReadAccount")
    @takes(AccountReference)
    async def read_account(self, stub: ChaincodeStub, argument: AccountReference) -> bytes:
        """Return an account's nonce, balance and code hash; zeros where there is none."""
        check_any_reader(stub)
        account = await _account(stub, argument.address)
        code_hash = as_data(account.code_hash) if account.code_hash else None
        view = AccountView(nonce=as_quantity(account.nonce), balance=as_quantity(account.balance), code_hash=code_hash)
        return encode(view)

    @query("ReadCode")
    @takes(AccountReference)
    async def read_code(self, stub: ChaincodeStub, argument: AccountReference) -> bytes:
        """Return an account's code."""
        check_any_reader(stub)
        account = await _account(stub, argument.address)
        code = await stub.get_state(state_keys.code(account.code_hash)) if account.code_hash else b""
        return encode(CodeView(code=as_data(code or b"")))

    @query("ReadSlot")
    @takes(SlotReference)
    async def read_slot(self, stub: ChaincodeStub, argument: SlotReference) -> bytes:
        """Return the word in a slot of a contract's storage."""
        check_any_reader(stub)
        value = await stub.get_state(state_keys.slot(from_data(argument.address), from_quantity(argument.slot)))
        return encode(SlotView(word=as_data((value or b"").rjust(32, b"\0"))))

    @query("ReadReceipt")
    @takes(ReceiptReference)
    async def read_receipt(self, stub: ChaincodeStub, argument: ReceiptReference) -> bytes:
        """Return the receipt of a transaction of the EVM; refuse NOT_FOUND where there is none."""
        check_any_reader(stub)
        key = state_keys.receipt(from_data(argument.hash))
        return encode(await LedgerState(stub).require(ReceiptRecord, key, f"transaction {argument.hash}"))

    async def _terms(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        return encode(await terms_in_force(stub))

    async def _own_address(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        return encode(IdentityAddress(address=as_data(identity_address(stub.creator))))


async def _account(stub: ChaincodeStub, address: str) -> Account:
    return Account.decode(await stub.get_state(state_keys.account(from_data(address))) or b"")
