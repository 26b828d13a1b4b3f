"""Transactions of the EVM: those that an Ethereum key signed, and those of an identity of the channel."""

from __future__ import annotations

from collections.abc import Iterable

from consilium_chaincode.ethereum.addresses import identity_address
from consilium_chaincode.ethereum.contract_parts import EthereumPart
from consilium_chaincode.ethereum.execution import refused, run
from consilium_chaincode.ethereum.receipts import record
from consilium_chaincode.evm.errors import InvalidTransaction
from consilium_chaincode.evm.transactions.decoding import SignedTransaction as DecodedTransaction
from consilium_chaincode.evm.transactions.decoding import decode_transaction
from consilium_chaincode.evm.transactions.forms import Access, Transaction, TransactionType
from consilium_chaincode.federation.callers import ADMIN, CLIENT
from consilium_chaincode.federation.contract_parts import caller_of, takes
from consilium_chaincode.shim.contract import transaction
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.ethereum.scalars import from_data, from_quantity
from consilium_proto.ethereum.transactions import AccessEntry, IdentityTransaction, SignedTransaction


class TransactionFunctions(EthereumPart):
    """SendRawTransaction, Execute."""

    @transaction("SendRawTransaction")
    @takes(SignedTransaction)
    async def send_raw_transaction(self, stub: ChaincodeStub, argument: SignedTransaction) -> bytes:
        """Execute a transaction that an Ethereum key signed; whoever of the channel brings it."""
        # Who may: a client or admin of an organisation carries it; whose it is, the signature says.
        caller_of(stub, CLIENT, ADMIN)
        # Read: the terms, then what the execution needs.
        terms, environment = await self.block_of(stub, argument.block_number)
        raw = from_data(argument.raw)
        # Check: signature and form here, nonce and gas by the EVM.
        signed = decoded(raw, terms.chain_id)
        prefetch = accesses(argument.prefetch)
        async with self.computing:
            receipt = await run(stub, environment, signed.transaction, signed.sender, prefetch)
        # Write: what the execution changed, and its receipt, whether it failed or not.
        made = await record(stub, signed.transaction, signed.sender, receipt, transaction_hash=signed.hash, raw=raw)
        return encode(made)

    @transaction("Execute")
    @takes(IdentityTransaction)
    async def execute(self, stub: ChaincodeStub, argument: IdentityTransaction) -> bytes:
        """Execute a transaction of the identity that signed the proposal."""
        # Who may: a client or admin of an organisation, for its own address.
        caller_of(stub, CLIENT, ADMIN)
        sender = identity_address(stub.creator)
        # Read: the terms, then what the execution needs.
        _, environment = await self.block_of(stub, argument.block_number)
        # Check: by the EVM. The nonce is the account's own: Fabric lets no proposal be sent twice.
        asked = Transaction(
            to=None if argument.to is None else from_data(argument.to),
            gas=from_quantity(argument.gas),
            data=from_data(argument.data),
            value=from_quantity(argument.value),
            access_list=accesses(argument.access_list),
            type=TransactionType.ACCESS_LIST if argument.access_list else TransactionType.LEGACY,
        )
        async with self.computing:
            receipt = await run(stub, environment, asked, sender, accesses(argument.prefetch))
        # Write: what the execution changed, and its receipt, whether it failed or not.
        return encode(await record(stub, asked, sender, receipt))


def accesses(entries: Iterable[AccessEntry]) -> tuple[Access, ...]:
    """Return the entries of an access list as the EVM takes them."""
    return tuple(
        Access(from_data(entry.address), tuple(from_quantity(slot) for slot in entry.slots)) for entry in entries
    )


def decoded(raw: bytes, chain_id: int) -> DecodedTransaction:
    """Return a signed transaction and its sender; refuse one whose form or signature isn't valid."""
    try:
        return decode_transaction(raw, chain_id)
    except InvalidTransaction as error:
        raise refused(error) from None
