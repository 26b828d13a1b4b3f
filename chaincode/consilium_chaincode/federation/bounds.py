"""How many hospitals are enough, and how many may collude: every such number of the protocol in one place.

H hospitals are in the consortium, K in a study, n in a round; T (`max_colluding`) of them may collude.
"""

from __future__ import annotations

from consilium_proto.records import MAX_PUBLICATIONS

MIN_HOSPITALS = 3
"""Below three, a hospital's update follows from the sum and the one other update."""

MAX_AGGREGATORS = MAX_PUBLICATIONS
"""One publication per registered aggregator and round, and soundness is computed for so many."""


def endorsement_quorum(hospitals: int) -> int:
    """Return Q = ceil(2H/3), how many of H hospitals' peers endorse every write."""
    return -(-2 * hospitals // 3)


def majority(voters: int) -> int:
    """Return how many of `voters` are more than half."""
    return voters // 2 + 1


def largest_coalition(participants: int, hospitals: int) -> int:
    """Return the largest T: min(K-2, Q-1).

    With T = K-1 the sum gives away the one honest update; with T = Q the colluders' peers could endorse false writes.
    """
    return min(participants - 2, endorsement_quorum(hospitals) - 1)


def smallest_cohort(max_colluding: int) -> int:
    """Return max(3, T+2): at least two honest hospitals, so that the sum hides each one's update from the colluders."""
    return max(MIN_HOSPITALS, max_colluding + 2)


def attestation_quorum(participants: int, max_colluding: int) -> int:
    """Return max(ceil(2n/3), T+1): more than half, so that one model at most has it, with an honest hospital in it."""
    return max(-(-2 * participants // 3), max_colluding + 1)


MAX_DISPUTED_VALUES = 2**20
"""The most values that a dispute's lists may hold together: 41 bytes each, and a peer answers with 100 MB at most."""


def most_lists(participants: int, max_colluding: int) -> int:
    """Return how many lists a dispute may need: T liars contradict their own vectors, those they witness, and the sum.

    Each hospital's vector has T+1 authors, the sum n.
    """
    vectors = min(participants, max_colluding * (1 + max_colluding))
    return vectors * (max_colluding + 1) + participants


def readmission_quorum(participants: int, max_colluding: int) -> int:
    """Return how many others must readmit a barred party: a majority of the study, and more than can collude.

    With fewer than T+1, colluders could readmit each other after every lie.
    """
    return max(majority(participants), max_colluding + 1)
