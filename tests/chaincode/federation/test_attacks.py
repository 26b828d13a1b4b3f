"""Attacks on the round, each with the rule that stops it."""

from __future__ import annotations

import itertools

import pytest
from federation_ledger import CONFLICT, VALID, FederationLedger, Refusal
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
    REGULATOR,
    STUDY,
    TOLERANCE,
    anchor,
    attestation,
    chain,
    consortium,
    fingerprint,
    held,
    join,
    key_epoch,
    listing,
    opening,
    participants,
    privacy_entry,
    privacy_terms,
    public_key,
    publication,
    reveal,
    seconds,
    terms,
)

from consilium_chaincode.shim.memory_stub import Simulation
from consilium_proto.canonical import Record
from consilium_proto.records import MalformedChunk, ProvedChunk, Readmission, RoundPhase, RoundReference, StudyReference
from consilium_proto.refusals import RefusalCode
from consilium_proto.witnesses import witnessed_by

CHUNK = ProvedChunk(index=0, content="00", path=())
ROUND = RoundReference(study=STUDY, round=1)
PHASE_LIMIT = seconds(TOLERANCE + LENGTH)
ADVANCE_LIMIT = PHASE_LIMIT + seconds(2 * TOLERANCE)


def endorsed(outcome: Simulation | Refusal) -> Simulation:
    assert isinstance(outcome, Simulation), outcome
    return outcome


# ---- time


def test_a_timestamp_forged_beyond_the_tolerance_is_refused(channel: FederationLedger) -> None:
    channel.open_round()
    for skew in (seconds(TOLERANCE) + 1, -seconds(TOLERANCE) - 1, ADVANCE_LIMIT, 2**62, -(2**62)):
        channel.refuse(RefusalCode.CLOCK_SKEW, "Advance", ROUND, ALPHA, skew=skew)
        channel.refuse(RefusalCode.CLOCK_SKEW, "Join", join(), ALPHA, skew=skew)


def test_a_clock_forged_within_the_tolerance_cannot_cut_off_a_write_made_at_the_deadline(
    channel: FederationLedger,
) -> None:
    channel.wait(10_000)
    # The opener's clock is as slow as is tolerated, the attacker's as fast; the hospital's is right.
    simulation = endorsed(channel.propose("OpenRound", opening(), ALPHA, skew=-seconds(TOLERANCE)))
    channel.commit(simulation)
    channel.wait(seconds(LENGTH))
    assert channel.now == channel.round().round.deadline
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, BETA, skew=seconds(TOLERANCE))
    channel.submit("Join", join(), GAMMA)
    channel.wait(seconds(TOLERANCE) - 1)
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, BETA, skew=seconds(TOLERANCE))
    channel.wait(1)
    endorsed(channel.propose("Advance", ROUND, BETA, skew=seconds(TOLERANCE)))


def test_an_anchor_after_the_deadline_is_refused(channel: FederationLedger) -> None:
    channel.open_round()
    channel.reach_sealed()
    channel.wait(PHASE_LIMIT)
    endorsed(channel.propose("Anchor", anchor(), ALPHA))
    channel.wait(1)
    channel.refuse(RefusalCode.DEADLINE_PASSED, "Anchor", anchor(), ALPHA)
    # Dating it back helps only as far as the endorsers' clocks tolerate, and then no Advance has been possible yet.
    endorsed(channel.propose("Anchor", anchor(), ALPHA, skew=-1))
    channel.wait(seconds(TOLERANCE))
    channel.refuse(RefusalCode.DEADLINE_PASSED, "Anchor", anchor(), ALPHA, skew=-seconds(TOLERANCE))
    channel.refuse(RefusalCode.CLOCK_SKEW, "Anchor", anchor(), ALPHA, skew=-seconds(TOLERANCE) - 1)


# ---- orders within a block


