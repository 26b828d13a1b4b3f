"""The contract on a ledger: who may, what is written under which key, which event, and every refusal by its code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from federation_ledger import VALID, FederationLedger
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
    NOW,
    REGULATOR,
    STUDY,
    TOLERANCE,
    anchor,
    attestation,
    chain,
    consortium,
    fingerprint,
    hash_,
    held,
    join,
    key_epoch,
    opening,
    participants,
    public_key,
    publication,
    reveal,
    seconds,
    terms,
)

from consilium_chaincode.shim.memory_stub import Simulation
from consilium_proto.canonical import Record, digest, encode
from consilium_proto.records import (
    Consortium,
    EventName,
    HospitalKey,
    HospitalReference,
    RoundPhase,
    RoundReference,
    StudyApprovalRequest,
    StudyList,
    StudyPhase,
    StudyReference,
)
from consilium_proto.refusals import RefusalCode

ROUND = RoundReference(study=STUDY, round=1)
THE_STUDY = StudyReference(study=STUDY)
APPROVAL = StudyApprovalRequest(study=STUDY, terms=digest(terms()))


def test_two_rounds_from_the_consortium_to_the_second_model(channel: FederationLedger) -> None:
    for number, model in ((1, MODEL_1), (2, MODEL_2)):
        channel.wait(1000)
        channel.open_round()
        channel.reach_sealed(number=number)
        channel.reach_anchored(number=number)
        channel.reach_aggregated(number=number)
        channel.reach_verified(number=number)
        channel.reach_final(model, number=number)
        view = channel.round(number)
        assert (view.round.phase, view.round.model, view.round.attested_by) == (RoundPhase.FINAL, model, HOSPITALS)
        assert view.round.publisher == AGGREGATORS[0]
        assert view.next_phase is None
        head = channel.study().head
        assert (head.round, head.last_final_round, head.final_rounds, head.model) == (number, number, number, model)
        assert (head.undecided, head.idle_since, head.epoch) == (False, channel.now, 1)
    assert channel.round(1).round.base == MODEL_0
    assert channel.round(2).round.base == MODEL_1
    study = [EventName.CONSORTIUM_ENACTED, EventName.STUDY_PROPOSED] + [EventName.STUDY_APPROVED] * 4
    study += [EventName.STUDY_ACTIVATED, EventName.KEY_EPOCH_OPENED]
    round_ = [EventName.ROUND_OPENED] + [EventName.HOSPITAL_JOINED] * 4 + [EventName.ROUND_SEALED]
    round_ += [EventName.UPDATE_ANCHORED] * 4 + [EventName.UPDATES_ANCHORED]
    round_ += [EventName.UPDATE_HELD] * 4 + [EventName.SUM_PUBLISHED, EventName.SUM_AGGREGATED]
    round_ += [EventName.VALUE_REVEALED] * 4 + [EventName.ROUND_CHALLENGED]
    round_ += [EventName.FINGERPRINT_WRITTEN] * 4 + [EventName.SUM_VERIFIED]
    round_ += [EventName.MODEL_ATTESTED] * 4 + [EventName.ROUND_FINAL]
    assert channel.events == study + round_ * 2


def test_a_view_has_what_everybody_wrote_and_what_advance_would_do(channel: FederationLedger) -> None:
    channel.open_round()
    channel.submit("Join", join(3), BETA)
    view = channel.round()
    assert [(entry.hospital, entry.join) for entry in view.joins] == [(BETA, join(3))]
    assert view.next_phase is None
    for index, hospital in enumerate((ALPHA, DELTA)):
        channel.submit("Join", join(index), hospital)
    channel.wait(seconds(LENGTH + 3 * TOLERANCE))
    assert channel.round().next_phase is RoundPhase.SEALED
    channel.advance()
    for index, hospital in enumerate((ALPHA, BETA)):
        channel.submit("Anchor", anchor(index), hospital)
    view = channel.round()
    assert [entry.hospital for entry in view.anchors] == [ALPHA, BETA]
    assert view.round.missing == (GAMMA,)
    channel.wait(seconds(LENGTH + 3 * TOLERANCE))
    assert channel.round().next_phase is RoundPhase.EXPIRED
    assert channel.advance().ended_in is RoundPhase.SEALED
    assert [entry.hospital for entry in channel.round().anchors] == [ALPHA, BETA]


def test_a_retry_goes_on_without_the_missing_to_the_end(channel: FederationLedger) -> None:
    channel.open_round()
    channel.reach_sealed()
    for hospital in HOSPITALS[:3]:
        channel.submit("Anchor", anchor(), hospital)
    channel.wait(seconds(LENGTH + 3 * TOLERANCE))
    retried = channel.advance()
    assert (retried.phase, retried.attempt, retried.participants) == (RoundPhase.SEALED, 1, HOSPITALS[:3])
    assert channel.events[-1] == EventName.ATTEMPT_STARTED
    channel.refuse(RefusalCode.FORBIDDEN, "Anchor", anchor(attempt=1), GAMMA)
    channel.reach_anchored(HOSPITALS[:3], attempt=1)
    assert len(channel.round().anchors) == 6
    channel.reach_aggregated(attempt=1)
    channel.reach_verified()
    channel.refuse(RefusalCode.FORBIDDEN, "Attest", attestation(), GAMMA)
    channel.reach_final(MODEL_1, HOSPITALS[:3])
    assert channel.round().round.attested_by == HOSPITALS[:3]


def test_another_participant_opens_the_round_that_the_coordinator_does_not(channel: FederationLedger) -> None:
    channel.refuse(RefusalCode.NOT_YET, "OpenRound", opening(), BETA)
    channel.wait(seconds(LENGTH) + 1)
    channel.submit("OpenRound", opening(), BETA)


WRITES: list[tuple[str, Record, str, str]] = [
    ("ApproveConsortium", consortium(revision=2), ALPHA, "admin"),
    ("EnactConsortium", consortium(revision=2), ALPHA, "admin"),
    ("RegisterHospitalKey", HospitalKey(wrapping_key=public_key(1)), ALPHA, "client"),
    ("ProposeStudy", terms(study="second"), ALPHA, "admin"),
    ("ApproveStudy", APPROVAL, ALPHA, "admin"),
    ("ActivateStudy", THE_STUDY, ALPHA, "client"),
    ("CloseStudy", THE_STUDY, ALPHA, "admin"),
    ("OpenKeyEpoch", key_epoch(2), ALPHA, "client"),
    ("OpenRound", opening(round=2), ALPHA, "client"),
    ("Join", join(), ALPHA, "client"),
    ("Anchor", anchor(), ALPHA, "client"),
    ("Publish", publication(), AGGREGATORS[0], "client"),
    ("Attest", attestation(), ALPHA, "client"),
    ("Advance", ROUND, ALPHA, "client"),
]


@pytest.mark.parametrize(("function", "record", "organization", "role"), WRITES)
def test_strangers_and_wrong_roles_may_write_nothing(
    channel: FederationLedger, function: str, record: Record, organization: str, role: str
) -> None:
    channel.open_round()
    others = [REGULATOR, "StrangerMSP", "bad_name\x00MSP", ""]
    others += [ALPHA] if organization in AGGREGATORS else [*AGGREGATORS]
    for other in others:
        channel.refuse(RefusalCode.FORBIDDEN, function, record, other, role)
    either = function in ("ActivateStudy", "Advance")
    for wrong in ("peer", "orderer", "") if either else ("peer", "orderer", "", {"admin": "client"}.get(role, "admin")):
        channel.refuse(RefusalCode.FORBIDDEN, function, record, organization, wrong)


@pytest.mark.parametrize(("function", "record", "organization", "role"), WRITES)
@pytest.mark.parametrize("direction", [-1, 1])
def test_every_write_checks_the_clock(
    channel: FederationLedger, function: str, record: Record, organization: str, role: str, direction: int
) -> None:
    channel.open_round()
    outside_studies = function in ("ApproveConsortium", "EnactConsortium", "RegisterHospitalKey", "ProposeStudy")
    tolerance = seconds(60 if outside_studies else TOLERANCE)
    skew = direction * (tolerance + 1)
    channel.refuse(RefusalCode.CLOCK_SKEW, function, record, organization, role, skew)


@pytest.mark.parametrize(("function", "record", "organization", "role"), WRITES)
@pytest.mark.parametrize("argument", [b"", b"{}", b"[]", b"\xff\xfe", b"null", b"[" * 100_000, b'{"protocol":2}'])
def test_arguments_that_are_not_the_record_are_malformed(
    channel: FederationLedger, function: str, record: Record, organization: str, role: str, argument: bytes
) -> None:
    channel.refuse(RefusalCode.MALFORMED, function, argument, organization, role)


@pytest.mark.parametrize(("function", "record", "organization", "role"), WRITES)
def test_arguments_that_are_not_canonical_are_malformed(
    channel: FederationLedger, function: str, record: Record, organization: str, role: str
) -> None:
    canonical = encode(record)
    for other in (
        canonical + b" ",
        canonical + b"\n",
        canonical.replace(b":", b": "),
        b'{"author":"x",' + canonical[1:],
    ):
        channel.refuse(RefusalCode.MALFORMED, function, other, organization, role)


@pytest.mark.parametrize(
    ("function", "record", "role"),
    [
        ("ApproveStudy", StudyApprovalRequest(study="other", terms=hash_(1)), "admin"),
        ("ActivateStudy", StudyReference(study="other"), "client"),
        ("CloseStudy", StudyReference(study="other"), "admin"),
        ("ReadStudy", StudyReference(study="other"), "client"),
        ("OpenKeyEpoch", key_epoch(name="other"), "client"),
        ("OpenRound", opening(study="other"), "client"),
        ("Join", join(study="other"), "client"),
        ("Join", join(), "client"),
        ("Anchor", anchor(), "client"),
        ("Attest", attestation(), "client"),
        ("Advance", ROUND, "client"),
        ("ReadRound", ROUND, "client"),
        ("ReadHospitalKey", HospitalReference(hospital=ALPHA), "client"),
    ],
)
def test_what_is_not_there_is_not_found(channel: FederationLedger, function: str, record: Record, role: str) -> None:
    channel.refuse(RefusalCode.NOT_FOUND, function, record, ALPHA, role)


def test_nothing_works_before_a_consortium_is_enacted() -> None:
    empty = FederationLedger()
    empty.refuse(RefusalCode.NOT_FOUND, "ReadConsortium", b"", ALPHA)
    empty.refuse(RefusalCode.NOT_FOUND, "ProposeStudy", terms(), ALPHA, "admin")
    empty.submit("ApproveConsortium", consortium(), ALPHA, "admin")
    empty.refuse(RefusalCode.NOT_YET, "EnactConsortium", consortium(), ALPHA, "admin", match="BetaMSP")
    empty.refuse(RefusalCode.ALREADY_WRITTEN, "ApproveConsortium", consortium(), ALPHA, "admin")


def test_the_consortium_is_revised_by_a_majority(channel: FederationLedger) -> None:
    revised = consortium(revision=2, hospitals=HOSPITALS[:3])
    for hospital in (ALPHA, BETA):
        channel.submit("ApproveConsortium", revised, hospital, "admin")
    channel.refuse(RefusalCode.NOT_YET, "EnactConsortium", revised, ALPHA, "admin")
    channel.submit("ApproveConsortium", revised, GAMMA, "admin")
    channel.submit("EnactConsortium", revised, GAMMA, "admin")
    assert channel.evaluate(Consortium, "ReadConsortium", b"", REGULATOR, "auditor") == revised
    channel.refuse(RefusalCode.CONFLICTING, "EnactConsortium", revised, ALPHA, "admin")
    channel.refuse(RefusalCode.FORBIDDEN, "RegisterHospitalKey", HospitalKey(wrapping_key=public_key(1)), GAMMA)
    channel.refuse(RefusalCode.MALFORMED, "ReadConsortium", b"{}", ALPHA)


def test_a_hospital_replaces_its_own_key(channel: FederationLedger) -> None:
    for number in (1, 2):
        key = HospitalKey(wrapping_key=public_key(number))
        channel.submit("RegisterHospitalKey", key, BETA)
        read = channel.evaluate(HospitalKey, "ReadHospitalKey", HospitalReference(hospital=BETA), REGULATOR, "auditor")
        assert read == key
    channel.refuse(RefusalCode.MALFORMED, "RegisterHospitalKey", HospitalKey(wrapping_key="00" * 32), BETA)


def test_studies_are_proposed_once_approved_by_terms_and_listed(channel: FederationLedger) -> None:
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "ProposeStudy", terms(), BETA, "admin")
    channel.refuse(RefusalCode.UNSAFE_TERMS, "ProposeStudy", terms(study="b", max_colluding=3), BETA, "admin")
    second = terms(study="a-second", coordinator=BETA)
    channel.submit("ProposeStudy", second, GAMMA, "admin")
    request = StudyApprovalRequest(study="a-second", terms=digest(second))
    unread = StudyApprovalRequest(study="a-second", terms=hash_(3))
    channel.refuse(RefusalCode.CONFLICTING, "ApproveStudy", unread, ALPHA, "admin")
    channel.submit("ApproveStudy", request, ALPHA, "admin")
    channel.refuse(RefusalCode.ALREADY_WRITTEN, "ApproveStudy", request, ALPHA, "admin")
    channel.refuse(RefusalCode.NOT_YET, "ActivateStudy", StudyReference(study="a-second"), ALPHA)
    channel.refuse(RefusalCode.FORBIDDEN, "CloseStudy", StudyReference(study="a-second"), ALPHA, "admin")
    channel.submit("CloseStudy", StudyReference(study="a-second"), BETA, "admin")
    assert channel.evaluate(StudyList, "ListStudies", b"").studies == ("a-second", STUDY)
    channel.refuse(RefusalCode.MALFORMED, "ListStudies", b"{}", ALPHA)


def test_a_study_closes_between_rounds_only(channel: FederationLedger) -> None:
    assert channel.study().approvals == HOSPITALS
    channel.open_round()
    channel.refuse(RefusalCode.WRONG_PHASE, "CloseStudy", THE_STUDY, ALPHA, "admin")
    channel.wait(seconds(LENGTH + 3 * TOLERANCE))
    assert channel.advance().phase is RoundPhase.EXPIRED
    channel.submit("CloseStudy", THE_STUDY, ALPHA, "admin")
    assert channel.study().study.phase is StudyPhase.CLOSED
    channel.refuse(RefusalCode.WRONG_PHASE, "OpenRound", opening(round=2), ALPHA)
    channel.refuse(RefusalCode.WRONG_PHASE, "OpenKeyEpoch", key_epoch(2), ALPHA)


def test_hospitals_that_do_not_hold_the_rounds_key_cannot_join(channel: FederationLedger) -> None:
    channel.submit("OpenKeyEpoch", key_epoch(2, HOSPITALS[:3]), BETA)
    assert channel.study().key_epoch == key_epoch(2, HOSPITALS[:3])
    channel.open_round()
    channel.refuse(RefusalCode.FORBIDDEN, "Join", join(), GAMMA)
    channel.reach_sealed(HOSPITALS[:3])


def test_a_hospital_outside_the_study_may_advance_but_not_take_part() -> None:
    outside = FederationLedger()
    outside.found()
    outside.start_study(terms(participants=participants(HOSPITALS[:3])))
    outside.open_round()
    outside.refuse(RefusalCode.FORBIDDEN, "Join", join(), GAMMA)
    outside.refuse(RefusalCode.FORBIDDEN, "OpenRound", opening(round=2), GAMMA)
    outside.refuse(RefusalCode.FORBIDDEN, "OpenKeyEpoch", key_epoch(2, HOSPITALS[:3]), GAMMA)
    for index, hospital in enumerate(HOSPITALS[:3]):
        outside.submit("Join", join(index), hospital)
    assert outside.advance(organization=GAMMA).phase is RoundPhase.SEALED


def test_advance_answers_not_yet_and_says_when_it_moved(channel: FederationLedger) -> None:
    channel.open_round()
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    channel.wait(seconds(LENGTH + 3 * TOLERANCE) - 1)
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    channel.wait(1)
    moved = channel.advance()
    assert (moved.phase, moved.entered, moved.deadline) == (RoundPhase.EXPIRED, channel.now, 0)
    channel.refuse(RefusalCode.NOT_YET, "Advance", ROUND, ALPHA)
    assert moved.entered > NOW


SECOND = AGGREGATORS[1]
# In ring order each hospital witnesses the one before it.
WITNESSED = dict(zip(HOSPITALS, (GAMMA, ALPHA, BETA, DELTA), strict=True))
Write = tuple[str, Record, str, list[tuple[str, ...]]]
ADVANCED: Write = ("Advance", ROUND, ALPHA, [("round", STUDY, "1")])


def by_each(function: str, record: Callable[[str], Record], key: Callable[[str], tuple[str, ...]]) -> list[Write]:
    return [(function, record(name), name, [key(name)]) for name in HOSPITALS]


EXPECTED_WRITES: list[Write] = [
    ("OpenRound", opening(), ALPHA, [("round", STUDY, "1"), ("study-progress", STUDY)]),
    *by_each("Join", lambda name: join(chain_end=chain(name, 0)), lambda name: ("join", STUDY, "1", name)),
    ADVANCED,
    *by_each("Anchor", lambda name: anchor(HOSPITALS.index(name)), lambda name: ("anchor", STUDY, "1", "0", name)),
    ADVANCED,
    *by_each("Hold", lambda name: held(WITNESSED[name]), lambda name: ("held", STUDY, "1", "0", WITNESSED[name], name)),
    ("Publish", publication(), SECOND, [("publication", STUDY, "1", SECOND)]),
    ADVANCED,
    *by_each("Reveal", reveal, lambda name: ("reveal", STUDY, "1", "1", name)),
    ADVANCED,
    *by_each("Fingerprint", fingerprint, lambda name: ("fingerprint", STUDY, "1", "1", name)),
    ADVANCED,
    *by_each(
        "Attest", lambda _: attestation(publication=SECOND), lambda name: ("attestation", STUDY, "1", SECOND, name)
    ),
    ("Advance", ROUND, ALPHA, [("round", STUDY, "1"), ("study-progress", STUDY)]),
    ("OpenKeyEpoch", key_epoch(2), BETA, [("current-epoch", STUDY), ("key-epoch", STUDY, "2")]),
]


def test_only_advance_and_open_round_write_a_rounds_state_and_everybody_else_keys_of_their_own(
    channel: FederationLedger,
) -> None:
    for function, record, organization, keys in EXPECTED_WRITES:
        simulation = channel.propose(function, record, organization)
        assert isinstance(simulation, Simulation), simulation
        written = sorted(tuple(part for part in key.split("\x00") if part) for _, key in simulation.writes)
        assert written == sorted(keys), function
        assert channel.commit(simulation) == [VALID]


def test_the_first_of_equal_writes_stays(channel: FederationLedger) -> None:
    channel.open_round()
    written: list[tuple[str, Record, str, Callable[[], None]]] = [
        ("Join", join(), ALPHA, channel.reach_sealed),
        ("Anchor", anchor(), ALPHA, channel.reach_anchored),
        ("Publish", publication(), AGGREGATORS[0], channel.reach_aggregated),
        ("Reveal", reveal(ALPHA), ALPHA, channel.reach_challenged),
        ("Fingerprint", fingerprint(ALPHA), ALPHA, channel.fingerprint_all),
        ("Attest", attestation(), ALPHA, lambda: channel.reach_final(MODEL_1)),
    ]
    for function, record, organization, reach in written:
        reach()
        channel.refuse(RefusalCode.ALREADY_WRITTEN, function, record, organization)
