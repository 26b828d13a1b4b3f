"""What hospitals and aggregators write in a round, and when: each once, under a key of its own."""

from __future__ import annotations

from collections.abc import Collection

from consilium_chaincode.federation.curve_points import check_public_key
from consilium_chaincode.federation.deadlines import check_in_time
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.round import expected_holders
from consilium_chaincode.federation.study import chunk_count, sample_cap
from consilium_chaincode.privacy.account import check_entry
from consilium_proto.records import (
    Anchor,
    Attestation,
    Join,
    Publication,
    Round,
    RoundPhase,
    StudyTerms,
)
from consilium_proto.refusals import RefusalCode


def check_join(terms: StudyTerms, state: Round, hospital: str, join: Join, timestamp: int) -> None:
    """Refuse a join out of phase or time, above the approved sample cap, or with a mask key of low order."""
    require_phase(state, RoundPhase.OPEN)
    check_in_time(timestamp, state.deadline)
    cap = sample_cap(terms, hospital)
    if join.samples > cap:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"{hospital} claims {join.samples} samples and the study's terms allow it {cap}; join with at most {cap}",
        )
    check_public_key(join.mask_key, "mask key")


def check_anchor(terms: StudyTerms, state: Round, anchor: Anchor, earlier: Anchor | None, timestamp: int) -> None:
    """Refuse an anchor out of phase, attempt or time, of another size than the terms', or with another privacy entry.

    `earlier` is the same hospital's anchor in the attempt before. A retry encrypts the same stored update again, so it
    must cost the same privacy, once.
    """
    require_phase(state, RoundPhase.SEALED)
    require_attempt(state, anchor.attempt)
    check_in_time(timestamp, state.deadline)
    _check_chunks(terms, anchor.chunks)
    check_entry(terms.privacy, anchor.privacy)
    if earlier is not None and anchor.privacy != earlier.privacy:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the privacy entry differs from attempt {earlier.attempt}'s; a retry anchors the same update again",
        )


def check_publication(
    terms: StudyTerms,
    state: Round,
    publisher: str,
    publication: Publication,
    held: Collection[tuple[str, str]],
    barred: Collection[str],
    timestamp: int,
) -> None:
    """Refuse a publication out of phase, attempt or time, of another size, by a barred party, or before all is held.

    What is published can't be changed or withdrawn, and an aggregator publishes once in a round: a second sum over
    another set would differ from the first by one hospital's update (`test_a_second_publication_is_refused`).

    Args:
        held: (owner, witness) of every vector that is confirmed.
        barred: who may not publish in this study.
    """
    require_phase(state, RoundPhase.ANCHORED)
    require_attempt(state, publication.attempt)
    if publisher in barred:
        raise Refused(
            RefusalCode.FORBIDDEN, f"{publisher} is barred from study {state.study}: it was proved to have lied"
        )
    check_in_time(timestamp, state.deadline)
    _check_chunks(terms, publication.chunks)
    for owner, witness in expected_holders(terms, state):
        if (owner, witness) not in held:
            raise Refused(
                RefusalCode.NOT_YET, f"{witness} hasn't confirmed {owner}'s vector; a sum is of everything that is held"
            )


def check_attestation(state: Round, attestation: Attestation, timestamp: int) -> None:
    """Refuse an attestation out of phase or time, or about another publication than the round's.

    It is the first write that follows from decrypting, and decrypting waits for VERIFIED: whoever decrypts and acts on
    what anybody publishes answers questions about the secret key (`test_nobody_decrypts_a_crafted_ciphertext`).
    """
    require_phase(state, RoundPhase.VERIFIED)
    if attestation.publication != state.publisher:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the round's publication is {state.publisher}'s, not {attestation.publication}'s; attest to that one",
        )
    check_in_time(timestamp, state.deadline)


def require_phase(state: Round, phase: RoundPhase) -> None:
    """Refuse a write that belongs to another phase."""
    if state.phase is not phase:
        raise Refused(
            RefusalCode.WRONG_PHASE,
            f"round {state.round} of {state.study} is {state.phase}; this is written in {phase}",
        )


def require_attempt(state: Round, attempt: int) -> None:
    """Refuse a write that belongs to another attempt."""
    if attempt != state.attempt:
        raise Refused(RefusalCode.WRONG_PHASE, f"round {state.round} is in attempt {state.attempt}, not {attempt}")


def _check_chunks(terms: StudyTerms, chunks: int) -> None:
    expected = chunk_count(terms)
    if chunks != expected:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"{chunks} chunks; {terms.parameters} parameters in parameter set {terms.parameter_set} make {expected}",
        )
