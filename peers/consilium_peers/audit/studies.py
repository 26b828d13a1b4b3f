"""All studies, as the contract tells them: state suffices, so no block is read."""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.federation import Federation
from consilium_proto.records import StudyView


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One study and where it stands.

    Attributes:
        rounds: how many the terms plan; `newest_round` is the last one opened, `final_rounds` ended FINAL.
        epsilon_budget: of each data set; -1 for a study without privacy noise.
        model: of the last final round, the initial one before any.
    """

    study: str
    purpose: str
    phase: str
    coordinator: str
    participants: tuple[str, ...]
    approved_by: tuple[str, ...]
    max_colluding: int
    rounds: int
    newest_round: int
    final_rounds: int
    key_epoch: int
    barred: tuple[str, ...]
    epsilon_budget: float
    code: str
    model: str


async def study_summaries(federation: Federation) -> tuple[StudySummary, ...]:
    """Return all studies, sorted by name.

    Raises:
        GatewayError: the contract can't be asked, or refuses the caller.
    """
    names = (await federation.list_studies()).studies
    return tuple([_summary(await federation.read_study(name)) for name in names])


def _summary(view: StudyView) -> StudySummary:
    terms, head = view.study.terms, view.head
    return StudySummary(
        study=terms.study,
        purpose=terms.purpose,
        phase=view.study.phase.value,
        coordinator=terms.coordinator,
        participants=tuple(each.hospital for each in terms.participants),
        approved_by=view.approvals,
        max_colluding=terms.max_colluding,
        rounds=terms.rounds,
        newest_round=head.round,
        final_rounds=head.final_rounds,
        key_epoch=head.epoch,
        barred=tuple(bar.party for bar in view.bars),
        epsilon_budget=-1 if terms.privacy is None else terms.privacy.epsilon_budget_micro / 1e6,
        code=terms.code,
        model=head.model,
    )
