"""What a hospital does next follows from the ledger's state alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from consilium_client.duties import Duty, Situation, begins, needs_model, next_duty, ring_position
from consilium_proto.records import (
    Anchor,
    AnchoredHospital,
    Attestation,
    AttestedModel,
    Deadlines,
    DisprovedListing,
    Fingerprint,
    FingerprintValue,
    HeldVector,
    Join,
    JoinedHospital,
    KeyEpoch,
    Listing,
    MalformedVector,
    Participant,
    ProofNote,
    Reveal,
    RevealedValue,
    Round,
    RoundPhase,
    RoundView,
    Study,
    StudyHead,
    StudyPhase,
    StudyTerms,
    StudyView,
    WitnessedFingerprint,
    WrappedKey,
    WrittenFingerprint,
    WrittenListing,
)

A, B, C = "AMSP", "BMSP", "CMSP"
NOW = 1_000_000
HASH = "ab" * 32

TERMS = StudyTerms(
    study="s",
    purpose="p",
    coordinator=A,
    participants=tuple(Participant(hospital=name, sample_cap=10) for name in (A, B, C)),
    max_colluding=1,
    rounds=2,
    attempts=2,
    deadlines=Deadlines(**dict.fromkeys(Deadlines.__struct_fields__, 10)),
    clock_tolerance=1,
    code=HASH,
    schema=HASH,
    initial_model=HASH,
    parameters=1,
    parameter_set="bfv4096-q58-b20",
    update_bound_micro=1,
    privacy=None,
)
EPOCH = KeyEpoch(
    study="s",
    epoch=1,
    commitment=HASH,
    holders=tuple(WrappedKey(holder=name, encapsulated=HASH, ciphertext="00" * 80) for name in (A, B, C)),
)
HEAD = StudyHead(round=0, undecided=False, last_final_round=0, final_rounds=0, model=HASH, idle_since=NOW, epoch=1)
STUDY = StudyView(
    study=Study(terms=TERMS, proposer=A, phase=StudyPhase.ACTIVE), approvals=(A, B, C), head=HEAD, key_epoch=EPOCH
)


def view(phase: RoundPhase, **changes: object) -> RoundView:
    state = Round(
        study="s",
        round=1,
        phase=phase,
        base=HASH,
        epoch=1,
        attempt=0,
        participants=(A, B, C),
        missing=(),
        publication=1,
        publisher="SumMSP",
        model=None,
        attested_by=(),
        entered=NOW,
        deadline=NOW + 10_000,
    )
    empty = RoundView(round=state, joins=(), anchors=(), publications=(), attestations=(), next_phase=None)
    return changed(empty, **changes)


def situation(round_view: RoundView | None, hospital: str = A, **changes: object) -> Situation:
    base = Situation(STUDY, round_view, hospital, NOW, None)
    return replace(base, **changes)  # type: ignore[arg-type]


def with_phase(phase: StudyPhase) -> StudyView:
    return changed(STUDY, study=changed(STUDY.study, phase=phase))


JOIN = JoinedHospital(hospital=A, join=Join(study="s", round=1, samples=5, mask_key=HASH, chain_end=HASH))
ANCHOR = AnchoredHospital(hospital=A, anchor=Anchor(study="s", round=1, attempt=0, root=HASH, chunks=1, privacy=None))
ONE, TWO = ("0" * 16, "0" * 16), ("0" * 15 + "2", "0" * 16)
REVEAL = RevealedValue(hospital=A, reveal=Reveal(study="s", round=1, publication=1, value=HASH))
ATTESTATION = AttestedModel(hospital=A, attestation=Attestation(study="s", round=1, publication="SumMSP", model=HASH))


def fingerprint(hospital: str, own: FingerprintValue = ONE, witnessed: FingerprintValue = ONE) -> WrittenFingerprint:
    """A is witnessed by B, B by C, C by A."""
    owner = {A: C, B: A, C: B}[hospital]
    entry = WitnessedFingerprint(owner=owner, value=witnessed)
    written = Fingerprint(study="s", round=1, publication=1, own=own, witnessed=(entry,), sum=ONE)
    return WrittenFingerprint(hospital=hospital, fingerprint=written)


def listing(hospital: str, vector: str, value: FingerprintValue) -> WrittenListing:
    return WrittenListing(
        hospital=hospital, listing=Listing(study="s", round=1, publication=1, vector=vector, values=(value,))
    )


FINGERPRINT = fingerprint(A)


@pytest.mark.parametrize(
    ("phase", "before", "done"),
    [
        (RoundPhase.OPEN, Duty.JOIN, {"joins": (JOIN,)}),
        (RoundPhase.SEALED, Duty.ANCHOR, {"anchors": (ANCHOR,)}),
        (RoundPhase.AGGREGATED, Duty.REVEAL, {"reveals": (REVEAL,)}),
        (RoundPhase.CHALLENGED, Duty.FINGERPRINT, {"fingerprints": (FINGERPRINT,)}),
        (RoundPhase.VERIFIED, Duty.ATTEST, {"attestations": (ATTESTATION,)}),
    ],
)
def test_each_phase_asks_for_one_write_and_then_for_patience(
    phase: RoundPhase, before: Duty, done: dict[str, object]
) -> None:
    assert next_duty(situation(view(phase))) is before
    assert next_duty(situation(view(phase, **done))) is Duty.WAIT
    assert next_duty(situation(view(phase, **done, next_phase=RoundPhase.EXPIRED))) is Duty.ADVANCE


@pytest.mark.parametrize("phase", [RoundPhase.OPEN, RoundPhase.SEALED])
def test_nobody_acts_in_a_round_that_a_newer_key_epoch_makes_void(phase: RoundPhase) -> None:
    newer = changed(STUDY, head=changed(HEAD, epoch=2))
    assert next_duty(situation(view(phase), study=newer)) is Duty.WAIT
    assert next_duty(situation(view(phase, next_phase=RoundPhase.VOID), study=newer)) is Duty.ADVANCE
    assert next_duty(situation(view(RoundPhase.ANCHORED), study=newer)) is Duty.UPLOAD


def test_a_new_attempt_needs_a_new_anchor() -> None:
    retried = view(RoundPhase.SEALED, anchors=(ANCHOR,))
    retried = changed(retried, round=changed(retried.round, attempt=1))
    assert next_duty(situation(retried)) is Duty.ANCHOR


def test_uploading_is_repeated_until_it_was_done_for_this_attempt() -> None:
    anchored = view(RoundPhase.ANCHORED, anchors=(ANCHOR,))
    assert next_duty(situation(anchored)) is Duty.UPLOAD
    assert next_duty(situation(anchored, uploaded=(1, 1))) is Duty.UPLOAD
    assert next_duty(situation(anchored, uploaded=(1, 0))) is Duty.HOLD


def test_a_witness_confirms_what_it_holds_or_shows_that_it_is_malformed() -> None:
    held = (HeldVector(owner=C, witness=A),)
    assert next_duty(situation(view(RoundPhase.ANCHORED, held=held), uploaded=(1, 0))) is Duty.WAIT
    others = (HeldVector(owner=A, witness=B), HeldVector(owner=B, witness=C))
    assert next_duty(situation(view(RoundPhase.ANCHORED, held=others), uploaded=(1, 0))) is Duty.HOLD
    shown = (MalformedVector(vector=C, note=ProofNote(shown_by=B, index=0, digest=HASH)),)
    assert next_duty(situation(view(RoundPhase.ANCHORED, malformed=shown), uploaded=(1, 0))) is Duty.WAIT


def test_an_author_of_a_disputed_vector_lists_it_once() -> None:
    """B says that its own vector has another fingerprint than its witness C computed; A has nothing to do with it."""
    written = (fingerprint(A), fingerprint(B, own=TWO), fingerprint(C))
    disputed = view(RoundPhase.LISTING, fingerprints=written)
    assert [next_duty(situation(disputed, name)) for name in (A, B, C)] == [Duty.WAIT, Duty.LIST, Duty.LIST]
    listed = changed(disputed, listings=(listing(C, B, ONE),))
    assert next_duty(situation(listed, C)) is Duty.WAIT


def test_a_newer_key_epoch_or_a_missing_model_keeps_nobody_from_what_is_due_in_a_running_round() -> None:
    """Somebody who opens badly sealed epochs, or withholds a final sum, mustn't keep honest lists out of a dispute."""
    for phase in (RoundPhase.OPEN, RoundPhase.SEALED):
        assert begins(view(phase))
        assert next_duty(situation(view(phase), keyless=True)) is Duty.WAIT
    written = (fingerprint(A), fingerprint(B, own=TWO), fingerprint(C))
    disputed = view(RoundPhase.LISTING, fingerprints=written)
    newer = changed(STUDY, head=changed(HEAD, epoch=2))
    for running, duty in ((disputed, Duty.LIST), (view(RoundPhase.AGGREGATED), Duty.REVEAL)):
        assert next_duty(replace(situation(running, C), study=newer, keyless=True)) is duty
        assert not begins(running)
        assert not needs_model(duty, running)
    assert needs_model(Duty.JOIN, view(RoundPhase.OPEN))
    assert needs_model(Duty.WAIT, view(RoundPhase.FINAL))
    assert not needs_model(Duty.WAIT, disputed)


