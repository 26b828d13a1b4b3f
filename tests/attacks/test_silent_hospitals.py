"""A hospital that falls silent, on the real network: the others go on without it, or the round ends, on record."""

from __future__ import annotations

from functools import partial

import pytest
from attack_stage import CHEAT, WITNESS, WITNESSED, Plays, SetUp, attack_terms
from dishonest_aggregators import Trick
from dishonest_hospitals import SilentUploads, deceive, withheld
from expectations import assert_final, assert_over

from consilium_proto.records import RoundPhase

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("plays")]

# The phase that a function belongs to, which lasts until its deadline when it is withheld.
WITHHELD = {
    "join": RoundPhase.OPEN,
    "anchor": RoundPhase.SEALED,
    "hold": RoundPhase.ANCHORED,
    "reveal": RoundPhase.AGGREGATED,
    "fingerprint": RoundPhase.CHALLENGED,
    "attest": RoundPhase.VERIFIED,
}


@pytest.mark.parametrize("function", WITHHELD)
async def test_a_withheld_write_is_recorded(plays: Plays, function: str) -> None:
    """Silence is recorded with its phase and never called a lie; before ANCHORED the others go on without it."""
    await plays[f"{function} withheld"]


async def a_withheld_write(function: str, new_stage: SetUp) -> None:
    phase = WITHHELD[function]
    stage = await new_stage(attack_terms(phase.value.lower()))
    deceive(stage, **{function: withheld})
    view = await stage.play()
    if function in ("join", "anchor"):
        assert_final(stage, view, without=[CHEAT])
        assert view.round.missing == (CHEAT,)
    elif function == "attest":
        assert_final(stage, view)
        assert view.round.missing == (CHEAT,)
    elif function == "hold":
        assert_over(stage, view, RoundPhase.EXPIRED, phase)
        assert [(pair.owner, pair.witness) for pair in view.round.unheld] == [(WITNESSED, CHEAT)]
    else:
        assert_over(stage, view, RoundPhase.EXPIRED, phase, missing=[CHEAT])


async def test_withheld_nonces_end_the_round(plays: Plays) -> None:
    """A hospital that keeps its value back, so that the challenge can't be drawn against its accomplice's sum."""
    await plays["withheld nonces"]


async def withheld_nonces(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("aggregated"), trick=Trick(read=lambda place, read: read(place)[1:]))
    deceive(stage, reveal=withheld)
    assert_over(stage, await stage.play(), RoundPhase.EXPIRED, RoundPhase.AGGREGATED, missing=[CHEAT])


async def test_a_root_that_is_never_uploaded_ends_the_round(plays: Plays) -> None:
    await plays["a root that is never uploaded"]


async def a_root_that_is_never_uploaded(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("anchored"))
    stage.uploads[CHEAT] = SilentUploads(stage.parties[CHEAT].profile)
    view = await stage.play()
    assert_over(stage, view, RoundPhase.EXPIRED, RoundPhase.ANCHORED)
    assert (CHEAT, WITNESS) in [(pair.owner, pair.witness) for pair in view.round.unheld]


# The longest first: nothing is left to wait for alone in the end.
PLAYS = {
    "a root that is never uploaded": a_root_that_is_never_uploaded,
    **{f"{function} withheld": partial(a_withheld_write, function) for function in WITHHELD},
    "withheld nonces": withheld_nonces,
}
