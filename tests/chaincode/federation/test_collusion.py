"""Colluding hospitals and an aggregator that say what they like, when they like: what must hold all the same.

The honest hospitals act as the agent does, on real (small) ciphertexts. CONSILIUM_COLLUSIONS sets how many rounds are
played; a handful in the tests, thousands overnight.
"""

from __future__ import annotations

import os
from typing import Any

from colluding_world import HONEST_AGGREGATOR, LIAR, SET, Cast, off, sum_of
from federation_ledger import FederationLedger, Refusal
from federation_world import HOSPITALS, LENGTH, STUDY, TOLERANCE, seconds, terms
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from consilium_chaincode.shim.memory_stub import Simulation
from consilium_client.disputes import claims_of, to_list
from consilium_proto.canonical import Record
from consilium_proto.records import (
    MalformedChunk,
    RoundPhase,
    RoundReference,
    RoundView,
)
from consilium_proto.refusals import RefusalCode

ROUND = RoundReference(study=STUDY, round=1)
ROUNDS = int(os.environ.get("CONSILIUM_COLLUSIONS", "500"))
# More than any round takes: each phase is left at its deadline, and each aggregator's sum is rejected once.
MOST_STEPS = 80
LIES = st.sampled_from((0, 0, 1, 7, -7))


def false_sums() -> st.SearchStrategy[tuple[bytes, ...] | None]:
    """The right sum, one without a hospital, with one twice, or shifted by some number."""
    wrong = [sum_of(HOSPITALS[1:]), sum_of((*HOSPITALS, HOSPITALS[0])), sum_of(HOSPITALS, 7), sum_of(HOSPITALS, 1)]
    return st.one_of(st.none(), st.sampled_from(wrong))