def sealed_with_one_missing(channel: FederationLedger) -> tuple[Simulation, Simulation]:
    """Simulate, on the same state, a late anchor dated back and the retry without its hospital."""
    channel.open_round()
    channel.reach_sealed()
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchor(), hospital)
    channel.wait(PHASE_LIMIT)
    late_anchor = endorsed(channel.propose("Anchor", anchor(), GAMMA))
    # The peer that endorses the retry has a fast clock: the strongest case, which no pair of honest clocks gives.
    channel.wait(seconds(2 * TOLERANCE))
    return late_anchor, endorsed(channel.propose("Advance", ROUND, ALPHA))


def test_a_retry_behind_an_anchor_in_one_block_is_invalid(channel: FederationLedger) -> None:
    late_anchor, retry = sealed_with_one_missing(channel)
    assert channel.commit(late_anchor, retry) == [VALID, CONFLICT]
    assert channel.advance().phase is RoundPhase.ANCHORED
    assert channel.round().round.participants == HOSPITALS


def test_an_anchor_behind_a_retry_in_one_block_is_invalid(channel: FederationLedger) -> None:
    late_anchor, retry = sealed_with_one_missing(channel)
    assert channel.commit(retry, late_anchor) == [VALID, CONFLICT]
    view = channel.round()
    assert (view.round.attempt, view.round.participants) == (1, HOSPITALS[:3])
    assert GAMMA not in [entry.hospital for entry in view.anchors]


def test_the_last_anchor_and_advance_in_one_block(channel: FederationLedger) -> None:
    """Before the deadline, Advance without the last anchor isn't even endorsed."""
    channel.open_round()
    channel.reach_sealed()
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchor(), hospital)
    last = endorsed(channel.propose("Anchor", anchor(), GAMMA))
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    assert channel.commit(last) == [VALID]


def test_hospitals_never_conflict_with_each_other(channel: FederationLedger) -> None:
    channel.open_round()
    joins = [endorsed(channel.propose("Join", join(chain_end=chain(name, 0)), name)) for name in HOSPITALS]
    assert channel.commit(*joins) == [VALID] * 4
    channel.advance()
    anchors = [endorsed(channel.propose("Anchor", anchor(index), name)) for index, name in enumerate(HOSPITALS)]
    assert channel.commit(*anchors) == [VALID] * 4
    channel.advance()
    pairs = [(owner, name) for name in HOSPITALS for owner in witnessed_by(HOSPITALS, name, 1)]
    confirmed = [endorsed(channel.propose("Hold", held(owner), name)) for owner, name in pairs]
    assert channel.commit(*confirmed) == [VALID] * 4
    sums = [endorsed(channel.propose("Publish", publication(), name)) for name in AGGREGATORS]
    assert channel.commit(*sums) == [VALID] * 2
    channel.advance()
    values = [endorsed(channel.propose("Reveal", reveal(name), name)) for name in HOSPITALS]
    assert channel.commit(*values) == [VALID] * 4
    channel.advance()
    written = [endorsed(channel.propose("Fingerprint", fingerprint(name), name)) for name in HOSPITALS]
    assert channel.commit(*written) == [VALID] * 4
    channel.advance()
    models = [endorsed(channel.propose("Attest", attestation(), name)) for name in HOSPITALS]
    assert channel.commit(*models) == [VALID] * 4


def test_a_duplicate_anchor_is_refused_and_in_one_block_only_the_first_is_valid(channel: FederationLedger) -> None:
    channel.open_round()
    channel.reach_sealed()
    first = endorsed(channel.propose("Anchor", anchor(1), ALPHA))
    second = endorsed(channel.propose("Anchor", anchor(2), ALPHA))
    assert channel.commit(first, second) == [VALID, CONFLICT]
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "Anchor", anchor(2), ALPHA)
    assert [entry.anchor.root for entry in channel.round().anchors] == [anchor(1).root]


