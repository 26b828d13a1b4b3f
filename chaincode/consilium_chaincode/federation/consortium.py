"""The consortium: which organisations are hospitals and aggregators, decided by the hospitals.

The first revision needs every hospital that it lists, a later one a majority of the current hospitals.
"""

from __future__ import annotations

from collections.abc import Collection

from consilium_chaincode.federation.bounds import MAX_AGGREGATORS, MIN_HOSPITALS, majority
from consilium_chaincode.federation.curve_points import check_public_key
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.listings import check_sorted_unique
from consilium_proto.records import Consortium, HospitalKey
from consilium_proto.refusals import RefusalCode


def voters(current: Consortium | None, proposed: Consortium) -> tuple[str, ...]:
    """Return the hospitals that decide about `proposed`: the current ones, or those it lists when it is the first."""
    return proposed.hospitals if current is None else current.hospitals


def approvals_needed(current: Consortium | None, proposed: Consortium) -> int:
    """Return how many voters must approve: all of them at first, a majority later."""
    return len(proposed.hospitals) if current is None else majority(len(current.hospitals))


def check_successor(current: Consortium | None, proposed: Consortium) -> None:
    """Refuse a consortium that can't follow the current one.

    Raises:
        Refused: MALFORMED for lists that aren't sorted and unique, an organisation in both roles, fewer than three
            hospitals or more than four aggregators; CONFLICTING for a revision that isn't the next.
    """
    check_sorted_unique(proposed.hospitals, "hospitals")
    check_sorted_unique(proposed.aggregators, "aggregators")
    both = sorted(set(proposed.hospitals) & set(proposed.aggregators))
    if both:
        raise Refused(RefusalCode.MALFORMED, f"{', '.join(both)} can't be hospital and aggregator at once")
    if len(proposed.hospitals) < MIN_HOSPITALS:
        raise Refused(RefusalCode.MALFORMED, f"{len(proposed.hospitals)} hospitals; {MIN_HOSPITALS} are the least")
    if len(proposed.aggregators) > MAX_AGGREGATORS:
        raise Refused(RefusalCode.MALFORMED, f"{len(proposed.aggregators)} aggregators; {MAX_AGGREGATORS} are the most")
    following = 1 if current is None else current.revision + 1
    if proposed.revision != following:
        raise Refused(RefusalCode.CONFLICTING, f"revision {proposed.revision} can't follow; the next is {following}")


def enact(current: Consortium | None, proposed: Consortium, approved_by: Collection[str]) -> Consortium:
    """Return the new consortium when enough of the voters have approved it; refuse NOT_YET otherwise."""
    deciding = voters(current, proposed)
    approved = [hospital for hospital in deciding if hospital in approved_by]
    needed = approvals_needed(current, proposed)
    if len(approved) < needed:
        waiting = ", ".join(hospital for hospital in deciding if hospital not in approved_by)
        raise Refused(
            RefusalCode.NOT_YET,
            f"{len(approved)} of {needed} approvals of revision {proposed.revision}; not yet approved by {waiting}",
        )
    return proposed


def check_hospital_key(key: HospitalKey) -> None:
    """Refuse a wrapping key of low order or in an encoding that isn't canonical."""
    check_public_key(key.wrapping_key, "wrapping key")
