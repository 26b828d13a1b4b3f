"""Random transactions by random callers at random times in random blocks: what must hold after every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from federation_ledger import VALID, FederationLedger, Refusal
from federation_world import (
    AGGREGATORS,
    ALPHA,
    HOSPITALS,
    LENGTH,
    MODEL_0,
    MODEL_1,
    MODEL_2,
    REGULATOR,
    STUDY,
    TOLERANCE,
    anchor,
    attestation,
    chain,
    fingerprint,
    held,
    join,
    key_epoch,
    opening,
    publication,
    reveal,
    seconds,
    terms,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consilium_chaincode.shim.memory_stub import Simulation
from consilium_proto.canonical import Record
from consilium_proto.records import (
    Round,
    RoundPhase,
    RoundReference,
    RoundView,
    StudyView,
)
from consilium_proto.refusals import RefusalCode
from consilium_proto.witnesses import witnessed_by

TAU = seconds(TOLERANCE)
OUTSIDERS = (REGULATOR, "StrangerMSP")
ORGANIZATIONS = HOSPITALS * 3 + AGGREGATORS + OUTSIDERS
SKEWS = (0,) * 6 + (TAU, -TAU, TAU + 1, -TAU - 1, 10**9)
WAITS = (
    0,
    0,
    0,
    0,
    0,
    1000,
    TAU,
    seconds(LENGTH),
    seconds(LENGTH) + TAU,
    seconds(LENGTH) + 2 * TAU,
    seconds(LENGTH) + 3 * TAU,
)
EDGES = {
    RoundPhase.OPEN: {RoundPhase.SEALED, RoundPhase.EXPIRED, RoundPhase.VOID},
    RoundPhase.SEALED: {RoundPhase.SEALED, RoundPhase.ANCHORED, RoundPhase.EXPIRED, RoundPhase.VOID},
    RoundPhase.ANCHORED: {RoundPhase.AGGREGATED, RoundPhase.EXPIRED},
    RoundPhase.AGGREGATED: {RoundPhase.CHALLENGED, RoundPhase.EXPIRED},
    RoundPhase.CHALLENGED: {RoundPhase.VERIFIED, RoundPhase.EXPIRED},
    RoundPhase.VERIFIED: {RoundPhase.FINAL, RoundPhase.VOID},
}
UPLOADS_MAY_HAVE_BEGUN = (
    RoundPhase.ANCHORED,
    RoundPhase.AGGREGATED,
    RoundPhase.CHALLENGED,
    RoundPhase.VERIFIED,
    RoundPhase.FINAL,
)


@dataclass(frozen=True)
class Move:
    """One transaction: a function, a caller, a forged clock, and by how much its numbers are off."""

    function: str
    organization: str
    role: str
    skew: int
    off: int
    choice: int


@dataclass(frozen=True)
class Honest:
    """The hospitals of a set write what the round waits for, and aggregators too, with true clocks."""

    awake: frozenset[str]


@dataclass(frozen=True)
class Snapshot:
    """What the ledger says: the study and every round of it."""

    study: StudyView
    rounds: tuple[RoundView, ...]


FUNCTIONS_IN_ROUNDS = (
    "OpenRound",
    "Join",
    "Anchor",
    "Hold",
    "Publish",
    "Reveal",
    "Fingerprint",
    "Attest",
    "OpenKeyEpoch",
)
moves = st.builds(
    Move,
    function=st.sampled_from(("due",) * 6 + ("Advance",) * 5 + FUNCTIONS_IN_ROUNDS),
    organization=st.sampled_from(ORGANIZATIONS),
    role=st.sampled_from(("client",) * 6 + ("admin", "peer")),
    skew=st.sampled_from(SKEWS),
    off=st.sampled_from((0,) * 8 + (1, -1)),
    choice=st.integers(0, 1),
)
everybody = st.just(Honest(frozenset(HOSPITALS)))
honest = st.one_of(everybody, st.builds(Honest, awake=st.frozensets(st.sampled_from(HOSPITALS), min_size=2)))


def well_formed(function: str, organizations: Sequence[str]) -> st.SearchStrategy[Move]:
    return st.builds(
        Move,
        function=st.just(function),
        organization=st.sampled_from(organizations),
        role=st.just("client"),
        skew=st.just(0),
        off=st.just(0),
        choice=st.just(0),
    )


steps = well_formed("step", (ALPHA, *HOSPITALS))
epochs = well_formed("OpenKeyEpoch", HOSPITALS)
openings = well_formed("OpenRound", HOSPITALS)
mixed = st.lists(st.one_of(moves, moves, honest, steps, epochs, openings), min_size=1, max_size=5)
blocks = st.tuples(st.sampled_from(WAITS), st.one_of(mixed, mixed, honest.map(lambda one: [one])))
stepped_blocks = st.tuples(blocks, steps).map(lambda pair: [pair[0], (0, [pair[1]])])
histories = st.lists(stepped_blocks, min_size=12, max_size=24).map(
    lambda pairs: [block for pair in pairs for block in pair]
)


def started() -> FederationLedger:
    channel = FederationLedger()
    channel.found()
    channel.start_study(terms(rounds=1000, attempts=2))
    return channel


def snapshot(channel: FederationLedger) -> Snapshot:
    study = channel.study()
    return Snapshot(study, tuple(channel.round(number) for number in range(1, study.head.round + 1)))


DUE = {
    RoundPhase.OPEN: "Join",
    RoundPhase.SEALED: "Anchor",
    RoundPhase.ANCHORED: "Publish",
    RoundPhase.AGGREGATED: "Reveal",
    RoundPhase.CHALLENGED: "Fingerprint",
    RoundPhase.VERIFIED: "Attest",
}


def function_of(move: Move, seen: Snapshot) -> str:
    """Return the move's function: "due" is what the newest round waits for, "step" what moves it, or the next round."""
    if move.function not in ("due", "step"):
        return move.function
    if not seen.study.head.undecided:
        return "OpenRound"
    return "Advance" if move.function == "step" else DUE[seen.rounds[-1].round.phase]


