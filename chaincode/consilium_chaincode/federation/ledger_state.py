"""Records on the ledger: read and written through a chaincode stub, one at a time as a peer wants it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import Record, decode, encode
from consilium_proto.records import (
    Consortium,
    CurrentEpoch,
    EventName,
    FederationEvent,
    Round,
    Study,
    StudyProgress,
)
from consilium_proto.refusals import RefusalCode

R = TypeVar("R", bound=Record)


class LedgerState:
    """The federation's records in one transaction. Reads see the state before it, never its own writes."""

    def __init__(self, stub: ChaincodeStub) -> None:
        self._stub = stub

    async def read(self, kind: type[R], key: str) -> R | None:
        """Return the record under a key, or None."""
        value = await self._stub.get_state(key)
        return None if value is None else decode(kind, value)

    async def read_all(self, kind: type[R], keys: Sequence[str]) -> list[R | None]:
        """Return the records under several keys, in their order, None for those that are absent."""
        values = await self._stub.get_states(keys)
        return [None if value is None else decode(kind, value) for value in values]

    async def require(self, kind: type[R], key: str, what: str) -> R:
        """Return the record under a key; refuse NOT_FOUND, naming `what` it is, when there is none."""
        record = await self.read(kind, key)
        if record is None:
            raise Refused(RefusalCode.NOT_FOUND, f"there is no {what}")
        return record

    async def write(self, key: str, record: Record) -> None:
        """Write a record."""
        await self._stub.put_state(key, encode(record))

    async def consortium(self) -> Consortium:
        """Return the consortium in force."""
        return await self.require(Consortium, state_keys.consortium(), "consortium yet; enact one first")

    async def study(self, name: str) -> Study:
        """Return a study."""
        return await self.require(Study, state_keys.study(name), f"study {name}")

    async def progress(self, name: str) -> StudyProgress:
        """Return where a study's rounds stand."""
        return await self.require(StudyProgress, state_keys.study_progress(name), f"study {name}")

    async def current_epoch(self, name: str) -> int:
        """Return the number of a study's current key epoch, 0 before the first."""
        current = await self.read(CurrentEpoch, state_keys.current_epoch(name))
        return 0 if current is None else current.epoch

    async def round(self, name: str, number: int) -> Round:
        """Return a round's state."""
        return await self.require(Round, state_keys.round_state(name, number), f"round {number} of study {name}")

    def announce(self, event: EventName, author: str, study: str = "", number: int = 0, phase: str = "") -> None:
        """Set the transaction's one event."""
        payload = FederationEvent(study=study, round=number, phase=phase, author=author)
        self._stub.set_event(event.value, encode(payload))


def require_unwritten(existing: Record | None, what: str) -> None:
    """Refuse ALREADY_WRITTEN when `what` is there already: it is written once."""
    if existing is not None:
        raise Refused(RefusalCode.ALREADY_WRITTEN, f"{what} is on the ledger already and can't be changed")