def test_advances_of_all_hospitals_in_one_block_move_the_round_once(channel: FederationLedger) -> None:
    channel.open_round()
    for index, hospital in enumerate(HOSPITALS):
        channel.submit("Join", join(index), hospital)
    advances = [endorsed(channel.propose("Advance", ROUND, name)) for name in HOSPITALS]
    assert channel.commit(*advances) == [VALID] + [CONFLICT] * 3
    assert channel.round().round.phase is RoundPhase.SEALED


def test_closing_a_study_and_opening_a_round_exclude_each_other(channel: FederationLedger) -> None:
    close = endorsed(channel.propose("CloseStudy", StudyReference(study=STUDY), ALPHA, "admin"))
    open_ = endorsed(channel.propose("OpenRound", opening(), ALPHA))
    assert channel.commit(close, open_) == [VALID, CONFLICT]
    other = FederationLedger()
    other.found()
    other.start_study()
    close = endorsed(other.propose("CloseStudy", StudyReference(study=STUDY), ALPHA, "admin"))
    open_ = endorsed(other.propose("OpenRound", opening(), ALPHA))
    assert other.commit(open_, close) == [VALID, CONFLICT]


def test_a_new_key_epoch_and_uploads_under_the_old_one_exclude_each_other(channel: FederationLedger) -> None:
    channel.open_round()
    channel.reach_sealed()
    for index, hospital in enumerate(HOSPITALS):
        channel.submit("Anchor", anchor(index), hospital)
    epoch = endorsed(channel.propose("OpenKeyEpoch", key_epoch(2), BETA))
    advance = endorsed(channel.propose("Advance", ROUND, ALPHA))
    assert channel.commit(epoch, advance) == [VALID, CONFLICT]
    assert channel.advance().phase is RoundPhase.VOID
    channel.refuse(RefusalCode.STALE_EPOCH, "OpenRound", opening(round=2), ALPHA)
    channel.submit("OpenRound", opening(round=2, epoch=2), ALPHA)


def test_a_removed_holder_cannot_take_itself_in_again(channel: FederationLedger) -> None:
    """Whoever opens an epoch draws its key: a removed hospital that opened the next one would hold it."""
    without = HOSPITALS[:3]
    channel.submit("OpenKeyEpoch", key_epoch(2, without), ALPHA)
    for holders in (HOSPITALS, without):
        channel.refuse(RefusalCode.FORBIDDEN, "OpenKeyEpoch", key_epoch(3, holders), GAMMA, match="isn't a holder")
    channel.submit("OpenKeyEpoch", key_epoch(3), BETA)


# ---- nobody starves a decision


def test_key_epochs_opened_in_every_block_cannot_keep_a_round_from_becoming_final(channel: FederationLedger) -> None:
    channel.open_round()
    channel.reach_sealed()
    channel.reach_anchored()
    channel.reach_aggregated()
    channel.reach_verified()
    for hospital in HOSPITALS:
        channel.submit("Attest", attestation(), hospital)
    epoch = endorsed(channel.propose("OpenKeyEpoch", key_epoch(2), BETA))
    decision = endorsed(channel.propose("Advance", ROUND, ALPHA))
    assert channel.commit(epoch, decision) == [VALID, VALID]
    assert channel.round().round.phase is RoundPhase.FINAL


def every_write_of(organization: str, role: str, number: int) -> list[tuple[str, Record, str, str]]:
    records: list[tuple[str, Record]] = [
        ("ApproveConsortium", consortium(revision=2)),
        ("EnactConsortium", consortium(revision=2)),
        ("ProposeStudy", terms(study=f"spam-{number}")),
        ("CloseStudy", StudyReference(study=STUDY)),
        ("ActivateStudy", StudyReference(study=STUDY)),
        ("OpenKeyEpoch", key_epoch(2)),
        ("OpenRound", opening(round=1)),
        ("OpenRound", opening(round=2)),
        ("Join", join(9)),
        ("Anchor", anchor(9)),
        ("Hold", held(ALPHA)),
        ("Publish", publication()),
        ("Reveal", reveal(ALPHA)),
        ("Fingerprint", fingerprint(ALPHA)),
        ("List", listing(ALPHA, 1)),
        ("ProveMalformed", MalformedChunk(study=STUDY, round=1, vector=ALPHA, chunk=CHUNK)),
        ("ApproveReadmission", Readmission(study=STUDY, party=BETA, round=1)),
        ("Readmit", Readmission(study=STUDY, party=BETA, round=1)),
        ("Attest", attestation(model=MODEL_2)),
    ]
    return [(function, record, organization, role) for function, record in records]


