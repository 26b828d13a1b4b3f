"""Step 8: the channel's contracts, run again on the state that the blocks gave, must do what was committed.

A quorum of dishonest peers can endorse a write that the contract wouldn't make. Their signatures are good; the contract
tells. Federation and EVM are run in one ledger, since a transaction of the one may read or change the other's state.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from cryptography import x509

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation, namespace_of
from consilium_chaincode.shim.stub import Creator
from consilium_trail.blocks.read_write_sets import NamespaceSet
from consilium_trail.blocks.transactions import Invocation, Transaction
from consilium_trail.definitions import FEDERATION
from consilium_trail.errors import MissingPackagesError
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.replayed_contracts import Contracts, TakenAsCommitted, all_contracts

T = TypeVar("T")
_MOST_CREATORS = 10_000
KeptCell = tuple[str, bytes, int, int]
"""A key of the federation's, its value, and the block and the place in it that wrote it."""


class Replay:
    """Runs the contracts on every valid transaction, one after the other, and keeps their state."""

    def __init__(self, channel: str, contracts: Contracts = all_contracts) -> None:
        self._now = 0
        # An endorser's clock is the transaction's own: that they differed by less than the tolerance, endorsers vouch.
        self._contracts = contracts(lambda: self._now)
        self.chaincodes = frozenset(
            name for name, contract in self._contracts.items() if not isinstance(contract, TakenAsCommitted)
        )
        """The chaincodes whose transactions are run again, and whose state nothing else may write."""
        self._ledger = MemoryLedger(channel, self._contracts)
        self._creators: dict[bytes, Creator] = {}

    def check(self, place: Place, transaction: Transaction, call: Invocation, version: tuple[int, int]) -> None:
        """Run a valid transaction again, compare, and take over what was committed.

        Raises:
            UnsoundError: the contract refuses it, or reads, writes, answers or announces something else.
            MissingPackagesError: the contract can't be run on this machine.
        """
        if call.chaincode not in self.chaincodes:
            self._refuse_foreign_writes(place, call)
            return
        committed = {name: NamespaceSet(name) for name in sorted(self.chaincodes)}
        committed |= {each.namespace: each for each in call.sets if each.namespace in committed}
        for each in committed.values():
            for named in (each.reads, each.writes):
                if len({key for key, _ in named}) != len(named):
                    raise UnsoundError(Step.REPLAY, place, f"{call.function} names a key twice, as no endorser does")
        others = [each.namespace for each in call.sets if each.changes and each.namespace not in self._contracts]
        simulation = self._run(place, transaction, call)
        for what, found, expected in (
            *_compared_states(call, committed, simulation),
            ("writes the state of", others, []),
            *_compared_answers(call, simulation),
        ):
            if found != expected:
                raise UnsoundError(Step.REPLAY, place, _difference(call.function, what, found, expected))
        for name, each in committed.items():
            for write in each.writes:
                self._ledger.set_committed(write.key, write.value, version, namespace_of(name))

    def cells(self) -> list[KeptCell]:
        """Return the federation's state that the replay has come to: key, value and version of all that has a value."""
        own = namespace_of(FEDERATION)
        return [(key, cell.value, *cell.version) for (where, key), cell in self._ledger.state.items() if where == own]

    def restore(self, cells: Iterable[KeptCell]) -> None:
        """Take over the federation's state that another replay had come to."""
        for key, value, block, position in cells:
            self._ledger.set_committed(key, value, (block, position), namespace_of(FEDERATION))

    def ask(self, function: str, arguments: Sequence[bytes], msp_id: str, certificate: bytes, now: int) -> bytes:
        """Answer a query of the federation's from the state that the replay has come to.

        Args:
            function: the query.
            arguments: its arguments.
            msp_id: who asks.
            certificate: its certificate (PEM).
            now: the time, in milliseconds since 1970.

        Raises:
            ChaincodeError: the contract refuses it.
        """
        self._now = now
        creator = self._creator(msp_id, certificate)
        contract = self._contracts[FEDERATION]
        asked = self._ledger.simulate(contract, function, *arguments, creator=creator, timestamp=now)
        return _finished(asked).result

    def _run(self, place: Place, transaction: Transaction, call: Invocation) -> Simulation:
        envelope = transaction.envelope
        assert envelope.creator is not None
        self._now = envelope.timestamp
        try:
            creator = self._creator(envelope.creator.msp_id, envelope.creator.certificate)
            return _finished(
                self._ledger.simulate(
                    self._contracts[call.chaincode],
                    call.function,
                    *call.arguments,
                    creator=creator,
                    timestamp=envelope.timestamp,
                    tx_id=envelope.tx_id,
                )
            )
        except MissingPackagesError:
            raise
        except ChaincodeError as error:
            raise UnsoundError(
                Step.REPLAY, place, f"{call.function} was committed and the contract refuses it: {error}"
            ) from None
        except Exception as error:
            # As in a peer, where whatever a contract raises is an answer, and none that peers endorse.
            raise UnsoundError(
                Step.REPLAY,
                place,
                f"{call.function} was committed and the contract fails on it: {type(error).__name__}",
            ) from None

    def _creator(self, msp_id: str, certificate: bytes) -> Creator:
        key = msp_id.encode() + b"\0" + certificate
        if key not in self._creators:
            if len(self._creators) >= _MOST_CREATORS:
                self._creators.clear()
            try:
                self._creators[key] = Creator.from_certificate(msp_id, certificate)
            except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
                raise ChaincodeError(f"the creator's certificate can't be read: {error}") from None
        return self._creators[key]

    def _refuse_foreign_writes(self, place: Place, call: Invocation) -> None:
        for each in call.sets:
            if each.namespace in self.chaincodes and each.changes:
                reason = f"chaincode {call.chaincode} wrote the state of {each.namespace}"
                raise UnsoundError(Step.REPLAY, place, reason)


