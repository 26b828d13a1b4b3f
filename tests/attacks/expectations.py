"""What must be true after every attack, and what a round looks like that came to a good end."""

from __future__ import annotations

from collections.abc import Collection

from attack_stage import CHEAT, Stage, right_model
from dishonest_aggregators import LIAR

from consilium_proto.records import RoundPhase, RoundView


def check_invariants(stage: Stage, view: RoundView, liars: Collection[str] = (CHEAT, LIAR)) -> None:
    """The round is decided; if FINAL then with the right model; and nobody honest is barred."""
    assert view.round.phase.decided
    assert set(view.round.barred) <= set(liars), view.round
    if view.round.phase is RoundPhase.FINAL:
        assert view.round.model == right_model(stage.terms, view.round.participants)


def assert_final(stage: Stage, view: RoundView, *, barred: Collection[str] = (), without: Collection[str] = ()) -> None:
    """The round ended FINAL with the right model, all hospitals but `without`, and exactly `barred` barred."""
    check_invariants(stage, view)
    assert view.round.phase is RoundPhase.FINAL, view.round
    assert set(view.round.barred) == set(barred)
    assert set(view.round.participants) == set(stage.parties) - set(without)


def assert_over(
    stage: Stage,
    view: RoundView,
    phase: RoundPhase,
    ended_in: RoundPhase,
    *,
    missing: Collection[str] = (),
    barred: Collection[str] = (),
) -> None:
    """The round ended without a model, in the phase and with the silence that it should."""
    check_invariants(stage, view)
    assert (view.round.phase, view.round.ended_in) == (phase, ended_in), view.round
    assert set(view.round.missing) == set(missing)
    assert set(view.round.barred) == set(barred)
