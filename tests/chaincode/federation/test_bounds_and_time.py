"""Bounds on coalitions and cohorts, deadlines, public keys, lists."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from federation_world import LENGTH, NOW, TOLERANCE, public_key, refused, seconds, terms

from consilium_chaincode.federation import bounds, deadlines
from consilium_chaincode.federation.callers import ADMIN, CLIENT, Caller
from consilium_chaincode.federation.curve_points import FIELD_PRIME, LOW_ORDER_U, check_public_key
from consilium_chaincode.federation.listings import check_sorted_unique
from consilium_proto import canonical
from consilium_proto.records import Listing, RoundPhase
from consilium_proto.refusals import RefusalCode

VALUE = ("f" * 16, "f" * 16)


@pytest.mark.parametrize(
    ("participants", "hospitals", "largest"),
    [(3, 3, 1), (3, 4, 1), (4, 4, 2), (5, 5, 3), (5, 20, 3), (10, 10, 6), (3, 100, 1), (100, 100, 66)],
)
def test_largest_coalition_is_bounded_by_masks_and_by_endorsement(
    participants: int, hospitals: int, largest: int
) -> None:
    assert bounds.largest_coalition(participants, hospitals) == largest


@pytest.mark.parametrize("hospitals", range(1, 50))
def test_quorums_overlap(hospitals: int) -> None:
    quorum = bounds.endorsement_quorum(hospitals)
    assert 3 * quorum >= 2 * hospitals > 3 * (quorum - 1)
    assert 2 * bounds.majority(hospitals) > hospitals >= 2 * (bounds.majority(hospitals) - 1)
    for colluding in range(1, max(2, hospitals - 1)):
        attesting = bounds.attestation_quorum(hospitals, colluding)
        assert 2 * attesting > hospitals
        assert attesting > colluding
        assert bounds.smallest_cohort(colluding) - colluding >= 2


def test_all_lists_of_a_dispute_fit_one_answer() -> None:
    """A peer's answer has at most 100 MB, a listed value's length is fixed."""
    value = len(canonical.encode(Listing(study="s", round=1, publication=1, vector="AMSP", values=(VALUE,) * 101)))
    value -= len(canonical.encode(Listing(study="s", round=1, publication=1, vector="AMSP", values=(VALUE,))))
    assert bounds.MAX_DISPUTED_VALUES * value / 100 < 50_000_000


@pytest.mark.parametrize(
    ("participants", "colluding", "lists"),
    # Own vector and one witnessed, two authors each, and everybody's sum; then every vector there is.
    [(4, 1, 2 * 2 + 4), (10, 2, 6 * 3 + 10), (10, 6, 10 * 7 + 10)],
)
def test_lists_of_a_dispute(participants: int, colluding: int, lists: int) -> None:
    assert bounds.most_lists(participants, colluding) == lists


@pytest.mark.parametrize(("offset", "accepted"), [(0, True), (TOLERANCE, True), (TOLERANCE + 0.001, False)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_clock_check_is_symmetric_and_exact(offset: float, accepted: bool, sign: int) -> None:
    timestamp = NOW + sign * seconds(offset)
    if accepted:
        deadlines.check_clock(timestamp, NOW, TOLERANCE)
    else:
        with refused(RefusalCode.CLOCK_SKEW, "synchronise"):
            deadlines.check_clock(timestamp, NOW, TOLERANCE)


def test_deadline_leaves_the_whole_phase_even_when_entered_with_a_forged_past_timestamp() -> None:
    real_time = NOW
    assert deadlines.deadline(RoundPhase.OPEN, real_time - seconds(TOLERANCE), terms()) == real_time + seconds(LENGTH)


def test_deadline_passes_for_advance_only_two_tolerances_after_it_passes_for_writes() -> None:
    limit = deadlines.deadline(RoundPhase.SEALED, NOW, terms())
    deadlines.check_in_time(limit, limit)
    with refused(RefusalCode.DEADLINE_PASSED):
        deadlines.check_in_time(limit + 1, limit)
    assert not deadlines.has_passed(limit, limit + seconds(2 * TOLERANCE) - 1, terms())
    assert deadlines.has_passed(limit, limit + seconds(2 * TOLERANCE), terms())


@pytest.mark.parametrize("phase", [RoundPhase.FINAL, RoundPhase.EXPIRED, RoundPhase.VOID])
def test_decided_rounds_have_no_deadline(phase: RoundPhase) -> None:
    assert deadlines.deadline(phase, NOW, terms()) == 0


ENCODINGS_OF_LOW_ORDER = [
    u + multiple * FIELD_PRIME + (top_bit << 255)
    for u in sorted(LOW_ORDER_U)
    for multiple in (0, 1)
    for top_bit in (0, 1)
    if u + multiple * FIELD_PRIME < 2**255
]


@pytest.mark.parametrize("encoded", ENCODINGS_OF_LOW_ORDER)
def test_low_order_points_are_refused_in_every_encoding(encoded: int) -> None:
    raw = encoded.to_bytes(32, "little")
    with pytest.raises(ValueError, match="shared key"):  # what a partner would see: an all-zero secret
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(raw))
    with refused(RefusalCode.MALFORMED, "low order"):
        check_public_key(raw.hex(), "mask key")


def test_honest_keys_are_accepted_and_their_other_encodings_refused() -> None:
    for _ in range(50):
        raw = X25519PrivateKey.generate().public_key().public_bytes_raw()
        check_public_key(raw.hex(), "mask key")
        with refused(RefusalCode.MALFORMED, "canonical"):
            check_public_key((int.from_bytes(raw, "little") | 1 << 255).to_bytes(32, "little").hex(), "mask key")
    with refused(RefusalCode.MALFORMED, "canonical"):
        check_public_key((FIELD_PRIME + 2).to_bytes(32, "little").hex(), "mask key")
    check_public_key(public_key(0), "mask key")


def test_lists_are_sorted_and_unique() -> None:
    check_sorted_unique([], "hospitals")
    check_sorted_unique(["A", "B", "C"], "hospitals")
    with refused(RefusalCode.MALFORMED, "hospitals .*A stands behind B"):
        check_sorted_unique(["B", "A"], "hospitals")
    with refused(RefusalCode.MALFORMED, "A is named twice"):
        check_sorted_unique(["A", "A"], "hospitals")


def test_callers_are_checked_by_role_and_organisation() -> None:
    caller = Caller(organization="AlphaMSP", role=CLIENT)
    caller.require_role(ADMIN, CLIENT)
    with refused(RefusalCode.FORBIDDEN, "admin"):
        caller.require_role(ADMIN)
    caller.require_among(["AlphaMSP"], "a hospital")
    with refused(RefusalCode.FORBIDDEN, "AlphaMSP is not a hospital"):
        caller.require_among(["BetaMSP"], "a hospital")