def record_of(function: str, move: Move, seen: Snapshot) -> Record:
    head = seen.study.head
    number = max(1, head.round + move.off)
    attempt = max(0, seen.rounds[-1].round.attempt + move.off * move.choice) if seen.rounds else 0
    model = (MODEL_1, MODEL_2)[move.choice]
    match function:
        case "OpenRound":
            return opening(round=head.round + 1 + move.off, base=head.model, epoch=max(1, head.epoch - move.choice))
        case "Join":
            return join(move.choice, round=number, chain_end=chain(move.organization, 0, number))
        case "Hold":
            return held(HOSPITALS[move.choice], round=number, attempt=attempt)
        case "Reveal":
            return reveal(move.organization, 1 + move.choice, number)
        case "Fingerprint":
            return honest_fingerprint(seen.rounds[-1].round, move.organization) if seen.rounds else reveal(ALPHA)
        case "Anchor":
            return anchor(move.choice, round=number, attempt=attempt)
        case "Publish":
            return publication(round=number, attempt=attempt)
        case "Attest":
            publisher = (seen.rounds[-1].round.publisher if seen.rounds else None) or AGGREGATORS[0]
            return attestation(round=number, publication=publisher, model=model)
        case "OpenKeyEpoch":
            return key_epoch(head.epoch + 1 + move.off, (HOSPITALS, HOSPITALS[:3])[move.choice])
        case _:
            return RoundReference(study=STUDY, round=number)


def honest_fingerprint(state: Round, hospital: str) -> Record:
    """What a hospital writes in a round; whoever isn't in it writes what its first participant would."""
    name = hospital if hospital in state.participants else state.participants[0]
    return fingerprint(name, state.participants, max(1, state.publication), round=state.round)


def honest_writes(seen: Snapshot, awake: frozenset[str], now: int) -> list[tuple[str, Record, str]]:
    """Return what honest parties write now: what the round waits for, unless it is there or the deadline has passed."""
    if not seen.rounds or seen.rounds[-1].round.phase.decided or now > seen.rounds[-1].round.deadline:
        return []
    view, state = seen.rounds[-1], seen.rounds[-1].round
    number = state.round
    match state.phase:
        case RoundPhase.OPEN:
            there = {entry.hospital for entry in view.joins}
            return [
                ("Join", join(5, round=number, chain_end=chain(name, 0, number)), name)
                for name in state.participants
                if name in awake - there
            ]
        case RoundPhase.SEALED:
            there = {entry.hospital for entry in view.anchors if entry.anchor.attempt == state.attempt}
            record: Record = anchor(5, round=number, attempt=state.attempt)
        case RoundPhase.ANCHORED:
            return honest_before_a_sum(view, awake)
        case RoundPhase.AGGREGATED:
            there = {entry.hospital for entry in view.reveals}
            return [("Reveal", reveal(name, 1, number), name) for name in state.participants if name in awake - there]
        case RoundPhase.CHALLENGED:
            there = {entry.hospital for entry in view.fingerprints}
            return [
                ("Fingerprint", honest_fingerprint(state, name), name)
                for name in state.participants
                if name in awake - there
            ]
        case _:
            there = {entry.hospital for entry in view.attestations}
            record = attestation(round=number, publication=state.publisher, model=MODEL_1)
    return [(DUE[state.phase], record, name) for name in state.participants if name in awake - there]