@pytest.mark.parametrize("outsider", [REGULATOR, "StrangerMSP", GAMMA, AGGREGATORS[1]])
def test_nobody_outside_a_round_can_starve_it(outsider: str) -> None:
    """Every step of the round is in a block behind everything that an outsider can get endorsed."""
    channel = FederationLedger()
    channel.found()
    inside = HOSPITALS[:3]
    channel.start_study(terms(participants=participants(inside)))
    steps: list[list[tuple[str, Record, str]]] = [
        [("OpenRound", opening(), ALPHA)],
        [("Join", join(index, chain_end=chain(name, 0)), name) for index, name in enumerate(inside)],
        [("Advance", ROUND, ALPHA)],
        [("Anchor", anchor(index), name) for index, name in enumerate(inside)],
        [("Advance", ROUND, BETA)],
        [("Hold", held(owner), name) for name in inside for owner in witnessed_by(inside, name, 1)],
        [("Publish", publication(), AGGREGATORS[0])],
        [("Advance", ROUND, DELTA)],
        [("Reveal", reveal(name), name) for name in inside],
        [("Advance", ROUND, DELTA)],
        [("Fingerprint", fingerprint(name, inside), name) for name in inside],
        [("Advance", ROUND, BETA)],
        [("Attest", attestation(), name) for name in inside],
        [("Advance", ROUND, ALPHA)],
    ]
    for number, step in enumerate(steps):
        spam = [
            channel.propose(function, record, organization, role)
            for role in ("client", "admin")
            for function, record, organization, role in every_write_of(outsider, role, number)
        ]
        honest = [endorsed(channel.propose(function, record, name)) for function, record, name in step]
        codes = channel.commit(*[one for one in spam if isinstance(one, Simulation)], *honest)
        assert codes[-len(honest) :] == [VALID] * len(honest), step
    assert channel.round().round.phase is RoundPhase.FINAL


# ---- who may do what


def test_an_aggregator_cannot_take_part_and_a_hospital_cannot_publish(channel: FederationLedger) -> None:
    channel.open_round()
    channel.refuse(RefusalCode.FORBIDDEN, "Join", join(), AGGREGATORS[0])
    channel.reach_sealed()
    channel.refuse(RefusalCode.FORBIDDEN, "Anchor", anchor(), AGGREGATORS[0])
    channel.reach_anchored()
    for hospital in HOSPITALS:
        channel.refuse(RefusalCode.FORBIDDEN, "Publish", publication(), hospital)
    channel.reach_aggregated()
    channel.refuse(RefusalCode.FORBIDDEN, "Reveal", reveal(ALPHA), AGGREGATORS[0])
    channel.reach_verified()
    channel.refuse(RefusalCode.FORBIDDEN, "Attest", attestation(), AGGREGATORS[0])
    channel.refuse(RefusalCode.FORBIDDEN, "Advance", ROUND, AGGREGATORS[0])


def test_a_stranger_can_neither_write_nor_advance(channel: FederationLedger) -> None:
    channel.open_round()
    for function, record in (("Join", join()), ("Advance", ROUND), ("OpenRound", opening(round=2))):
        channel.refuse(RefusalCode.FORBIDDEN, function, record, "StrangerMSP", match="StrangerMSP")


