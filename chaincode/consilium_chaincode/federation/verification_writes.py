"""What hospitals write between ANCHORED and VERIFIED, and when: each once, under a key of its own."""

from __future__ import annotations

from collections.abc import Mapping

from consilium_chaincode.federation.deadlines import check_in_time
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.round_writes import require_attempt, require_phase
from consilium_chaincode.federation.study import chunk_count
from consilium_chaincode.federation.verification import authors_of, expected_owners
from consilium_proto.errors import WireError
from consilium_proto.fingerprint import add, from_record, to_record
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import (
    Disproof,
    Fingerprint,
    FingerprintValue,
    Held,
    Join,
    Listing,
    Reveal,
    Round,
    RoundPhase,
    StudyTerms,
)
from consilium_proto.refusals import RefusalCode
from consilium_proto.reveal_chain import reveals

SUM_PHASES = (RoundPhase.AGGREGATED, RoundPhase.CHALLENGED, RoundPhase.LISTING, RoundPhase.PROVING)
"""While a published sum can be shown to be malformed: until it is verified."""


def check_held(terms: StudyTerms, state: Round, witness: str, held: Held, timestamp: int) -> None:
    """Refuse a confirmation out of phase, attempt or time, or by somebody who doesn't witness that vector."""
    require_phase(state, RoundPhase.ANCHORED)
    require_attempt(state, held.attempt)
    witnessed = expected_owners(terms, state, witness)
    if held.owner not in witnessed:
        raise Refused(
            RefusalCode.FORBIDDEN, f"{witness} witnesses {', '.join(witnessed)}, not {held.owner}, in this round"
        )
    check_in_time(timestamp, state.deadline)


def check_reveal(state: Round, hospital: str, join: Join, reveal: Reveal, timestamp: int) -> None:
    """Refuse a value out of phase or time, for another publication, or that isn't on the hospital's hash chain.

    The chain's end was fixed before anything was anchored, so nobody can choose a value once it sees a sum or the other
    values: whoever doesn't like the challenge can only fall silent (`test_withheld_nonces_end_the_round`).
    """
    require_phase(state, RoundPhase.AGGREGATED)
    _require_publication(state, reveal.publication)
    check_in_time(timestamp, state.deadline)
    if not reveals(state.study, state.round, hospital, join.chain_end, reveal.publication, reveal.value):
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the value isn't {reveal.publication} steps before the end of the chain that {hospital} joined with",
        )


def check_fingerprint(terms: StudyTerms, state: Round, hospital: str, written: Fingerprint, timestamp: int) -> None:
    """Refuse fingerprints out of phase or time, for another publication, of other vectors, or that aren't below q."""
    require_phase(state, RoundPhase.CHALLENGED)
    _require_publication(state, written.publication)
    check_in_time(timestamp, state.deadline)
    owners = tuple(entry.owner for entry in written.witnessed)
    expected = expected_owners(terms, state, hospital)
    if owners != expected:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"{hospital} witnesses {', '.join(expected)} in this round, in this order; not {', '.join(owners)}",
        )
    values = [written.own, *(entry.value for entry in written.witnessed)]
    for value in values if written.sum is None else [*values, written.sum]:
        _check_value(terms, value)


def check_listing(
    terms: StudyTerms,
    state: Round,
    author: str,
    listing: Listing,
    claims: Mapping[str, FingerprintValue],
    timestamp: int,
) -> None:
    """Refuse a list out of phase or time, of an undisputed vector, by a stranger, or that adds up to something else.

    Because it must add up to what its author wrote, a list behind a false value is false in at least one chunk
    (`test_a_list_that_doesnt_add_up_is_refused`).

    Args:
        claims: what each author wrote of the vector.
    """
    require_phase(state, RoundPhase.LISTING)
    _require_publication(state, listing.publication)
    check_in_time(timestamp, state.deadline)
    if author not in claims:
        raise Refused(RefusalCode.FORBIDDEN, f"{author} wrote no fingerprint of {listing.vector}'s vector")
    if len(set(claims.values())) < 2:
        raise Refused(RefusalCode.CONFLICTING, f"nobody contradicts anybody about {listing.vector}'s vector")
    expected = chunk_count(terms)
    if len(listing.values) != expected:
        raise Refused(RefusalCode.CONFLICTING, f"{len(listing.values)} values; the vector has {expected} chunks")
    for value in listing.values:
        _check_value(terms, value)
    chosen = parameter_set(terms.parameter_set)
    total = to_record(add((from_record(value, chosen) for value in listing.values), chosen))
    if total != claims[author]:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the list adds up to {'/'.join(total)}, and {author} wrote {'/'.join(claims[author])}",
        )


def check_disproof(state: Round, disproof: Disproof, listing: Listing | None, timestamp: int) -> Listing:
    """Return the list that a disproof is about; refuse it out of phase or time, or where there is no such list."""
    require_phase(state, RoundPhase.PROVING)
    _require_publication(state, disproof.publication)
    check_in_time(timestamp, state.deadline)
    if listing is None:
        raise Refused(RefusalCode.NOT_FOUND, f"{disproof.author} listed nothing of {disproof.vector}'s vector")
    if disproof.chunk.index >= len(listing.values):
        raise Refused(RefusalCode.CONFLICTING, f"there is no chunk {disproof.chunk.index} in that list")
    return listing


def require_false(disproof: Disproof, listing: Listing, computed: FingerprintValue) -> None:
    """Refuse a chunk that has the very fingerprint that was listed.

    `test_a_chunk_that_disproves_nothing_is_refused` plays it.
    """
    if listing.values[disproof.chunk.index] == computed:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"chunk {disproof.chunk.index} has the fingerprint that {disproof.author} listed: it disproves nothing",
        )


def check_malformed_phase(state: Round, vector: str, timestamp: int) -> str:
    """Return the label of a vector ("update" or "sum") that may be shown to be malformed in this phase.

    An anchored vector in ANCHORED, while witnesses look at it; the published sum until it is verified.
    """
    if vector == state.publisher:
        if state.phase not in SUM_PHASES:
            raise Refused(RefusalCode.WRONG_PHASE, f"round {state.round} is {state.phase}; the sum stands as it is")
        label = "sum"
    else:
        require_phase(state, RoundPhase.ANCHORED)
        if vector not in state.participants:
            raise Refused(RefusalCode.NOT_FOUND, f"{vector} has neither anchored nor published in this round")
        label = "update"
    check_in_time(timestamp, state.deadline)
    return label


def disputed_authors(terms: StudyTerms, state: Round, vector: str) -> tuple[str, ...]:
    """Return who may have written a value of a vector; refuse a vector that there isn't."""
    if vector != state.publisher and vector not in state.participants:
        raise Refused(RefusalCode.NOT_FOUND, f"round {state.round} of {state.study} has no vector of {vector}")
    return authors_of(terms, state, vector)


def _require_publication(state: Round, publication: int) -> None:
    if publication != state.publication:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"round {state.round}'s publication is number {state.publication}, not {publication}",
        )


def _check_value(terms: StudyTerms, value: FingerprintValue) -> None:
    try:
        from_record(value, parameter_set(terms.parameter_set))
    except WireError as error:
        raise Refused(RefusalCode.MALFORMED, str(error)) from None
