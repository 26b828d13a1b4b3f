"""The federation contract on the in-memory ledger, driven block by block with a clock that the test moves."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from federation_world import (
    AGGREGATORS,
    ALPHA,
    HOSPITALS,
    NOW,
    STUDY,
    anchor,
    attestation,
    chain,
    consortium,
    fingerprint,
    held,
    join,
    key_epoch,
    opening,
    publication,
    reveal,
    terms,
)

from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation
from consilium_chaincode.shim.stub import Creator
from consilium_proto.access_roles import ROLE_ATTRIBUTE
from consilium_proto.canonical import Record, decode, digest, encode
from consilium_proto.records import (
    Consortium,
    Round,
    RoundReference,
    RoundView,
    StudyApprovalRequest,
    StudyReference,
    StudyTerms,
    StudyView,
)
from consilium_proto.refusals import RefusalCode, refusal_code
from consilium_proto.witnesses import witnessed_by

R = TypeVar("R", bound=Record)
T = TypeVar("T")
VALID = "VALID"
CONFLICT = "MVCC_READ_CONFLICT"


def run(outcome: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, as the in-memory ledger's don't."""
    try:
        outcome.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("the in-memory ledger waited for something")


@dataclass(frozen=True)
class Refusal:
    """A proposal that the contract refused."""

    code: RefusalCode
    message: str


class FederationLedger:
    """A channel with the federation contract. `now` is the endorsers' clock, milliseconds since 1970."""

    def __init__(self) -> None:
        self.now = NOW
        self.contract = FederationContract(clock=lambda: self.now)
        self.ledger = MemoryLedger()
        self.events: list[str] = []

    def propose(
        self,
        function: str,
        record: Record | bytes,
        organization: str,
        role: str = "client",
        skew: int = 0,
        access: str | None = None,
    ) -> Simulation | Refusal:
        """Simulate a transaction whose timestamp is `skew` ms from the clock. Anything but a ChaincodeError escapes.

        `access` is the certificate's attribute `consilium.role`.
        """
        argument = record if isinstance(record, bytes) else encode(record)
        attributes = {} if access is None else {ROLE_ATTRIBUTE: access}
        creator = Creator(msp_id=organization, certificate=b"", role=role, attributes=attributes)
        try:
            return run(
                self.ledger.simulate(self.contract, function, argument, creator=creator, timestamp=self.now + skew)
            )
        except ChaincodeError as error:
            message = str(error)
        code = refusal_code(message)
        assert code is not None, message
        return Refusal(code, message)

    def commit(self, *simulations: Simulation) -> list[str]:
        """Commit one block; return each transaction's validation code."""
        codes = [str(code) for code in self.ledger.commit(list(simulations))]
        for simulation, code in zip(simulations, codes, strict=True):
            if code == VALID and simulation.event is not None:
                self.events.append(simulation.event.name)
        return codes

    def submit(self, function: str, record: Record | bytes, organization: str, role: str = "client") -> bytes:
        """Commit one transaction in a block of its own; it must be endorsed and valid."""
        simulation = self.propose(function, record, organization, role)
        assert isinstance(simulation, Simulation), simulation
        assert self.commit(simulation) == [VALID]
        return simulation.result

    def refuse(
        self,
        code: RefusalCode,
        function: str,
        record: Record | bytes,
        organization: str,
        role: str = "client",
        skew: int = 0,
        match: str = "",
        access: str | None = None,
    ) -> None:
        """The contract must refuse this transaction with the code."""
        outcome = self.propose(function, record, organization, role, skew, access)
        assert isinstance(outcome, Refusal), f"{function} by {organization} was endorsed"
        assert (outcome.code, match in outcome.message) == (code, True), outcome.message

    def evaluate(
        self,
        kind: type[R],
        function: str,
        record: Record | bytes,
        organization: str = ALPHA,
        access: str | None = None,
    ) -> R:
        """Ask a query."""
        outcome = self.propose(function, record, organization, access=access)
        assert isinstance(outcome, Simulation), outcome
        assert not outcome.writes
        return decode(kind, outcome.result)

    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds

    # ---- the usual course of things

    def found(self, founding: Consortium | None = None) -> None:
        founding = founding or consortium()
        for hospital in founding.hospitals:
            self.submit("ApproveConsortium", founding, hospital, "admin")
        self.submit("EnactConsortium", founding, founding.hospitals[0], "admin")

    def start_study(self, chosen: StudyTerms | None = None) -> None:
        chosen = chosen or terms()
        self.submit("ProposeStudy", chosen, ALPHA, "admin")
        request = StudyApprovalRequest(study=chosen.study, terms=digest(chosen))
        for hospital in HOSPITALS:
            self.submit("ApproveStudy", request, hospital, "admin")
        self.submit("ActivateStudy", StudyReference(study=chosen.study), ALPHA)
        holders = [participant.hospital for participant in chosen.participants]
        self.submit("OpenKeyEpoch", key_epoch(1, holders, chosen.study), ALPHA)

    def open_round(self) -> None:
        head = self.study().head
        self.submit("OpenRound", opening(round=head.round + 1, base=head.model, epoch=head.epoch), ALPHA)

    def reach_sealed(self, hospitals: Sequence[str] = HOSPITALS, number: int = 1) -> None:
        for index, hospital in enumerate(hospitals):
            self.submit("Join", join(index, round=number, chain_end=chain(hospital, 0, number)), hospital)
        self.advance(number)

    def reach_anchored(self, hospitals: Sequence[str] = HOSPITALS, number: int = 1, attempt: int = 0) -> None:
        for index, hospital in enumerate(hospitals):
            self.submit("Anchor", anchor(index, round=number, attempt=attempt), hospital)
        self.advance(number)

    def hold_all(self, number: int = 1) -> None:
        """Every witness confirms what it must; T is 1."""
        state = self.round(number).round
        for hospital in state.participants:
            for owner in witnessed_by(state.participants, hospital, 1):
                self.submit("Hold", held(owner, round=number, attempt=state.attempt), hospital)

    def reach_aggregated(self, number: int = 1, attempt: int = 0, aggregator: str = AGGREGATORS[0]) -> None:
        if not self.round(number).held:
            self.hold_all(number)
        self.submit("Publish", publication(round=number, attempt=attempt), aggregator)
        self.advance(number)

    def reach_challenged(self, number: int = 1) -> None:
        state = self.round(number).round
        for hospital in state.participants:
            self.submit("Reveal", reveal(hospital, state.publication, number), hospital)
        self.advance(number)

    def fingerprint_all(self, number: int = 1) -> None:
        """Fingerprints that agree and add up, and what follows from them."""
        state = self.round(number).round
        for hospital in state.participants:
            written = fingerprint(hospital, state.participants, state.publication, round=number)
            self.submit("Fingerprint", written, hospital)
        self.advance(number)

    def reach_verified(self, number: int = 1) -> None:
        self.reach_challenged(number)
        self.fingerprint_all(number)

    def reach_final(self, model: str, hospitals: Sequence[str] = HOSPITALS, number: int = 1) -> None:
        for hospital in hospitals:
            self.submit("Attest", attestation(round=number, model=model), hospital)
        self.advance(number)

    def advance(self, number: int = 1, organization: str = ALPHA) -> Round:
        return decode(Round, self.submit("Advance", RoundReference(study=STUDY, round=number), organization))

    def study(self) -> StudyView:
        return self.evaluate(StudyView, "ReadStudy", StudyReference(study=STUDY))

    def round(self, number: int = 1) -> RoundView:
        return self.evaluate(RoundView, "ReadRound", RoundReference(study=STUDY, round=number))
