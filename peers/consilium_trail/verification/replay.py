"""Step 8: the federation's own contract, run again on the state that the blocks gave, must do what was committed.

A quorum of dishonest peers can endorse a write that the contract wouldn't make. Their signatures are good; the contract
tells.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from cryptography import x509

from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation
from consilium_chaincode.shim.stub import Creator
from consilium_trail.blocks.read_write_sets import NamespaceSet
from consilium_trail.blocks.transactions import Invocation, Transaction
from consilium_trail.definitions import FEDERATION
from consilium_trail.verification.findings import Place, Step, UnsoundError

T = TypeVar("T")
_MOST_CREATORS = 10_000
KeptCell = tuple[str, bytes, int, int]
"""A key, its value, and the block and the place in it that wrote it."""


class Replay:
    """Runs the contract on every valid transaction, one after the other, and keeps its state."""

    def __init__(
        self, channel: str, make_contract: Callable[[Callable[[], int]], Contract] = FederationContract
    ) -> None:
        self._now = 0
        # An endorser's clock is the transaction's own: that they differed by less than the tolerance, endorsers vouch.
        self._contract = make_contract(lambda: self._now)
        self._ledger = MemoryLedger(channel)
        self._creators: dict[bytes, Creator] = {}

    def check(self, place: Place, transaction: Transaction, call: Invocation, version: tuple[int, int]) -> None:
        """Run a valid transaction again, compare, and take over what was committed.

        Raises:
            UnsoundError: the contract refuses it, or reads, writes, answers or announces something else.
        """
        if call.chaincode != FEDERATION:
            self._refuse_foreign_writes(place, call)
            return
        committed = next((each for each in call.sets if each.namespace == FEDERATION), NamespaceSet(FEDERATION))
        for each in (committed.reads, committed.writes):
            if len({key for key, _ in each}) != len(each):
                raise UnsoundError(Step.REPLAY, place, f"{call.function} names a key twice, as no endorser does")
        simulation = self._run(place, transaction, call)
        for what, found, expected in _compared(call, committed, simulation):
            if found != expected:
                raise UnsoundError(Step.REPLAY, place, _difference(call.function, what, found, expected))
        for write in committed.writes:
            self._ledger.set_committed(write.key, write.value, version)

    def cells(self) -> list[KeptCell]:
        """Return the state that the replay has come to: key, value and version of everything that has a value."""
        return [(name, cell.value, *cell.version) for (where, name), cell in self._ledger.state.items() if not where]

    def restore(self, cells: Iterable[KeptCell]) -> None:
        """Take over a state that another replay had come to."""
        for name, value, block, position in cells:
            self._ledger.set_committed(name, value, (block, position))

    def ask(self, function: str, arguments: Sequence[bytes], msp_id: str, certificate: bytes, now: int) -> bytes:
        """Answer a query from the state that the replay has come to.

        Args:
            function: the contract's query.
            arguments: its arguments.
            msp_id: who asks.
            certificate: its certificate (PEM).
            now: the time, in milliseconds since 1970.

        Raises:
            ChaincodeError: the contract refuses it.
        """
        self._now = now
        creator = self._creator(msp_id, certificate)
        asked = self._ledger.simulate(self._contract, function, *arguments, creator=creator, timestamp=now)
        return _finished(asked).result

    def _run(self, place: Place, transaction: Transaction, call: Invocation) -> Simulation:
        envelope = transaction.envelope
        assert envelope.creator is not None
        self._now = envelope.timestamp
        try:
            creator = self._creator(envelope.creator.msp_id, envelope.creator.certificate)
            return _finished(
                self._ledger.simulate(
                    self._contract, call.function, *call.arguments, creator=creator, timestamp=envelope.timestamp
                )
            )
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

    @staticmethod
    def _refuse_foreign_writes(place: Place, call: Invocation) -> None:
        if any(each.namespace == FEDERATION and each.changes for each in call.sets):
            raise UnsoundError(Step.REPLAY, place, f"chaincode {call.chaincode} wrote the federation's state")


def _compared(call: Invocation, committed: NamespaceSet, simulation: Simulation) -> list[tuple[str, object, object]]:
    """Return what to compare: its name, as committed, as the contract does it."""
    others = [each.namespace for each in call.sets if each.changes and each.namespace != FEDERATION]
    ranges = [
        (each.start, each.end, None if each.found is None else tuple((read.key, read.version) for read in each.found))
        for each in committed.ranges
    ]
    ran = [(each.start, each.end, each.found) for each in simulation.ranges]
    if any(found is None for _, _, found in ranges):
        ranges, ran = [], []
    event = (call.event.name, call.event.payload) if call.event else None
    return [
        ("reads", {read.key: read.version for read in committed.reads}, _public(simulation.reads)),
        ("reads the ranges", ranges, ran),
        ("writes", {write.key: write.value for write in committed.writes}, _public(simulation.writes)),
        ("sets policies of", {each.key for each in committed.metadata_writes}, set(_public(simulation.policies))),
        ("writes the private collections", [each.name for each in committed.collections if each.writes], []),
        ("writes the state of", others, []),
        ("announces", event, tuple(simulation.event) if simulation.event else None),
        ("answers", call.answer, simulation.result),
    ]


def _public(found: dict[tuple[str, str], T]) -> dict[str, T]:
    return {key: value for (_, key), value in found.items()}


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
    """Run a coroutine that never waits, as the in-memory ledger's don't."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    work.close()
    raise ChaincodeError("the contract waits for something that isn't the ledger")
