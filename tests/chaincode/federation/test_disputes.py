"""Lies about fingerprints, lists, chunks and sums, over real chunks: who is barred, and what becomes of the round."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dispute_world import DisputedRound, shifted
from federation_ledger import FederationLedger
from federation_world import (
    AGGREGATORS,
    ALPHA,
    BETA,
    DELTA,
    GAMMA,
    HOSPITALS,
    LENGTH,
    MODEL_1,
    STUDY,
    TOLERANCE,
    attestation,
    opening,
    publication,
    seconds,
)
from msgspec.structs import replace
from real_vectors import SET, Words, sum_of, update

from consilium_proto.fingerprint import add
from consilium_proto.records import Bar, RoundPhase, RoundReference
from consilium_proto.refusals import RefusalCode

LATE = seconds(LENGTH + 3 * TOLERANCE)
ROUND = RoundReference(study=STUDY, round=1)
SUM, TALLY = AGGREGATORS
Tamper = Callable[[list[Words]], Words]


@pytest.fixture
def disputed(channel: FederationLedger) -> DisputedRound:
    """A round in CHALLENGED, its sum right."""
    started = DisputedRound(channel)
    started.anchor_all()
    started.publish()
    return started


@pytest.fixture
def anchored(channel: FederationLedger) -> DisputedRound:
    started = DisputedRound(channel)
    started.anchor_all()
    return started


def bars(channel: FederationLedger) -> tuple[Bar, ...]:
    return channel.study().bars


# ---- the sum


def test_a_right_sum_is_verified_and_becomes_final(channel: FederationLedger, disputed: DisputedRound) -> None:
    assert disputed.write_fingerprints().phase is RoundPhase.VERIFIED
    channel.reach_final(MODEL_1)
    assert disputed.state.phase is RoundPhase.FINAL
    assert bars(channel) == ()


WRONG_SUMS: dict[str, Tamper] = {
    "drops a contribution": lambda words: sum_of(SUM, words[1:]).words,
    "doubles one": lambda words: sum_of(SUM, [words[0], *words]).words,
    "scales all": lambda words: sum_of(SUM, words + words + words).words,
    "replaces one": lambda words: sum_of(SUM, [update(ALPHA, 50).words, *words[1:]]).words,
    "shuffles words": lambda words: sum_of(SUM, [words[0][:, ::-1], *words[1:]]).words,
    "swaps two chunks": lambda words: sum_of(SUM, words).words[::-1],
    "adds one to a word": lambda words: sum_of(SUM, words, plus_one).words,
    "publishes an old sum": lambda words: sum_of(SUM, [update(ALPHA, 60 + n).words for n in range(4)]).words,
}


def plus_one(words: Words) -> Words:
    changed = words.copy()
    changed[1, 17] = (int(changed[1, 17]) + 1) % SET.modulus
    return changed


@pytest.mark.parametrize("tamper", WRONG_SUMS.values(), ids=WRONG_SUMS)
def test_whoever_publishes_a_wrong_sum_is_barred_and_the_next_aggregators_is_taken(
    channel: FederationLedger, anchored: DisputedRound, tamper: Tamper
) -> None:
    words = [anchored.vectors[name].words for name in HOSPITALS]
    wrong = tamper(words)
    anchored.publish(sum_of(SUM, [wrong]))
    entered = channel.now
    rejected = anchored.write_fingerprints()
    assert (rejected.phase, rejected.publisher, rejected.challenge) == (RoundPhase.ANCHORED, None, None)
    assert (rejected.rejected, rejected.barred, rejected.publication) == ((SUM,), (SUM,), 1)
    assert rejected.deadline == entered + seconds(TOLERANCE + LENGTH)
    assert bars(channel) == (Bar(party=SUM, round=1),)
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "Publish", publication(root="e" * 64), SUM)
    anchored.publish(anchored.honest_sum(TALLY))
    verified = anchored.write_fingerprints()
    assert (verified.phase, verified.publication, verified.publisher) == (RoundPhase.VERIFIED, 2, TALLY)


def test_a_barred_aggregator_publishes_in_no_later_round(channel: FederationLedger, anchored: DisputedRound) -> None:
    anchored.publish(sum_of(SUM, [anchored.vectors[ALPHA].words]))
    anchored.write_fingerprints()
    anchored.publish(anchored.honest_sum(TALLY))
    anchored.write_fingerprints()
    for hospital in HOSPITALS:
        channel.submit("Attest", attestation(publication=TALLY), hospital)
    channel.advance()
    later = DisputedRound(channel)
    later.anchor_all()
    channel.hold_all(2)
    root = later.honest_sum().root
    channel.refuse(RefusalCode.FORBIDDEN, "Publish", publication(round=2, root=root), SUM, match="barred")
    later.publish(later.honest_sum(TALLY))
    assert later.write_fingerprints().phase is RoundPhase.VERIFIED


def test_a_shifted_sum_and_a_colluding_fingerprint_that_matches_it_bar_both_liars(
    channel: FederationLedger, anchored: DisputedRound
) -> None:
    """An aggregator with T hospitals adds a vector to the sum; its hospital claims to have sent that much more."""
    words = [anchored.vectors[name].words for name in HOSPITALS]
    anchored.publish(sum_of(SUM, words, plus_one))
    difference = [a - b for a, b in zip(anchored.total(SUM), _sum_of_totals(anchored), strict=True)]
    own = anchored.total(BETA)
    lie = ((own[0] + difference[0]) % SET.modulus, (own[1] + difference[1]) % SET.modulus)
    assert anchored.write_fingerprints({BETA: {BETA: lie}}).phase is RoundPhase.LISTING
    false = anchored.values(BETA)
    false[1] = tuple((value + by) % SET.modulus for value, by in zip(false[1], difference, strict=True))
    channel.submit("List", anchored.listing(BETA, false), BETA)
    channel.submit("List", anchored.listing(BETA), DELTA)
    assert channel.advance().phase is RoundPhase.PROVING
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    channel.submit("Disprove", anchored.disproof(BETA, BETA, 1), DELTA)
    rejected = channel.advance()
    assert (rejected.phase, rejected.barred, rejected.rejected) == (RoundPhase.ANCHORED, (BETA, SUM), (SUM,))
    assert bars(channel) == (Bar(party=BETA, round=1), Bar(party=SUM, round=1))


def _sum_of_totals(disputed: DisputedRound) -> tuple[int, int]:
    return add((disputed.total(name) for name in HOSPITALS), SET)


def test_colluders_alone_cannot_vouch_for_a_sum_that_nobody_else_was_shown(
    channel: FederationLedger, anchored: DisputedRound
) -> None:
    anchored.publish()
    for hospital in HOSPITALS:
        written = anchored.fingerprint(hospital, got_sum=hospital == BETA)
        channel.submit("Fingerprint", written, hospital)
    rejected = channel.advance()
    assert (rejected.phase, rejected.rejected, rejected.barred) == (RoundPhase.ANCHORED, (SUM,), ())
    assert bars(channel) == ()


def test_a_sum_withheld_from_one_hospital_is_verified_by_the_others(anchored: DisputedRound) -> None:
    anchored.publish()
    for hospital in HOSPITALS:
        anchored.channel.submit("Fingerprint", anchored.fingerprint(hospital, got_sum=hospital != BETA), hospital)
    assert anchored.channel.advance().phase is RoundPhase.VERIFIED


def test_when_no_aggregator_is_left_the_round_expires(channel: FederationLedger, anchored: DisputedRound) -> None:
    for aggregator in AGGREGATORS:
        anchored.publish(sum_of(aggregator, [anchored.vectors[ALPHA].words]))
        assert anchored.write_fingerprints().phase is RoundPhase.ANCHORED
    channel.wait(LATE)
    expired = channel.advance()
    assert (expired.phase, expired.barred, expired.unheld) == (RoundPhase.EXPIRED, AGGREGATORS, ())


# ---- false fingerprints, witnesses, lists


@pytest.mark.parametrize("vector", [BETA, SUM])
@pytest.mark.parametrize("index", [0, 1])
def test_a_false_fingerprint_with_a_false_list_is_disproved_by_one_chunk(
    channel: FederationLedger, disputed: DisputedRound, vector: str, index: int
) -> None:
    """The liar is BETA, about its own vector or the sum."""
    lie = {BETA: {vector: shifted(disputed.total(vector))}}
    assert disputed.write_fingerprints(lie).phase is RoundPhase.LISTING
    authors = (BETA, DELTA) if vector == BETA else HOSPITALS
    for author in authors:
        false = disputed.false_values(vector, index) if author == BETA else None
        channel.submit("List", disputed.listing(vector, false), author)
    assert channel.advance().phase is RoundPhase.PROVING
    channel.submit("Disprove", disputed.disproof(vector, BETA, index), ALPHA)
    verified = channel.advance()
    assert (verified.phase, verified.barred, verified.publisher) == (RoundPhase.VERIFIED, (BETA,), SUM)
    assert [entry.author for entry in channel.round().disproofs] == [BETA]
    channel.submit("Attest", attestation(), BETA)  # Its duties in this round stay.
    channel.reach_final(MODEL_1, (ALPHA, DELTA, GAMMA))
    channel.submit("OpenRound", opening(round=2, base=MODEL_1), ALPHA)
    assert channel.round(2).round.participants == (ALPHA, DELTA, GAMMA)


def test_a_false_witness_is_barred_and_the_owner_is_not(channel: FederationLedger, disputed: DisputedRound) -> None:
    assert disputed.write_fingerprints({BETA: {ALPHA: shifted(disputed.total(ALPHA))}}).phase is RoundPhase.LISTING
    channel.submit("List", disputed.listing(ALPHA), ALPHA)
    channel.submit("List", disputed.listing(ALPHA, disputed.false_values(ALPHA)), BETA)
    channel.advance()
    channel.submit("Disprove", disputed.disproof(ALPHA, BETA), ALPHA)
    assert channel.advance().barred == (BETA,)


def test_whoever_lists_the_right_value_wrongly_is_barred_without_harm_to_who_lists_it_rightly(
    channel: FederationLedger, disputed: DisputedRound
) -> None:
    """DELTA lies about the sum; BETA has the right value and lists it falsely, to take it away from the others."""
    assert disputed.write_fingerprints({DELTA: {SUM: shifted(disputed.total(SUM))}}).phase is RoundPhase.LISTING
    wrong = disputed.values(SUM)
    wrong[0], wrong[1] = shifted(wrong[0]), shifted(wrong[1], -1)
    channel.submit("List", disputed.listing(SUM, wrong), BETA)
    channel.submit("List", disputed.listing(SUM, disputed.false_values(SUM)), DELTA)
    for honest in (ALPHA, GAMMA):
        channel.submit("List", disputed.listing(SUM), honest)
    channel.advance()
    channel.submit("Disprove", disputed.disproof(SUM, BETA), ALPHA)
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    channel.submit("Disprove", disputed.disproof(SUM, DELTA), ALPHA)
    verified = channel.advance()
    assert (verified.phase, verified.barred) == (RoundPhase.VERIFIED, (BETA, DELTA))


def test_a_liar_that_lists_nothing_loses_its_value_and_is_noted_as_silent(
    channel: FederationLedger, disputed: DisputedRound
) -> None:
    disputed.write_fingerprints({BETA: {BETA: shifted(disputed.total(BETA))}})
    channel.submit("List", disputed.listing(BETA), DELTA)
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    channel.wait(LATE)
    assert channel.advance().phase is RoundPhase.PROVING
    verified = channel.advance()
    assert (verified.phase, verified.barred, verified.missing) == (RoundPhase.VERIFIED, (), (BETA,))


def test_nothing_is_decided_by_counting_when_nobody_proves_anything(
    channel: FederationLedger, disputed: DisputedRound
) -> None:
    disputed.write_fingerprints({BETA: {BETA: shifted(disputed.total(BETA))}})
    channel.submit("List", disputed.listing(BETA), DELTA)
    channel.submit("List", disputed.listing(BETA, disputed.false_values(BETA)), BETA)
    channel.advance()
    channel.wait(LATE)
    assert channel.advance().phase is RoundPhase.EXPIRED
    assert bars(channel) == ()


@pytest.mark.parametrize("silent", [ALPHA, GAMMA])
def test_a_withheld_fingerprint_or_reveal_ends_the_round_and_is_recorded(
    channel: FederationLedger, disputed: DisputedRound, silent: str
) -> None:
    for hospital in HOSPITALS:
        if hospital != silent:
            channel.submit("Fingerprint", disputed.fingerprint(hospital), hospital)
    channel.wait(LATE)
    expired = channel.advance()
    assert (expired.phase, expired.ended_in, expired.missing) == (
        RoundPhase.EXPIRED,
        RoundPhase.CHALLENGED,
        (silent,),
    )


# ---- what is refused


def test_fingerprints_are_exactly_of_what_a_hospital_witnesses(
    channel: FederationLedger, disputed: DisputedRound
) -> None:
    right = disputed.fingerprint(ALPHA)
    [mine] = right.witnessed
    assert mine.owner == GAMMA
    for witnessed in ((), (mine, mine), (replace(mine, owner=BETA),), (replace(mine, owner=ALPHA), mine)):
        wrong = replace(right, witnessed=witnessed)
        channel.refuse(RefusalCode.CONFLICTING, "Fingerprint", wrong, ALPHA, match=f"witnesses {GAMMA}")
    too_large = f"{SET.modulus:016x}"
    for field in ("own", "sum"):
        wrong = replace(right, **{field: (too_large, "0" * 16)})
        channel.refuse(RefusalCode.MALFORMED, "Fingerprint", wrong, ALPHA, match="isn't below q")
    wrong = replace(right, witnessed=(replace(mine, value=("0" * 16, too_large)),))
    channel.refuse(RefusalCode.MALFORMED, "Fingerprint", wrong, ALPHA, match="isn't below q")
    channel.refuse(RefusalCode.CONFLICTING, "Fingerprint", replace(right, publication=2), ALPHA)


def test_lists_that_no_chunk_could_contradict_are_refused(channel: FederationLedger, disputed: DisputedRound) -> None:
    disputed.write_fingerprints({BETA: {BETA: shifted(disputed.total(BETA))}})
    channel.refuse(RefusalCode.CONFLICTING, "List", disputed.listing(BETA), BETA, match="adds up to")
    good = disputed.listing(BETA, disputed.false_values(BETA))
    zero = ("0" * 16, "0" * 16)
    channel.refuse(RefusalCode.CONFLICTING, "List", replace(good, values=(*good.values, zero)), BETA, match="2 chunks")
    channel.refuse(RefusalCode.CONFLICTING, "List", replace(good, values=good.values[:1]), BETA, match="2 chunks")
    first = int(good.values[0][0], 16) + SET.modulus
    unreduced = replace(good, values=((f"{first:016x}", good.values[0][1]), *good.values[1:]))
    channel.refuse(RefusalCode.MALFORMED, "List", unreduced, BETA, match="isn't below q")
    channel.refuse(RefusalCode.FORBIDDEN, "List", disputed.listing(BETA), GAMMA, match="wrote no fingerprint")
    channel.refuse(RefusalCode.CONFLICTING, "List", disputed.listing(ALPHA), ALPHA, match="nobody contradicts")
    channel.refuse(RefusalCode.NOT_FOUND, "List", replace(good, vector="OmegaMSP"), BETA, match="no vector of")
    channel.refuse(RefusalCode.CONFLICTING, "List", replace(good, publication=2), BETA)
    channel.submit("List", good, BETA)
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "List", good, BETA)


def test_an_honest_author_cannot_be_disproved(channel: FederationLedger, disputed: DisputedRound) -> None:
    disputed.write_fingerprints({BETA: {BETA: shifted(disputed.total(BETA))}})
    channel.submit("List", disputed.listing(BETA), DELTA)
    channel.submit("List", disputed.listing(BETA, disputed.false_values(BETA, 1)), BETA)
    channel.advance()

    def refuse(source: str, index: int = 0, match: str = "isn't under root", author: str = DELTA) -> None:
        record = disputed.disproof(BETA, author, index, disputed.vectors[source])
        channel.refuse(RefusalCode.CONFLICTING, "Disprove", record, ALPHA, match=match)

    for index in (0, 1):
        refuse(BETA, index, "disproves nothing")  # the very chunk
    refuse(BETA, 0, "disproves nothing", BETA)  # a chunk about which the liar is right
    refuse(ALPHA)  # another hospital's
    refuse(SUM)  # the sum's
    for number, attempt in ((2, 0), (1, 1)):  # another round's, another attempt's, the same content
        other = disputed.disproof(BETA, DELTA, 0, update(BETA, 1, number, attempt))
        channel.refuse(RefusalCode.CONFLICTING, "Disprove", other, ALPHA, match="isn't under root")
    right = disputed.disproof(BETA, BETA, 1)
    moved = replace(right, chunk=replace(right.chunk, index=0))
    channel.refuse(RefusalCode.CONFLICTING, "Disprove", moved, ALPHA, match="isn't under root")
    beyond = replace(right, chunk=replace(right.chunk, index=2))
    channel.refuse(RefusalCode.CONFLICTING, "Disprove", beyond, ALPHA, match="no chunk 2")
    longer = replace(right, chunk=replace(right.chunk, path=(*right.chunk.path, "0" * 64)))
    channel.refuse(RefusalCode.CONFLICTING, "Disprove", longer, ALPHA, match="too long")
    # Nothing that wasn't listed can be disproved, and nothing twice.
    channel.refuse(RefusalCode.NOT_FOUND, "Disprove", disputed.disproof(BETA, ALPHA, 1), ALPHA)
    channel.refuse(RefusalCode.NOT_FOUND, "Disprove", disputed.disproof(ALPHA, ALPHA, 1), ALPHA)
    channel.refuse(RefusalCode.FORBIDDEN, "Disprove", right, "StrangerMSP")
    channel.submit("Disprove", right, GAMMA)
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "Disprove", right, ALPHA)
    assert channel.advance().barred == (BETA,)


def test_a_late_disproof_or_list_is_refused(channel: FederationLedger, disputed: DisputedRound) -> None:
    disputed.write_fingerprints({BETA: {BETA: shifted(disputed.total(BETA))}})
    channel.submit("List", disputed.listing(BETA), DELTA)
    channel.wait(seconds(LENGTH + TOLERANCE) + 1)
    late = disputed.listing(BETA, disputed.false_values(BETA))
    channel.refuse(RefusalCode.DEADLINE_PASSED, "List", late, BETA)
    channel.wait(seconds(2 * TOLERANCE))
    channel.advance()
    channel.wait(seconds(LENGTH + TOLERANCE) + 1)
    channel.refuse(RefusalCode.DEADLINE_PASSED, "Disprove", disputed.disproof(BETA, DELTA), ALPHA)