Compared = tuple[str, object, object]
"""What is compared: its name, as committed, as the contract does it."""


def _compared_states(
    call: Invocation, committed: dict[str, NamespaceSet], simulation: Simulation
) -> Iterable[Compared]:
    """Yield what to compare of each chaincode's state, that of the one called first."""
    for name in sorted(committed, key=lambda name: (name != call.chaincode, name)):
        of = "" if name == call.chaincode else f" of {name}"
        each, where = committed[name], namespace_of(name)
        yield f"reads{of}", {read.key: read.version for read in each.reads}, _public(simulation.reads, where)
        yield f"reads the ranges{of}", *_compared_ranges(each, simulation, where)
        yield f"writes{of}", {write.key: write.value for write in each.writes}, _public(simulation.writes, where)
        policies = set(_public(simulation.policies, where))
        yield f"sets policies{of or ' of'}", {written.key for written in each.metadata_writes}, policies
        private = [collection.name for collection in each.collections if collection.changes]
        yield f"writes the private collections{of}", private, []


def _compared_ranges(each: NamespaceSet, simulation: Simulation, where: str) -> tuple[object, object]:
    if any(read.found is None for read in each.ranges):
        # Merkle summaries: what came of them shows in what was written.
        return [], []
    found = [(one.start, one.end, tuple((read.key, read.version) for read in one.found or ())) for one in each.ranges]
    return found, [(one.start, one.end, one.found) for one in simulation.ranges if one.collection == where]


def _compared_answers(call: Invocation, simulation: Simulation) -> Iterable[Compared]:
    event = (call.event.name, call.event.payload) if call.event else None
    yield "announces", event, tuple(simulation.event) if simulation.event else None
    yield "answers", call.answer, simulation.result


def _public(found: dict[tuple[str, str], T], where: str) -> dict[str, T]:
    return {key: value for (place, key), value in found.items() if place == where}


def _difference(function: str, what: str, found: object, expected: object) -> str:
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            if found.get(key) != expected.get(key) or (key in found) != (key in expected):
                there = "nothing" if key not in found else _shown(found[key])
                due = "nothing" if key not in expected else _shown(expected[key])
                return (
                    f"{function} {what} {key.replace(chr(0), '/')!r}: {there} was committed, the contract gives {due}"
                )
    return f"{function} {what} {_shown(found)} in the block, and the contract gives {_shown(expected)}"


def _shown(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, as the in-memory ledger's don't. Long ones offer others their turn (None)."""
    try:
        while work.send(None) is None:
            pass
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    work.close()
    raise ChaincodeError("the contract waits for something that isn't the ledger")