def test_a_list_that_differs_from_ones_own_is_disproved_by_whoever_holds_the_vector() -> None:
    written = (fingerprint(A), fingerprint(B, own=TWO), fingerprint(C))
    lists = (listing(B, B, TWO), listing(C, B, ONE))
    proving = view(RoundPhase.PROVING, fingerprints=written, listings=lists)
    assert next_duty(situation(proving, A)) is Duty.WAIT
    assert next_duty(situation(proving, C)) is Duty.DISPROVE
    assert next_duty(situation(proving, C, examined=frozenset({(1, B, B)}))) is Duty.WAIT
    note = DisprovedListing(publication=1, vector=B, author=B, note=ProofNote(shown_by=C, index=0, digest=HASH))
    assert next_duty(situation(changed(proving, disproofs=(note,)), C)) is Duty.WAIT
    equal = changed(proving, listings=(listing(B, B, ONE), listing(C, B, ONE)))
    assert next_duty(situation(equal, C)) is Duty.WAIT


def test_who_missed_the_listing_still_disproves_what_is_false() -> None:
    written = (fingerprint(A), fingerprint(B, own=TWO), fingerprint(C))
    proving = view(RoundPhase.PROVING, fingerprints=written, listings=(listing(B, B, TWO),))
    assert next_duty(situation(proving, C)) is Duty.DISPROVE