@settings(max_examples=ROUNDS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_coalition_makes_a_wrong_sum_final_bars_an_honest_party_or_stops_a_round(data: st.DataObject) -> None:
    max_colluding = data.draw(st.sampled_from((1, 1, 2)), label="T")
    colluders = data.draw(
        st.frozensets(st.sampled_from(HOSPITALS), min_size=1, max_size=max_colluding), label="colluders"
    )
    channel = FederationLedger()
    channel.found()
    channel.start_study(terms(max_colluding=max_colluding))
    channel.open_round()
    cast = Cast(
        channel,
        colluders,
        max_colluding,
        data.draw(false_sums(), label="sum"),
        data.draw(st.frozensets(st.sampled_from(HOSPITALS)), label="withheld from"),
    )
    view = play(cast, data)
    state = view.round
    event(f"{state.phase} from {state.ended_in}, {len(state.barred)} barred, {state.publication} publications")
    assert state.phase.decided, "the round is stuck"
    assert set(state.barred) <= {*colluders, LIAR}, "an honest party is barred"
    if state.phase is RoundPhase.FINAL:
        assert state.model == cast.right_model(state), "a wrong model is final"
    if cast.false_sum not in (None, sum_of(state.participants)):
        assert (state.phase, state.publisher) != (RoundPhase.FINAL, LIAR)


def play(cast: Cast, data: st.DataObject) -> RoundView:
    channel = cast.channel
    for _ in range(MOST_STEPS):
        view = channel.round()
        if view.round.phase.decided:
            return view
        if data.draw(st.booleans(), label="honest first"):
            honest_writes(cast, view)
        for liar in sorted(cast.colluders):
            collude(cast, liar, data)
        if advance(cast):
            continue
        if not honest_writes(cast, channel.round()) and not advance(cast):
            for liar in sorted(cast.colluders):
                collude(cast, liar, data)
            if not advance(cast):
                channel.wait(seconds(LENGTH + 3 * TOLERANCE))
                advance(cast)
    return channel.round()


def collude(cast: Cast, liar: str, data: st.DataObject) -> None:
    """Do as an honest hospital would, lie, or keep silent; the aggregator publishes when it likes."""
    view = cast.channel.round()
    if view.round.phase is RoundPhase.ANCHORED and data.draw(st.booleans(), label="publish"):
        submit(cast, ("Publish", cast.publication(LIAR, view.round), LIAR))
    manner = data.draw(st.sampled_from(("honest",) * 5 + ("lie",) * 5 + ("silent",)), label=liar)
    if manner == "honest":
        for write in cast.due(liar, view):
            submit(cast, write)
    elif manner == "lie":
        submit(cast, chosen(cast, view, liar, data))


def submit(cast: Cast, write: tuple[str, Record, str]) -> None:
    """Hand in a colluder's transaction, which the contract may refuse."""
    outcome = cast.channel.propose(*write)
    if isinstance(outcome, Simulation):
        cast.channel.commit(outcome)


def honest_writes(cast: Cast, view: RoundView) -> int:
    """Let every honest party write what is due; none of it may be refused but what somebody else has shown already."""
    writes = [write for name in cast.honest for write in cast.due(name, view)]
    published = {entry.aggregator for entry in view.publications}
    held = len(view.held) == len(view.round.participants) * cast.max_colluding
    if view.round.phase is RoundPhase.ANCHORED and held and HONEST_AGGREGATOR not in published:
        writes.append(("Publish", cast.publication(HONEST_AGGREGATOR, view.round), HONEST_AGGREGATOR))
    if cast.channel.now > view.round.deadline:
        return 0
    done = 0
    for function, record, name in writes:
        outcome = cast.channel.propose(function, record, name)
        if isinstance(outcome, Refusal):
            assert (function, outcome.code) == ("Disprove", RefusalCode.ALREADY_WRITTEN), outcome
        else:
            cast.channel.commit(outcome)
            done += 1
    return done


def advance(cast: Cast) -> bool:
    outcome = cast.channel.propose("Advance", ROUND, cast.honest[0])
    if isinstance(outcome, Refusal):
        assert outcome.code is RefusalCode.NOT_YET, outcome
        return False
    cast.channel.commit(outcome)
    return True


def chosen(cast: Cast, view: RoundView, liar: str, data: st.DataObject) -> tuple[str, Record, str]:
    """Return one transaction of a colluder's choice."""
    state = view.round
    at: dict[str, Any] = {"study": STUDY, "round": 1}
    if liar not in state.participants:
        return "Advance", ROUND, liar
    honest = cast.due(liar, view)
    options: list[tuple[str, Record, str]] = [*honest] or [("Advance", ROUND, liar)]
    if state.phase is RoundPhase.ANCHORED:
        options.append(("Publish", cast.publication(LIAR, state), LIAR))
    if state.phase is RoundPhase.CHALLENGED:
        lies = [data.draw(LIES), data.draw(LIES), data.draw(LIES)]
        options += [("Fingerprint", cast.false_fingerprint(liar, state, lies), liar)] * 3
        options.append(("Fingerprint", adjusted(cast, liar, view), liar))
    vectors = [*state.participants, *([state.publisher] if state.publisher else [])]
    if state.phase in (RoundPhase.LISTING, RoundPhase.PROVING):
        vector = data.draw(st.sampled_from(vectors), label="vector")
        false = cast.false_listing(vector, state, data.draw(LIES), data.draw(st.integers(0, 1)))
        options.append(("List", false, liar))
        for one in to_list(view, liar, cast.max_colluding):
            claimed = claims_of(view, one)[liar]
            options += [("List", cast.list_adding_up_to(one, state, claimed, skew), liar) for skew in (0, 1)] * 3
        author = data.draw(st.sampled_from(state.participants), label="accused")
        options += [("Disprove", cast.disproof(author, vector, state, data.draw(st.integers(0, 1))), liar)] * 3
    if state.challenge is not None or state.phase is RoundPhase.ANCHORED:
        vector = data.draw(st.sampled_from(vectors), label="called malformed")
        shown = well_formed_chunk(cast, vector, view)
        options.append(("ProveMalformed", MalformedChunk(**at, vector=vector, chunk=shown), liar))
    if state.phase is RoundPhase.VERIFIED:
        options += [(f, replace(record, model="f" * 64), n) for f, record, n in honest if f == "Attest"]
    return data.draw(st.sampled_from(options), label="lie")


def adjusted(cast: Cast, liar: str, view: RoundView) -> Record:
    """Claim, for the own vector, whatever the published sum has more than the true one."""
    state = view.round
    true = cast.fingerprint(liar, state)
    assert true.sum is not None
    right = Cast(cast.channel, cast.colluders, cast.max_colluding).fingerprint(liar, state)
    assert right.sum is not None
    difference = int(true.sum[0], 16) - int(right.sum[0], 16)
    own = off(true.own, difference)
    second = (int(own[1], 16) + int(true.sum[1], 16) - int(right.sum[1], 16)) % SET.modulus
    return replace(true, own=(own[0], f"{second:016x}"))


def well_formed_chunk(cast: Cast, vector: str, view: RoundView) -> Any:
    """A true chunk with its place in the tree, which proves nothing against its owner."""
    state = view.round if view.round.challenge else replace(view.round, challenge="0" * 64)
    return cast.disproof(HOSPITALS[0], vector, state, 0).chunk