def honest_before_a_sum(view: RoundView, awake: frozenset[str]) -> list[tuple[str, Record, str]]:
    """Witnesses confirm; once all is confirmed, aggregators publish."""
    state = view.round
    there = {(entry.owner, entry.witness) for entry in view.held}
    expected = {(owner, name) for name in state.participants for owner in witnessed_by(state.participants, name, 1)}
    if there >= expected:
        aggregators = {entry.aggregator for entry in view.publications}
        sum_ = publication(round=state.round, attempt=state.attempt)
        return [("Publish", sum_, name) for name in AGGREGATORS if name not in aggregators]
    return [
        ("Hold", held(owner, round=state.round, attempt=state.attempt), name)
        for owner, name in sorted(expected - there)
        if name in awake
    ]


def play_block(channel: FederationLedger, seen: Snapshot, acts: Sequence[Move | Honest]) -> None:
    """Simulate a block's transactions on one state, commit them in order, and check what honest callers get."""
    endorsed: list[tuple[Simulation, str, str, bool]] = []
    for act in acts:
        if isinstance(act, Honest):
            for function, record, name in honest_writes(seen, act.awake, channel.now):
                outcome = channel.propose(function, record, name)
                assert isinstance(outcome, Simulation), f"an honest write in time was refused: {outcome}"
                endorsed.append((outcome, function, name, True))
            continue
        function = function_of(act, seen)
        outcome = channel.propose(function, record_of(function, act, seen), act.organization, act.role, act.skew)
        if isinstance(outcome, Refusal):
            continue
        assert abs(act.skew) <= TAU, "a forged clock was endorsed"
        assert act.organization not in OUTSIDERS, "an outsider's write was endorsed"
        assert act.role == "client" or (function, act.role) == ("Advance", "admin")
        assert (act.organization in AGGREGATORS) == (function == "Publish")
        endorsed.append((outcome, function, act.organization, False))
    codes = channel.commit(*[simulation for simulation, _, _, _ in endorsed])
    moved = False
    written: set[str] = set()
    for (_, function, name, is_honest), code in zip(endorsed, codes, strict=True):
        if is_honest and not moved and name not in written:
            assert code == VALID, f"{function} by {name} was starved"
        if code == VALID:
            moved = moved or function == "Advance"
            written.add(name)


def check_step(before: Snapshot, after: Snapshot, now: int) -> None:
    """Check what a block may have changed."""
    for old, new in zip(before.rounds, after.rounds, strict=False):
        if old.round.phase.decided:
            assert new == old, "a decided round changed"
        if new.round != old.round:
            assert new.round.phase in EDGES[old.round.phase]
            check_nobody_was_cut_off(old, new, now)
        assert set(new.round.participants) <= set(old.round.participants)
        if old.round.phase in UPLOADS_MAY_HAVE_BEGUN:
            assert (new.round.participants, new.round.attempt) == (old.round.participants, old.round.attempt)
        for kind in ("joins", "anchors", "held", "publications", "reveals", "fingerprints", "attestations"):
            assert set(getattr(old, kind)) <= set(getattr(new, kind)), f"{kind}: something written once has changed"
    if after.study.head.model != before.study.head.model:
        assert after.rounds[after.study.head.last_final_round - 1].round.phase is RoundPhase.FINAL


def check_nobody_was_cut_off(old: RoundView, new: RoundView, now: int) -> None:
    """Whoever the round went on without had until its deadline by the true clock, and a tolerance more."""
    newly_missing = set(new.round.missing) - set(old.round.missing)
    by_deadline = newly_missing or (old.round.phase, new.round.phase) == (RoundPhase.ANCHORED, RoundPhase.EXPIRED)
    if by_deadline:
        assert now >= old.round.deadline + TAU


