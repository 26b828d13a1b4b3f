"""Chaincode `evm` on the ledger in memory: identities, Ethereum keys, small contracts."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Mapping
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from eth_account import Account as EthereumAccount
from eth_account.signers.local import LocalAccount

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.state_keys import Account, encode_slot
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation
from consilium_chaincode.shim.stub import Creator
from consilium_proto.canonical import Record, decode, encode
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, as_quantity, from_data
from consilium_proto.ethereum.transactions import (
    AccessEntry,
    IdentityTransaction,
    Question,
    ReceiptRecord,
    SignedTransaction,
)

R = TypeVar("R", bound=Record)
NOW = 1_800_000_000_000
CHAIN_ID = 90_210
GAS_CAP = 2_500_000
VALID = "VALID"
CONFLICT = "MVCC_READ_CONFLICT"
TERMS = EvmTerms(revision=1, chain_id=CHAIN_ID, gas_cap=GAS_CAP, clock_tolerance=60, block_tolerance=20, rewards=None)
HEIGHT = 1_000
SENDER = bytes([0xAA]) * 20


def key_of(number: int) -> LocalAccount:
    """Return an Ethereum key."""
    return EthereumAccount.from_key(number.to_bytes(32, "big"))  # type: ignore[no-any-return]


@functools.lru_cache
def identity(organization: str, name: str = "somebody", role: str = "client") -> Creator:
    """Return an identity of the channel, with a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    start = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return Creator.from_certificate(organization, pem)


CLEVELAND = identity("ClevelandMSP")
ZURICH = identity("ZurichMSP")


class EvmLedger:
    """A channel with chaincode `evm` and terms in force. `now` is the endorsers' clock, `height` their height."""

    def __init__(self, terms: EvmTerms | None = TERMS, **others: Contract) -> None:
        self.now = NOW
        self.height = HEIGHT
        self.contract = EthereumContract(clock=lambda: self.now, heights=self._height)
        self.ledger = MemoryLedger(chaincodes={EVM_CHAINCODE: self.contract, **others})
        if terms is not None:
            self.write(state_keys.evm_terms(), encode(terms))

    async def _height(self, channel: str) -> int:
        assert channel == self.ledger.channel
        return self.height

    def write(self, key: str, value: bytes) -> None:
        """Write a key of the chaincode past the chaincode."""
        place = (f"{EVM_CHAINCODE}/", key)
        assert self.ledger.commit([Simulation("00" * 32, self.now, writes={place: value})]) == [VALID]

    async def propose(
        self, function: str, argument: Record | None = None, *, by: Creator = CLEVELAND, at: int | None = None
    ) -> Simulation:
        """Simulate a transaction."""
        raw = b"" if argument is None else encode(argument)
        when = self.now if at is None else at
        return await self.ledger.simulate(self.contract, function, raw, creator=by, timestamp=when)

    async def ask(self, function: str, argument: Record | None, kind: type[R], *, by: Creator = CLEVELAND) -> R:
        """Return a query's answer."""
        simulation = await self.propose(function, argument, by=by)
        assert not simulation.writes
        return decode(kind, simulation.result)

    async def commit(self, simulation: Simulation) -> ReceiptRecord:
        """Commit a transaction that answers a receipt."""
        assert self.ledger.commit([simulation]) == [VALID]
        return decode(ReceiptRecord, simulation.result)

    async def execute(self, **fields: Any) -> ReceiptRecord:
        """Execute a transaction of Cleveland's identity and commit it."""
        return await self.commit(await self.propose("Execute", identity_transaction(**fields)))

    async def send(self, raw: bytes, **fields: Any) -> ReceiptRecord:
        """Send a signed transaction and commit it."""
        return await self.commit(await self.propose("SendRawTransaction", signed_argument(raw, **fields)))

    def place(self, address: bytes, code: bytes, storage: Mapping[int, int] | None = None) -> bytes:
        """Put a contract on the ledger past the chaincode; return its address."""
        self.write(state_keys.account(address), Account(1, 0, keccak256(code)).encode())
        self.write(state_keys.code(keccak256(code)), code)
        for slot, word in (storage or {}).items():
            self.write(state_keys.slot(address, slot), encode_slot(word))
        return address

    async def create(self, code: bytes, storage: bytes = b"") -> bytes:
        """Create a contract with this code, after `storage` ran in its constructor; return its address."""
        receipt = await self.execute(to=None, data=storage + deploying(code))
        assert receipt.status == 1, receipt.error
        assert receipt.contract is not None
        return from_data(receipt.contract)


def identity_transaction(
    to: bytes | None, data: bytes = b"", gas: int = GAS_CAP, value: int = 0, block_number: int = HEIGHT, **fields: Any
) -> IdentityTransaction:
    """Return the argument of `Execute`."""
    return IdentityTransaction(
        to=None if to is None else as_data(to),
        data=as_data(data),
        value=as_quantity(value),
        gas=as_quantity(gas),
        block_number=block_number,
        **fields,
    )


def signed_argument(raw: bytes, block_number: int = HEIGHT, **fields: Any) -> SignedTransaction:
    """Return the argument of `SendRawTransaction`."""
    return SignedTransaction(raw=as_data(raw), block_number=block_number, **fields)


def question(to: bytes | None, data: bytes = b"", gas: int | None = None, **fields: Any) -> Question:
    """Return the argument of `Call`, `EstimateGas` and `CreateAccessList`."""
    settings: dict[str, Any] = {"sender": as_data(SENDER), "value": "0x0", "block_number": HEIGHT, **fields}
    return Question(
        to=None if to is None else as_data(to),
        data=as_data(data),
        gas=None if gas is None else as_quantity(gas),
        **settings,
    )


def signed(key: LocalAccount, **fields: Any) -> bytes:
    """Return a signed transaction of any type; what isn't given is the least."""
    settings: dict[str, Any] = {"nonce": 0, "gas": 500_000, "value": 0, "data": b"", "chainId": CHAIN_ID, **fields}
    if "type" not in settings:
        settings["gasPrice"] = 0
    elif settings["type"] == 1:
        settings.setdefault("gasPrice", 0)
    else:
        settings.update(maxFeePerGas=0, maxPriorityFeePerGas=0)
    return bytes(key.sign_transaction(settings).raw_transaction)


def entry(address: bytes, *slots: int) -> AccessEntry:
    """Return an entry of an access list."""
    return AccessEntry(address=as_data(address), slots=tuple(f"0x{slot:064x}" for slot in slots))


def deploying(code: bytes) -> bytes:
    """Return init code that makes `code`, its own end, a contract's code."""
    return assemble(len(code), "DUP1 DUP1 CODESIZE SUB PUSH0 CODECOPY PUSH0 RETURN") + code
