"""What auditors ask, on ledgers whose whole course is known: disputes, silence, privacy, keys, lineage, cost."""

from __future__ import annotations

import dataclasses

import pytest
from dispute_world import DisputedRound, shifted
from federation_world import (
    AGGREGATORS,
    ALPHA,
    BETA,
    DELTA,
    GAMMA,
    HOSPITALS,
    LENGTH,
    MODEL_0,
    MODEL_1,
    MODEL_2,
    STUDY,
    TOLERANCE,
    anchor,
    hash_,
    join,
    key_epoch,
    opening,
    privacy_entry,
    privacy_terms,
    readmission,
    seconds,
    terms,
)
from real_vectors import sum_of
from recorded_ledger import ENDORSERS, RecordedLedger

from consilium_peers.audit.disputes import disputes
from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.key_holders import key_holders
from consilium_peers.audit.lineage import NOT_ON_LEDGER, lineage
from consilium_peers.audit.participation import participation
from consilium_peers.audit.privacy_spent import FREE, PENDING, SPENT, accounts, spendings
from consilium_peers.audit.round_costs import round_costs, seen_after
from consilium_peers.audit.transitions import transitions
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import PrivacyEntry, RoundReference

LATE = seconds(LENGTH + 3 * TOLERANCE)
SUM, TALLY = AGGREGATORS
EPSILON = [epsilon_micro([GaussianSteps(1, 10, 1100, 10 * rounds)], 1, 1000) for rounds in range(4)]
"""Epsilon in millionths after so many rounds with the usual entry."""


@pytest.fixture
def ledger() -> RecordedLedger:
    made = RecordedLedger()
    made.found()
    made.start_study()
    return made


def play(ledger: RecordedLedger, model: str, number: int) -> None:
    ledger.wait(1000)
    ledger.open_round()
    ledger.reach_sealed(number=number)
    ledger.reach_anchored(number=number)
    ledger.reach_aggregated(number=number)
    ledger.reach_verified(number=number)
    ledger.reach_final(model, number=number)


# ---- transitions and participation


def test_every_transition_names_its_transaction_and_endorsers(ledger: RecordedLedger) -> None:
    play(ledger, MODEL_1, 1)
    found = transitions(ledger.history, STUDY)
    phases = ["OPEN", "SEALED", "ANCHORED", "AGGREGATED", "CHALLENGED", "VERIFIED", "FINAL"]
    assert [each.phase for each in found] == phases
    assert found[-1].model == MODEL_1
    assert {each.endorsers for each in found} == {ENDORSERS}
    assert [each.block for each in found] == sorted({each.block for each in found})
    with pytest.raises(NotOnLedgerError, match="no round 2"):
        transitions(ledger.history, STUDY, 2)


def test_participation_tells_acts_from_silence(ledger: RecordedLedger) -> None:
    ledger.open_round()
    ledger.reach_sealed()
    for index, hospital in enumerate(HOSPITALS[:3]):
        ledger.submit("Anchor", anchor(index), hospital)
    ledger.wait(LATE)
    ledger.advance()
    acts = [(each.act, each.sent) for each in participation(ledger.history, STUDY, GAMMA)]
    assert acts == [("ApproveStudy", True), ("Join", True), ("missing", False)]
    assert [each.act for each in participation(ledger.history, STUDY, BETA)] == ["ApproveStudy", "Join", "Anchor"]
    assert participation(ledger.history, STUDY, "StrangerMSP") == ()


def test_who_took_no_part_in_an_invalid_transaction_did_nothing(ledger: RecordedLedger) -> None:
    """Two advances in one block: the second changes nothing, so it is nobody's act; it is still paid for."""
    ledger.open_round()
    for index, hospital in enumerate(HOSPITALS):
        ledger.submit("Join", join(index), hospital)
    reference = RoundReference(study=STUDY, round=1)
    both = [ledger.propose("Advance", reference, name) for name in (ALPHA, BETA)]
    assert ledger.commit(*both) == ["VALID", "MVCC_READ_CONFLICT"]  # type: ignore[arg-type]
    assert "Advance" not in {each.act for each in participation(ledger.history, STUDY, BETA)}
    (cost,) = round_costs(ledger.history, STUDY)
    assert (cost.transactions, cost.invalid, cost.ledger_bytes) == (7, 1, 7000)


# ---- keys


