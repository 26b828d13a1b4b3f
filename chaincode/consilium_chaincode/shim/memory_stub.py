"""A ledger in memory with Fabric's rules, for testing contracts: simulate transactions, then commit them in blocks.

Simulations read the committed state and record versions; committing validates them in the block's order, so that what
read something which an earlier transaction changed is invalid (MVCC_READ_CONFLICT, PHANTOM_READ_CONFLICT).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from consilium_chaincode.shim.composite_keys import check_simple_key, partial_key_range
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.endorsement_policies import check_policy
from consilium_chaincode.shim.errors import ChaincodeError, StateError
from consilium_chaincode.shim.stub import ChaincodeStub, Creator, Event, KeyModification, KeyValue, Page

VALID = "VALID"
MVCC_READ_CONFLICT = "MVCC_READ_CONFLICT"
PHANTOM_READ_CONFLICT = "PHANTOM_READ_CONFLICT"

_FIRST_SIMPLE_KEY = "\x01"
# A key of the state: collection (empty: public) and name.
StateKey = tuple[str, str]
Version = tuple[int, int]


@dataclass
class _Cell:
    value: bytes
    version: Version
    validation_parameter: bytes | None = None


@dataclass(frozen=True)
class _RangeRead:
    collection: str
    start: str
    end: str
    found: tuple[tuple[str, Version], ...]


@dataclass
class Simulation:
    """A simulated transaction: its answer and what it read, would write and would emit. None as a write: a deletion."""

    tx_id: str
    timestamp: int
    result: bytes = b""
    reads: dict[StateKey, Version | None] = field(default_factory=dict)
    ranges: list[_RangeRead] = field(default_factory=list)
    writes: dict[StateKey, bytes | None] = field(default_factory=dict)
    policies: dict[StateKey, bytes] = field(default_factory=dict)
    event: Event | None = None
    # A page of a range, or a range of a collection, was read: Fabric allows that only where nothing is written.
    unprotected_query: bool = False


def namespace_of(chaincode: str) -> str:
    """Return what sets the public state of a registered chaincode apart; its collections begin so, too."""
    return f"{chaincode}/"


class MemoryLedger:
    """One channel. `chaincodes` are those that contracts call by name; each has a state of its own.

    Endorsement policies aren't checked, neither a key's own nor a chaincode's: there is one endorser, and it is honest.
    """

    def __init__(self, channel: str = "memory", chaincodes: Mapping[str, Contract] | None = None) -> None:
        self.channel = channel
        self.chaincodes = dict(chaincodes or {})
        self.state: dict[StateKey, _Cell] = {}
        self.changes: dict[StateKey, list[KeyModification]] = {}
        self._numbers = itertools.count(1)
        self._height = 0

    async def simulate(
        self,
        contract: Contract,
        function: str,
        *arguments: bytes,
        creator: Creator,
        timestamp: int,
        transient: Mapping[str, bytes] | None = None,
        tx_id: str = "",
    ) -> Simulation:
        """Run a function on the committed state and return what it would do; without `tx_id` it gets a new one.

        Raises:
            ChaincodeError: the contract rejects the transaction.
        """
        simulation = Simulation(tx_id or hashlib.sha256(str(next(self._numbers)).encode()).hexdigest(), timestamp)
        stub = MemoryStub(self, simulation, creator, function, arguments, transient or {}, (contract,))
        simulation.result = await contract.invoke(stub)
        if simulation.unprotected_query and (simulation.writes or simulation.policies):
            raise StateError("a transaction that reads pages, or ranges of a collection, can't write")
        return simulation

    def name_of(self, contract: Contract) -> str:
        """Return the name that a chaincode is registered with; its own for a contract that isn't registered."""
        return next((name for name, known in self.chaincodes.items() if known is contract), contract.name)

    def namespace(self, contract: Contract) -> str:
        """Return what sets the state of a registered chaincode apart; empty for a contract that isn't registered."""
        return next((namespace_of(name) for name, known in self.chaincodes.items() if known is contract), "")

    async def height(self, channel: str) -> int:
        """Return the number of blocks, as an endorser of that channel would know it."""
        if channel != self.channel:
            raise ChaincodeError(f"there is no channel {channel}")
        return self._height

    def commit(self, simulations: Sequence[Simulation]) -> list[str]:
        """Commit a block; return each transaction's validation code in order."""
        self._height += 1
        codes = []
        for position, simulation in enumerate(simulations):
            code = self._validate(simulation)
            if code == VALID:
                self._apply(simulation, (self._height, position))
            codes.append(code)
        return codes

    async def invoke(
        self,
        contract: Contract,
        function: str,
        *arguments: bytes,
        creator: Creator,
        timestamp: int,
        transient: Mapping[str, bytes] | None = None,
    ) -> Simulation:
        """Simulate a transaction and commit it in a block of its own."""
        simulation = await self.simulate(
            contract, function, *arguments, creator=creator, timestamp=timestamp, transient=transient
        )
        self.commit([simulation])
        return simulation

    def set_committed(self, key: str, value: bytes | None, version: Version, namespace: str = "") -> None:
        """Take over a public value (None: a deletion) as another ledger committed it, for replaying that ledger."""
        if value is None:
            self.state.pop((namespace, key), None)
            return
        held = self.state.get((namespace, key))
        self.state[namespace, key] = _Cell(value, version, held.validation_parameter if held else None)

    def entries(self, collection: str, start: str, end: str) -> list[tuple[str, _Cell]]:
        """Return the committed entries of a range in the order of their keys' UTF-8 bytes."""
        found = [
            (name, cell)
            for (where, name), cell in self.state.items()
            if where == collection and start <= name and (not end or name < end)
        ]
        return sorted(found, key=lambda entry: entry[0].encode())

    def _validate(self, simulation: Simulation) -> str:
        for key, version in simulation.reads.items():
            cell = self.state.get(key)
            if (cell.version if cell else None) != version:
                return MVCC_READ_CONFLICT
        for read in simulation.ranges:
            now = tuple((name, cell.version) for name, cell in self.entries(read.collection, read.start, read.end))
            if now != read.found:
                return PHANTOM_READ_CONFLICT
        return VALID

    def _apply(self, simulation: Simulation, version: Version) -> None:
        for key, value in simulation.writes.items():
            held = self.state.get(key)
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = _Cell(value, version, held.validation_parameter if held else None)
            change = KeyModification(simulation.tx_id, value or b"", simulation.timestamp, value is None)
            self.changes.setdefault(key, []).insert(0, change)
        for key, policy in simulation.policies.items():
            if key in self.state:
                self.state[key].validation_parameter = policy
                self.state[key].version = version


