"""The consortium's transitions."""

from __future__ import annotations

from typing import Any

import pytest
from federation_world import ALPHA, BETA, DELTA, GAMMA, HOSPITALS, consortium, public_key, refused

from consilium_chaincode.federation import consortium as rules
from consilium_proto.records import HospitalKey
from consilium_proto.refusals import RefusalCode


def test_the_first_consortium_needs_every_hospital_it_lists() -> None:
    proposed = consortium()
    rules.check_successor(None, proposed)
    with refused(RefusalCode.NOT_YET, "3 of 4 .*GammaMSP"):
        rules.enact(None, proposed, HOSPITALS[:3])
    assert rules.enact(None, proposed, HOSPITALS) == proposed


def test_a_later_consortium_needs_a_majority_of_the_current_hospitals() -> None:
    proposed = consortium(revision=2, hospitals=(ALPHA, BETA, GAMMA, "OmegaMSP"))
    rules.check_successor(consortium(), proposed)
    assert rules.voters(consortium(), proposed) == HOSPITALS
    with refused(RefusalCode.NOT_YET, "2 of 3"):
        rules.enact(consortium(), proposed, {ALPHA, BETA, "OmegaMSP"})
    assert rules.enact(consortium(), proposed, {ALPHA, BETA, DELTA}) == proposed


@pytest.mark.parametrize(
    ("changes", "code", "match"),
    [
        ({"revision": 1}, RefusalCode.CONFLICTING, "next is 2"),
        ({"revision": 3}, RefusalCode.CONFLICTING, "next is 2"),
        ({"hospitals": (BETA, ALPHA, GAMMA)}, RefusalCode.MALFORMED, "sorted"),
        ({"hospitals": (ALPHA, ALPHA, BETA)}, RefusalCode.MALFORMED, "twice"),
        ({"hospitals": (ALPHA, BETA)}, RefusalCode.MALFORMED, "3 are the least"),
        ({"aggregators": ("B", "A")}, RefusalCode.MALFORMED, "sorted"),
        ({"aggregators": ("A", "B", "C", "D", "E")}, RefusalCode.MALFORMED, "4 are the most"),
        ({"aggregators": (ALPHA,)}, RefusalCode.MALFORMED, "at once"),
    ],
)
def test_a_consortium_that_cannot_follow_is_refused(changes: dict[str, Any], code: RefusalCode, match: str) -> None:
    with refused(code, match):
        rules.check_successor(consortium(), consortium(**{"revision": 2, **changes}))


def test_two_organisations_cannot_found_a_consortium_of_their_own() -> None:
    with refused(RefusalCode.MALFORMED):
        rules.check_successor(None, consortium(hospitals=("RegulatorMSP", "SumMSP"), aggregators=()))


def test_wrapping_keys_of_low_order_are_refused() -> None:
    rules.check_hospital_key(HospitalKey(wrapping_key=public_key(1)))
    with refused(RefusalCode.MALFORMED, "low order"):
        rules.check_hospital_key(HospitalKey(wrapping_key="00" * 32))