def test_two_organisations_that_are_not_the_hospitals_cannot_found_the_consortium() -> None:
    channel = FederationLedger()
    pair = consortium(hospitals=(REGULATOR, AGGREGATORS[0]), aggregators=())
    channel.refuse(RefusalCode.MALFORMED, "ApproveConsortium", pair, REGULATOR, "admin")


def test_a_publication_stays_as_it_is_and_a_second_aggregator_cannot_replace_it(channel: FederationLedger) -> None:
    channel.open_round()
    channel.reach_sealed()
    channel.reach_anchored()
    channel.reach_aggregated()
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "Publish", publication(root="f" * 64), AGGREGATORS[0])
    channel.refuse(RefusalCode.WRONG_PHASE, "Publish", publication(root="f" * 64), AGGREGATORS[1])
    channel.reach_verified()
    channel.refuse(RefusalCode.CONFLICTING, "Attest", attestation(publication=AGGREGATORS[1]), ALPHA)


# ---- content


def test_a_copied_mask_key_is_accepted_because_identities_bind_the_masks(channel: FederationLedger) -> None:
    """HKDF's info names both hospitals, so a copied key gives other masks; refusing it would let a copier block."""
    channel.open_round()
    channel.submit("Join", join(mask_key=public_key(1)), ALPHA)
    channel.submit("Join", join(mask_key=public_key(1)), BETA)


def test_mask_keys_of_low_order_are_refused(channel: FederationLedger) -> None:
    channel.open_round()
    for key in ("00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ed" + "ff" * 30 + "ff"):
        channel.refuse(RefusalCode.MALFORMED, "Join", join(mask_key=key), ALPHA, match="low order")


def test_names_with_a_trailing_line_feed_are_refused(channel: FederationLedger) -> None:
    argument = b'{"protocol":1,"study":"heart\\n"}'
    channel.refuse(RefusalCode.MALFORMED, "ActivateStudy", argument, ALPHA)


def test_a_retry_cannot_change_what_it_costs_in_privacy() -> None:
    channel = FederationLedger()
    channel.found()
    channel.start_study(terms(privacy=privacy_terms()))
    channel.open_round()
    channel.reach_sealed()
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchor(privacy=privacy_entry()), hospital)
    channel.wait(ADVANCE_LIMIT)
    channel.advance()
    cheaper = privacy_entry(epsilon_after_micro=1)
    channel.refuse(RefusalCode.CONFLICTING, "Anchor", anchor(attempt=1, privacy=cheaper), ALPHA)
    channel.submit("Anchor", anchor(5, attempt=1, privacy=privacy_entry()), ALPHA)


def test_the_set_never_changes_once_uploads_may_have_begun(channel: FederationLedger) -> None:
    """A silent hospital after ANCHORED ends the round or is outvoted; no second sum over fewer hospitals follows."""
    channel.open_round()
    channel.reach_sealed()
    channel.reach_anchored()
    channel.wait(ADVANCE_LIMIT)
    expired = channel.advance()
    assert (expired.phase, expired.ended_in) == (RoundPhase.EXPIRED, RoundPhase.ANCHORED)
    assert expired.participants == HOSPITALS
    assert channel.study().head.model == MODEL_0


def test_colluders_below_the_quorum_cannot_make_their_model_final(channel: FederationLedger) -> None:
    for liars in itertools.combinations(HOSPITALS, 2):
        number = channel.study().head.round + 1
        channel.open_round()
        channel.reach_sealed(number=number)
        channel.reach_anchored(number=number)
        channel.reach_aggregated(number=number)
        channel.reach_verified(number=number)
        for hospital in HOSPITALS:
            model = MODEL_2 if hospital in liars else MODEL_1
            channel.submit("Attest", attestation(round=number, model=model), hospital)
        assert channel.advance(number).phase is RoundPhase.VOID
    assert channel.study().head.model == MODEL_0