def test_a_sum_that_gives_no_model_isnt_decrypted_again() -> None:
    assert next_duty(situation(view(RoundPhase.VERIFIED), unusable=True)) is Duty.WAIT


@pytest.mark.parametrize("phase", [phase for phase in RoundPhase if not phase.decided])
def test_after_the_deadline_nothing_is_written_anymore(phase: RoundPhase) -> None:
    late = NOW + 10_001
    assert next_duty(situation(view(phase), now=late)) is Duty.WAIT
    assert next_duty(situation(view(phase, next_phase=RoundPhase.EXPIRED), now=late)) is Duty.ADVANCE


def test_a_hospital_outside_the_round_only_helps_it_on() -> None:
    dropped = view(RoundPhase.SEALED)
    dropped = changed(dropped, round=changed(dropped.round, participants=(A, B)))
    assert next_duty(situation(dropped, C)) is Duty.WAIT
    assert next_duty(situation(changed(dropped, next_phase=RoundPhase.ANCHORED), C)) is Duty.ADVANCE
    assert next_duty(situation(view(RoundPhase.OPEN), "StrangerMSP")) is Duty.WAIT


def test_the_coordinator_opens_and_another_does_when_it_is_silent() -> None:
    assert next_duty(situation(None)) is Duty.OPEN_ROUND
    assert next_duty(situation(None, B)) is Duty.WAIT
    assert next_duty(situation(None, B, now=NOW + 11_001)) is Duty.OPEN_ROUND
    without_key = changed(STUDY, key_epoch=None)
    assert next_duty(situation(None, study=without_key)) is Duty.OPEN_EPOCH
    assert next_duty(situation(None, B, study=without_key)) is Duty.WAIT


def test_a_decided_round_is_followed_by_the_next_until_all_are_final() -> None:
    expired = view(RoundPhase.EXPIRED)
    assert next_duty(situation(expired)) is Duty.OPEN_ROUND
    finished = changed(STUDY, head=changed(HEAD, final_rounds=2))
    assert next_duty(situation(view(RoundPhase.FINAL), study=finished)) is Duty.FINISHED


def test_proposed_and_closed_studies() -> None:
    assert next_duty(situation(None, study=with_phase(StudyPhase.PROPOSED))) is Duty.WAIT
    assert next_duty(situation(None, study=with_phase(StudyPhase.CLOSED))) is Duty.FINISHED


def test_the_ring_turns_so_that_everybody_is_first_in_turn() -> None:
    hospitals = (A, B, C)
    firsts = set()
    for number in range(1, 4):
        state = changed(view(RoundPhase.OPEN).round, round=number)
        positions = {name: ring_position(state, name, hospitals) for name in hospitals}
        assert sorted(positions.values()) == [0, 1, 2]
        firsts.add(min(positions, key=lambda name, of=positions: of[name]))
    assert firsts == set(hospitals)
    assert ring_position(view(RoundPhase.OPEN).round, "StrangerMSP", hospitals) == 3