def test_a_round_was_readable_by_the_holders_of_its_own_epoch(ledger: RecordedLedger) -> None:
    play(ledger, MODEL_1, 1)
    ledger.submit("OpenKeyEpoch", key_epoch(2, [ALPHA, BETA, DELTA]), BETA)
    ledger.open_round()
    first, second = key_holders(ledger.history, STUDY, 1), key_holders(ledger.history, STUDY, 2)
    assert {each.holder for each in first} == set(HOSPITALS)
    assert {each.holder for each in second} == {ALPHA, BETA, DELTA}
    assert {(each.epoch, each.newest_epoch, each.opened_by) for each in first} == {(1, 2, ALPHA)}
    assert {(each.epoch, each.newest_epoch, each.opened_by) for each in second} == {(2, 2, BETA)}


# ---- privacy


def private(ledger: RecordedLedger, name: str = STUDY) -> None:
    ledger.start_study(terms(study=name, rounds=10, privacy=privacy_terms()))


def entry(before: int, data_set: str = hash_(7)) -> PrivacyEntry:
    return privacy_entry(
        epsilon_before_micro=EPSILON[before], epsilon_after_micro=EPSILON[before + 1], data_set=data_set
    )


def reach_sealed(ledger: RecordedLedger, number: int, study: str = STUDY) -> None:
    ledger.submit("OpenRound", opening(study=study, round=number), ALPHA)
    for index, hospital in enumerate(HOSPITALS):
        ledger.submit("Join", join(index, study=study, round=number), hospital)
    ledger.submit("Advance", RoundReference(study=study, round=number), ALPHA)


def test_privacy_counts_what_may_have_been_uploaded_in_every_study() -> None:
    ledger = RecordedLedger()
    ledger.found()
    private(ledger)
    private(ledger, "lung")
    # Round 1 of the first study falls short of anchors: nothing is spent. Round 2 reaches ANCHORED: spent.
    reach_sealed(ledger, 1)
    ledger.submit("Anchor", anchor(privacy=entry(0)), ALPHA)
    ledger.wait(LATE)
    ledger.advance(1)
    reach_sealed(ledger, 2)
    for hospital in HOSPITALS:
        ledger.submit("Anchor", anchor(round=2, privacy=entry(0)), hospital)
    ledger.advance(2)
    ledger.wait(LATE)
    ledger.advance(2)
    # Another study, the same data set: one anchor, undecided.
    reach_sealed(ledger, 1, "lung")
    ledger.submit("Anchor", anchor(study="lung", privacy=entry(1)), ALPHA)

    of_alpha = spendings(ledger.history, hospital=ALPHA)
    assert [(each.study, each.round, each.outcome) for each in of_alpha] == [
        (STUDY, 1, FREE),
        (STUDY, 2, SPENT),
        ("lung", 1, PENDING),
    ]
    assert len(spendings(ledger.history, STUDY)) == 5
    heart, lung = accounts(ledger.history, hospital=ALPHA)
    assert (heart.study, heart.rounds, lung.study, lung.rounds) == (STUDY, 1, "lung", 1)
    assert heart.epsilon_of_study == lung.epsilon_of_study == EPSILON[1] / 1e6
    assert heart.epsilon_of_all == lung.epsilon_of_all == EPSILON[2] / 1e6
    assert {each.budget for each in accounts(ledger.history)} == {3.0}
    # It is what the ledger itself recomputed.
    assert of_alpha[-1].epsilon_after == lung.epsilon_of_all


# ---- disputes


def test_a_liar_is_the_culprit_from_the_list_to_the_bar_and_back(ledger: RecordedLedger) -> None:
    disputed = DisputedRound(ledger)
    disputed.anchor_all()
    disputed.publish()
    disputed.write_fingerprints({BETA: {BETA: shifted(disputed.total(BETA))}})
    assert disputes(ledger.history, STUDY) == ()
    for author in sorted({BETA, *witnesses_of(disputed, BETA)}):
        values = disputed.false_values(BETA) if author == BETA else None
        ledger.submit("List", disputed.listing(BETA, values), author)
    ledger.advance()
    ledger.submit("Disprove", disputed.disproof(BETA, BETA), GAMMA)
    ledger.wait(LATE)
    ledger.advance()
    steps = disputes(ledger.history, STUDY)
    assert [(each.step, each.culprit) for each in steps if each.culprit] == [("disproved", BETA), ("barred", BETA)]
    (shown,) = [each for each in steps if each.step == "disproved"]
    assert (shown.author, shown.vector, shown.chunk) == (GAMMA, BETA, 0)
    assert {each.vector for each in steps if each.step == "listed"} == {BETA}


