"""The federation contract on the in-memory ledger, whose every transaction becomes the auditor's history."""

from __future__ import annotations

from federation_ledger import FederationLedger, Refusal

from consilium_chaincode.shim.memory_stub import Simulation
from consilium_peers.audit.entries import Entry
from consilium_peers.audit.history import History
from consilium_proto.canonical import Record, encode
from consilium_trail.blocks.read_write_sets import Version, Write
from consilium_trail.subjects import subject_of

ENDORSERS = ("AlphaMSP", "BetaMSP", "DeltaMSP")


class RecordedLedger(FederationLedger):
    """Commits as its base does; `history` is what blocks of the same transactions would give."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History("federation")
        self._asked: dict[str, tuple[str, bytes, str]] = {}

    def propose(
        self,
        function: str,
        record: Record | bytes,
        organization: str,
        role: str = "client",
        skew: int = 0,
        access: str | None = None,
    ) -> Simulation | Refusal:
        outcome = super().propose(function, record, organization, role, skew, access)
        if isinstance(outcome, Simulation):
            argument = record if isinstance(record, bytes) else encode(record)
            self._asked[outcome.tx_id] = (function, argument, organization)
        return outcome

    def commit(self, *simulations: Simulation) -> list[str]:
        codes = super().commit(*simulations)
        self.history.height += 1
        for position, (simulation, code) in enumerate(zip(simulations, codes, strict=True)):
            self.history.note(self._entry(simulation, code, position))
        return codes

    def _entry(self, simulation: Simulation, code: str, position: int) -> Entry:
        function, argument, organization = self._asked[simulation.tx_id]
        subject = subject_of((argument,))
        return Entry(
            block=self.history.height,
            position=position,
            tx_id=simulation.tx_id,
            code=code,
            proposed=simulation.timestamp,
            creator=organization,
            certificate=f"client.{organization}",
            endorsers=ENDORSERS,
            function=function,
            argument=argument,
            study=subject.study,
            round=subject.round,
            event="" if simulation.event is None else simulation.event.name,
            writes=tuple(Write(key, value) for (_, key), value in simulation.writes.items()),
            read_versions=frozenset(Version(*version) for version in simulation.reads.values() if version is not None),
            size=1000,
        )
