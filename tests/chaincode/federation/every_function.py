"""One argument for every function of the contract, that it can decode."""

from __future__ import annotations

from federation_world import (
    ALPHA,
    BETA,
    STUDY,
    anchor,
    attestation,
    consortium,
    fingerprint,
    hash_,
    held,
    join,
    key_epoch,
    listing,
    opening,
    public_key,
    publication,
    reveal,
    terms,
)

from consilium_proto.canonical import Record
from consilium_proto.records import (
    Disproof,
    HospitalKey,
    HospitalReference,
    KeyEpochReference,
    MalformedChunk,
    PrivacyAccountReference,
    ProvedChunk,
    Readmission,
    RoundReference,
    StudyApprovalRequest,
    StudyReference,
)

CHUNK = ProvedChunk(index=0, content="00", path=())
ARGUMENTS: dict[str, Record | bytes] = {
    "ApproveConsortium": consortium(revision=2),
    "EnactConsortium": consortium(revision=2),
    "ReadConsortium": b"",
    "RegisterHospitalKey": HospitalKey(wrapping_key=public_key(1)),
    "ReadHospitalKey": HospitalReference(hospital=ALPHA),
    "ProposeStudy": terms(study="another"),
    "ApproveStudy": StudyApprovalRequest(study=STUDY, terms=hash_(1)),
    "ActivateStudy": StudyReference(study=STUDY),
    "CloseStudy": StudyReference(study=STUDY),
    "ReadStudy": StudyReference(study=STUDY),
    "ListStudies": b"",
    "OpenKeyEpoch": key_epoch(2),
    "OpenRound": opening(round=2),
    "Join": join(),
    "Anchor": anchor(),
    "Hold": held(BETA),
    "Publish": publication(),
    "Reveal": reveal(ALPHA),
    "Fingerprint": fingerprint(ALPHA),
    "List": listing(ALPHA, 1),
    "Disprove": Disproof(study=STUDY, round=1, publication=1, vector=ALPHA, author=BETA, chunk=CHUNK),
    "ProveMalformed": MalformedChunk(study=STUDY, round=1, vector=ALPHA, chunk=CHUNK),
    "ApproveReadmission": Readmission(study=STUDY, party=BETA, round=1),
    "Readmit": Readmission(study=STUDY, party=BETA, round=1),
    "Attest": attestation(),
    "Advance": RoundReference(study=STUDY, round=1),
    "ReadKeyEpoch": KeyEpochReference(study=STUDY, epoch=1),
    "AuthorizeExport": StudyReference(study=STUDY),
    "ReadPrivacyAccount": PrivacyAccountReference(hospital=ALPHA, data_set=hash_(1)),
    "ReadRound": RoundReference(study=STUDY, round=1),
}