def witnesses_of(disputed: DisputedRound, vector: str) -> set[str]:
    view = disputed.channel.round(disputed.number)
    return {
        each.hospital for each in view.fingerprints if vector in {seen.owner for seen in each.fingerprint.witnessed}
    }


def test_an_aggregators_wrong_sum_is_rejected_and_its_author_barred_and_readmitted(ledger: RecordedLedger) -> None:
    disputed = DisputedRound(ledger)
    disputed.anchor_all()
    words = [disputed.vectors[name].words for name in HOSPITALS[1:]]
    disputed.publish(sum_of(SUM, [each for each in words if each is not None]))
    disputed.write_fingerprints()
    while not disputed.state.rejected:
        ledger.wait(LATE)
        ledger.advance()
    steps = [(each.step, each.vector, each.culprit) for each in disputes(ledger.history, STUDY, 1)]
    assert steps == [("sum rejected", SUM, ""), ("barred", SUM, SUM)]
    acts = {each.act for each in participation(ledger.history, STUDY, SUM)}
    assert acts == {"Publish", "sum rejected", "barred"}
    while not disputed.state.phase.decided:
        ledger.wait(LATE)
        ledger.advance()
    for hospital in HOSPITALS[:3]:
        ledger.submit("ApproveReadmission", readmission(SUM), hospital, "admin")
    ledger.submit("Readmit", readmission(SUM), ALPHA, "admin")
    assert [each.step for each in disputes(ledger.history, STUDY)][-4:] == ["readmission approved"] * 3 + ["readmitted"]
    assert disputes(ledger.history, STUDY, 2) == ()


# ---- lineage


def test_the_lineage_leads_from_the_newest_model_to_the_initial_one(ledger: RecordedLedger) -> None:
    play(ledger, MODEL_1, 1)
    play(ledger, MODEL_2, 2)
    newest, middle, first = lineage(ledger.history, STUDY)
    assert [(each.round, each.model, each.base) for each in (newest, middle, first)] == [
        (2, MODEL_2, MODEL_1),
        (1, MODEL_1, MODEL_0),
        (0, MODEL_0, ""),
    ]
    assert newest.updates == tuple(f"{name}:{anchor(index).root}" for index, name in enumerate(HOSPITALS))
    assert newest.data_sets == tuple(f"{name}:{NOT_ON_LEDGER}" for name in HOSPITALS)
    assert (newest.publisher, newest.epoch, newest.attested_by) == (SUM, 1, HOSPITALS)
    assert newest.code == terms().code
    assert lineage(ledger.history, STUDY, MODEL_1) == (middle, first)
    assert lineage(ledger.history, STUDY, MODEL_0) == (first,)
    for absent in (hash_(99), MODEL_1[:4], ""):
        with pytest.raises(NotOnLedgerError, match="no model of study"):
            lineage(ledger.history, STUDY, absent)


# ---- cost


def test_a_transaction_is_seen_by_the_first_who_reads_what_it_wrote(ledger: RecordedLedger) -> None:
    ledger.open_round()
    opened = ledger.history.entries[-1]
    ledger.wait(300)
    ledger.submit("Join", join(0), ALPHA)
    unread = ledger.history.entries[-1]
    ledger.wait(400)
    ledger.submit("Join", join(1), BETA)
    seen = seen_after(ledger.history, STUDY)
    assert seen[opened.tx_id] == 300
    assert unread.tx_id not in seen
    (cost,) = round_costs(ledger.history, STUDY)
    assert (cost.phase, cost.transactions, cost.seen, cost.seen_after_ms_max) == ("OPEN", 3, 1, 300)
    assert cost.seconds == 0.7


def test_what_came_later_is_not_looked_at(ledger: RecordedLedger) -> None:
    play(ledger, MODEL_1, 1)
    height = ledger.history.height
    before = transitions(ledger.history, STUDY), round_costs(ledger.history.up_to(height + 1), STUDY)
    play(ledger, MODEL_2, 2)
    known = ledger.history.up_to(height + 1)
    assert (transitions(known, STUDY), round_costs(known, STUDY)) == before
    assert dataclasses.astuple(known.entries[-1])[0] == height