def check_state(seen: Snapshot) -> None:
    """Check what must be true of every reachable state."""
    head = seen.study.head
    assert [view.round.round for view in seen.rounds if not view.round.phase.decided] == (
        [head.round] if head.undecided else []
    )
    finals = [view.round for view in seen.rounds if view.round.phase is RoundPhase.FINAL]
    assert head.final_rounds == len(finals)
    assert head.last_final_round == (finals[-1].round if finals else 0)
    assert head.model == (finals[-1].model if finals else MODEL_0)
    for view in seen.rounds:
        check_round(view)


def check_round(view: RoundView) -> None:
    state = view.round
    assert not set(state.attested_by) - set(state.participants)
    if state.phase in UPLOADS_MAY_HAVE_BEGUN:
        assert len(state.participants) >= 3
        anchored = {entry.hospital for entry in view.anchors if entry.anchor.attempt == state.attempt}
        assert set(state.participants) <= anchored, "a round counts a hospital that hasn't anchored this attempt"
        assert {entry.hospital for entry in view.joins} >= set(state.participants)
    if state.phase is RoundPhase.FINAL:
        equal = {entry.hospital for entry in view.attestations if entry.attestation.model == state.model}
        assert set(state.attested_by) == equal & set(state.participants)
        assert 3 * len(state.attested_by) >= 2 * len(state.participants)
        assert len(state.attested_by) >= 2  # T + 1


def finish(channel: FederationLedger, awake: frozenset[str]) -> RoundPhase | None:
    """Let the hospitals of a set act honestly until no round is undecided; a bounded number of steps must do."""
    for _ in range(40):
        seen = snapshot(channel)
        if not seen.study.head.undecided:
            return seen.rounds[-1].round.phase if seen.rounds else None
        play_block(channel, seen, [Honest(awake)])
        advance = RoundReference(study=STUDY, round=seen.study.head.round)
        outcome = channel.propose("Advance", advance, min(awake))
        if isinstance(outcome, Simulation):
            assert channel.commit(outcome) == [VALID]
        else:
            assert outcome.code is RefusalCode.NOT_YET
            if not honest_writes(snapshot(channel), awake, channel.now):
                channel.wait(seconds(LENGTH) + 3 * TAU)
    raise AssertionError("the round hangs")


@settings(max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, awake=st.frozensets(st.sampled_from(HOSPITALS), min_size=1))
def test_whatever_happens_the_invariants_hold_and_every_round_ends(
    history: list[tuple[int, list[Move | Honest]]], awake: frozenset[str]
) -> None:
    channel = started()
    seen = snapshot(channel)
    for wait, acts in history:
        channel.wait(wait)
        play_block(channel, seen, acts)
        after = snapshot(channel)
        check_step(seen, after, channel.now)
        check_state(after)
        seen = after
    finish(channel, awake)
    check_state(snapshot(channel))
    check_a_new_round_becomes_final(channel)


def check_a_new_round_becomes_final(channel: FederationLedger) -> None:
    """After all that, honest hospitals can still have a round: nothing is wedged."""
    head = channel.study().head
    channel.submit("OpenKeyEpoch", key_epoch(head.epoch + 1), ALPHA)
    channel.submit("OpenRound", opening(round=head.round + 1, base=head.model, epoch=head.epoch + 1), ALPHA)
    before = channel.now
    assert finish(channel, frozenset(HOSPITALS)) is RoundPhase.FINAL
    assert channel.now == before, "honest hospitals had to wait for a deadline"


@settings(max_examples=40, deadline=None, database=None)
@given(silent=st.sampled_from(HOSPITALS), falls_silent_in=st.sampled_from((0, 1, 6)))
def test_one_silent_hospital_of_four_does_not_stop_a_round(silent: str, falls_silent_in: int) -> None:
    """The promise for T = 1 and K = 4: silent before anything was uploaded, or once the sum is verified.

    In between, silence ends the round: its contribution can't be taken out any more.
    """
    channel = started()
    channel.open_round()
    others = frozenset(HOSPITALS) - {silent}
    for step in range(6):
        awake = Honest(others if step >= falls_silent_in else frozenset(HOSPITALS))
        for _ in range(2):  # in ANCHORED publications follow confirmations
            play_block(channel, snapshot(channel), [awake])
        if channel.round().next_phase is None:
            channel.wait(seconds(LENGTH) + 3 * TAU)
        channel.advance(organization=min(others))
    assert finish(channel, others) is RoundPhase.FINAL
