"""Two ledgers behind one interface: the one in memory, and a channel of real peers."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from probe import Callee, Probe

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation
from consilium_chaincode.shim.stub import Creator
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import Contract as PeerContract

MSP_ID = "ClevelandMSP"
Call = tuple[bytes | str, ...]


class Rejected(Exception):
    """The contract, or the peer, rejected the transaction."""


class Outcome(NamedTuple):
    payload: bytes
    tx_id: str


class Ledger(Protocol):
    certificate: str

    async def submit(self, *call: bytes | str, transient: Mapping[str, bytes] | None = None) -> Outcome:
        """Run a function and commit what it wrote."""
        ...

    async def evaluate(self, *call: bytes | str, transient: Mapping[str, bytes] | None = None) -> bytes:
        """Run a function only."""
        ...

    async def together(self, *calls: Call) -> list[str]:
        """Simulate all on the same state, commit them one after the other, and return the validation codes."""
        ...


def words(call: Call) -> list[bytes]:
    return [word.encode() if isinstance(word, str) else word for word in call[1:]]


def certificate(unit: str = "client") -> bytes:
    """Return a self-signed certificate (PEM) of an organisational unit."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, "somebody"),
        ]
    )
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class MemoryProbe:
    """The probe contract on the ledger in memory."""

    def __init__(self) -> None:
        self._contract = Probe()
        self._ledger = MemoryLedger(chaincodes={"probe": self._contract, "callee": Callee()})
        pem = certificate()
        self._creator = Creator.from_certificate(MSP_ID, pem)
        self.certificate = pem.decode()

    async def _simulate(self, call: Call, transient: Mapping[str, bytes] | None) -> Simulation:
        now = time.time_ns() // 1_000_000
        try:
            return await self._ledger.simulate(
                *(self._contract, str(call[0]), *words(call)), creator=self._creator, timestamp=now, transient=transient
            )
        except ChaincodeError as error:
            raise Rejected(str(error)) from None

    async def submit(self, *call: bytes | str, transient: Mapping[str, bytes] | None = None) -> Outcome:
        simulation = await self._simulate(call, transient)
        assert self._ledger.commit([simulation]) == ["VALID"]
        return Outcome(simulation.result, simulation.tx_id)

    async def evaluate(self, *call: bytes | str, transient: Mapping[str, bytes] | None = None) -> bytes:
        return (await self._simulate(call, transient)).result

    async def together(self, *calls: Call) -> list[str]:
        return self._ledger.commit([await self._simulate(call, None) for call in calls])


class PeerProbe:
    """The probe contract on real peers."""

    def __init__(self, contract: PeerContract, certificate: bytes) -> None:
        self._contract = contract
        self.certificate = certificate.decode()

    async def submit(self, *call: bytes | str, transient: Mapping[str, bytes] | None = None) -> Outcome:
        try:
            result = await self._contract.submit(str(call[0]), *words(call), transient=transient)
        except GatewayError as error:
            raise Rejected(str(error)) from None
        return Outcome(result.payload, result.tx_id)

    async def evaluate(self, *call: bytes | str, transient: Mapping[str, bytes] | None = None) -> bytes:
        try:
            return await self._contract.evaluate(str(call[0]), *words(call), transient=transient)
        except GatewayError as error:
            raise Rejected(str(error)) from None

    async def together(self, *calls: Call) -> list[str]:
        proposals = [self._contract.propose(str(call[0]), *words(call)) for call in calls]
        transactions = [await proposal.endorse() for proposal in proposals]
        return [(await (await each.submit()).status()).code for each in transactions]