class MemoryStub:
    """Implements `ChaincodeStub` on a `MemoryLedger`."""

    def __init__(
        self,
        ledger: MemoryLedger,
        simulation: Simulation,
        creator: Creator,
        function: str,
        arguments: tuple[bytes, ...],
        transient: Mapping[str, bytes],
        running: tuple[Contract, ...],
    ) -> None:
        self._ledger = ledger
        self._running = running
        self._namespace = ledger.namespace(running[-1])
        self.entry_chaincode = ledger.name_of(running[0])
        self._simulation = simulation
        self.tx_id = simulation.tx_id
        self.channel = ledger.channel
        self.timestamp = simulation.timestamp
        self.creator = creator
        self.function = function
        self.arguments = arguments
        self.transient = transient

    def _read(self, collection: str, key: str) -> _Cell | None:
        check_simple_key(key)
        place = self._place(collection, key)
        cell = self._ledger.state.get(place)
        self._simulation.reads[place] = cell.version if cell else None
        return cell

    def _place(self, collection: str, key: str) -> StateKey:
        return self._namespace + collection, key

    async def get_state(self, key: str, *, collection: str = "") -> bytes | None:
        """See `ChaincodeStub`."""
        cell = self._read(collection, key)
        return cell.value if cell else None

    async def get_states(self, keys: Sequence[str], *, collection: str = "") -> list[bytes | None]:
        """See `ChaincodeStub`."""
        return [await self.get_state(key, collection=collection) for key in keys]

    async def put_state(self, key: str, value: bytes, *, collection: str = "") -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        if not value:
            raise ChaincodeError(f"the value of {key!r} is empty; delete the key instead")
        self._simulation.writes[self._place(collection, key)] = bytes(value)

    async def delete_state(self, key: str, *, collection: str = "") -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        self._simulation.writes[self._place(collection, key)] = None

    async def purge_private(self, collection: str, key: str) -> None:
        """See `ChaincodeStub`."""
        await self.delete_state(key, collection=collection)

    async def private_hash(self, collection: str, key: str) -> bytes | None:
        """See `ChaincodeStub`."""
        cell = self._read(collection, key)
        return hashlib.sha256(cell.value).digest() if cell else None

    async def get_validation_parameter(self, key: str, *, collection: str = "") -> bytes | None:
        """See `ChaincodeStub`."""
        cell = self._read(collection, key)
        return cell.validation_parameter if cell else None

    async def set_validation_parameter(self, key: str, policy: bytes, *, collection: str = "") -> None:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        check_policy(policy)
        place = self._place(collection, key)
        if place in self._simulation.writes:
            exists = self._simulation.writes[place] is not None
        else:
            exists = self._read(collection, key) is not None
        if not exists:
            raise ChaincodeError(f"{key!r} has no value; write one before giving it an endorsement policy")
        self._simulation.policies[place] = policy

    async def range(self, start: str = "", end: str = "", *, collection: str = "") -> AsyncIterator[KeyValue]:
        """See `ChaincodeStub`."""
        first = start or _FIRST_SIMPLE_KEY
        where = self._namespace + collection
        entries = self._ledger.entries(where, first, end)
        if collection:
            self._simulation.unprotected_query = True
        else:
            versions = tuple((name, cell.version) for name, cell in entries)
            self._simulation.ranges.append(_RangeRead(where, first, end, versions))
        for name, cell in entries:
            yield KeyValue(name, cell.value)

    async def range_page(self, start: str, end: str, size: int, bookmark: str = "") -> Page:
        """See `ChaincodeStub`."""
        if size < 1:
            raise ChaincodeError(f"a page has at least one entry, not {size}")
        self._simulation.unprotected_query = True
        entries = self._ledger.entries(self._namespace, bookmark or start or _FIRST_SIMPLE_KEY, end)
        page = tuple(KeyValue(name, cell.value) for name, cell in entries[:size])
        return Page(page, entries[size][0] if len(entries) > size else "")

    async def by_partial_key(self, kind: str, *attributes: str, collection: str = "") -> AsyncIterator[KeyValue]:
        """See `ChaincodeStub`."""
        start, end = partial_key_range(kind, *attributes)
        async for entry in self.range(start, end, collection=collection):
            yield entry

    async def history(self, key: str) -> AsyncIterator[KeyModification]:
        """See `ChaincodeStub`."""
        check_simple_key(key)
        for change in self._ledger.changes.get(self._place("", key), []):
            yield change

    async def invoke_chaincode(self, name: str, *arguments: bytes, channel: str = "") -> bytes:
        """See `ChaincodeStub`."""
        called = self._ledger.chaincodes.get(name)
        if called is None or channel not in ("", self.channel):
            raise StateError(f"chaincode {name} isn't deployed on {channel or self.channel}")
        if called in self._running:
            raise StateError(f"chaincode {name} is running in this transaction already")
        if not arguments:
            raise ChaincodeError(f"calling {name} needs a function")
        function, *rest = arguments
        inner: ChaincodeStub = MemoryStub(
            *(self._ledger, self._simulation, self.creator, function.decode(), tuple(rest), self.transient),
            (*self._running, called),
        )
        event = self._simulation.event
        answer = await called.invoke(inner)
        # Only the chaincode that the client called emits an event.
        self._simulation.event = event
        return answer

    def set_event(self, name: str, payload: bytes) -> None:
        """See `ChaincodeStub`."""
        if not name:
            raise ChaincodeError("an event needs a name")
        self._simulation.event = Event(name, payload)
