"""Records and parties that the federation's tests share. Times are milliseconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import pytest

from consilium_chaincode.federation.errors import Refused
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import (
    Anchor,
    Attestation,
    Consortium,
    Deadlines,
    Disproof,
    Fingerprint,
    FingerprintValue,
    Held,
    Join,
    KeyEpoch,
    Listing,
    Opening,
    Participant,
    PrivacyEntry,
    PrivacyTerms,
    ProvedChunk,
    Publication,
    Readmission,
    Reveal,
    Round,
    RoundPhase,
    Study,
    StudyPhase,
    StudyProgress,
    StudyTerms,
    WitnessedFingerprint,
    WrappedKey,
)
from consilium_proto.refusals import RefusalCode
from consilium_proto.reveal_chain import chain_value
from consilium_proto.witnesses import witnessed_by

HOSPITALS = ("AlphaMSP", "BetaMSP", "DeltaMSP", "GammaMSP")
ALPHA, BETA, DELTA, GAMMA = HOSPITALS
AGGREGATORS = ("SumMSP", "TallyMSP")
REGULATOR = "RegulatorMSP"
STUDY = "heart"
NOW = 1_800_000_000_000
TOLERANCE = 5
LENGTH = 60
"""Of every phase, in seconds."""
PHASES = ("open", "sealed", "anchored", "aggregated", "challenged", "listing", "proving", "verified")

MODEL_0, MODEL_1, MODEL_2 = ("0" * 63 + digit for digit in "abc")
PARAMETERS = 20_000
PARAMETER_SET = "bfv4096-q58-b12"
CHUNKS = 2
SAMPLE_CAP = 500


def seconds(count: float) -> int:
    return round(count * 1000)


WITH_SUM = (
    RoundPhase.AGGREGATED,
    RoundPhase.CHALLENGED,
    RoundPhase.LISTING,
    RoundPhase.PROVING,
    RoundPhase.VERIFIED,
)


def hash_(number: int) -> str:
    return f"{number:064x}"


def public_key(number: int) -> str:
    """A canonical X25519 key that isn't of low order."""
    return (9 + number).to_bytes(32, "little").hex()


def refused(code: RefusalCode, match: str = "") -> AbstractContextManager[Any]:
    return pytest.raises(Refused, match=f"^{code}: .*{match}")


def consortium(**changes: Any) -> Consortium:
    return Consortium(**{"hospitals": HOSPITALS, "aggregators": AGGREGATORS, "revision": 1, **changes})


def participants(hospitals: Sequence[str]) -> tuple[Participant, ...]:
    return tuple(Participant(hospital=hospital, sample_cap=SAMPLE_CAP) for hospital in hospitals)


def terms(**changes: Any) -> StudyTerms:
    values: dict[str, Any] = {
        "study": STUDY,
        "purpose": "cardiology",
        "coordinator": ALPHA,
        "participants": participants(HOSPITALS),
        "max_colluding": 1,
        "rounds": 3,
        "attempts": 2,
        "deadlines": Deadlines(**dict.fromkeys(PHASES, LENGTH)),
        "clock_tolerance": TOLERANCE,
        "code": hash_(1),
        "schema": hash_(2),
        "initial_model": MODEL_0,
        "parameters": PARAMETERS,
        "parameter_set": PARAMETER_SET,
        "update_bound_micro": 1_000_000,
        "privacy": None,
    }
    return StudyTerms(**{**values, **changes})


def privacy_terms(**changes: Any) -> PrivacyTerms:
    values = {
        "noise_multiplier_milli": 1100,
        "clip_milli": 1000,
        "delta_numerator": 1,
        "delta_denominator": 1000,
        "epsilon_budget_micro": 3_000_000,
    }
    return PrivacyTerms(**{**values, **changes})


def privacy_entry(**changes: Any) -> PrivacyEntry:
    values = {
        "data_set": hash_(7),
        "sample_rate_numerator": 1,
        "sample_rate_denominator": 10,
        "noise_multiplier_milli": 1100,
        "clip_milli": 1000,
        "steps": 10,
        "delta_numerator": 1,
        "delta_denominator": 1000,
        "epsilon_before_micro": 0,
        "epsilon_after_micro": epsilon_micro([GaussianSteps(1, 10, 1100, 10)], 1, 1000),
    }
    return PrivacyEntry(**{**values, **changes})


def study(phase: StudyPhase = StudyPhase.ACTIVE, **changes: Any) -> Study:
    return Study(terms=terms(**changes), proposer=ALPHA, phase=phase)


def progress(**changes: Any) -> StudyProgress:
    values = {
        "round": 0,
        "undecided": False,
        "last_final_round": 0,
        "final_rounds": 0,
        "model": MODEL_0,
        "idle_since": NOW,
    }
    return StudyProgress(**{**values, **changes})


def key_epoch(epoch: int = 1, hospitals: Sequence[str] = HOSPITALS, name: str = STUDY) -> KeyEpoch:
    wrapped = tuple(
        WrappedKey(holder=hospital, encapsulated=public_key(index), ciphertext="ab" * 80)
        for index, hospital in enumerate(hospitals)
    )
    return KeyEpoch(study=name, epoch=epoch, commitment=hash_(epoch), holders=wrapped)


def opening(**changes: Any) -> Opening:
    return Opening(**{"study": STUDY, "round": 1, "base": MODEL_0, "epoch": 1, **changes})


def round_(phase: RoundPhase = RoundPhase.OPEN, **changes: Any) -> Round:
    """A round that entered `phase` at NOW."""
    values: dict[str, Any] = {
        "study": STUDY,
        "round": 1,
        "phase": phase,
        "base": MODEL_0,
        "epoch": 1,
        "attempt": 0,
        "participants": HOSPITALS,
        "missing": (),
        "publication": 1 if phase in WITH_SUM else 0,
        "publisher": AGGREGATORS[0] if phase in WITH_SUM else None,
        "model": None,
        "attested_by": (),
        "entered": NOW,
        "deadline": 0 if phase.decided else NOW + seconds(TOLERANCE + LENGTH),
    }
    return Round(**{**values, **changes})


def join(number: int = 0, **changes: Any) -> Join:
    values = {"study": STUDY, "round": 1, "samples": 100, "mask_key": public_key(number), "chain_end": hash_(number)}
    return Join(**{**values, **changes})


def chain(hospital: str, publication_: int, number: int = 1, name: str = STUDY) -> str:
    """A value of a hospital's hash chain, from a secret that follows from its name; publication 0 gives its end."""
    return chain_value(name, number, hospital, hospital.encode().ljust(32, b"."), publication_)


def held(owner: str, **changes: Any) -> Held:
    return Held(**{"study": STUDY, "round": 1, "attempt": 0, "owner": owner, **changes})


def reveal(hospital: str, publication_: int = 1, number: int = 1, **changes: Any) -> Reveal:
    value = chain(hospital, publication_, number)
    return Reveal(**{"study": STUDY, "round": number, "publication": publication_, "value": value, **changes})


def value_of(number: int, row: int = 0) -> FingerprintValue:
    """A fingerprint; those of several vectors add up as their numbers do."""
    return f"{number:016x}", f"{number * 3 + row:016x}"


def fingerprint(
    hospital: str, hospitals: Sequence[str] = HOSPITALS, publication_: int = 1, max_colluding: int = 1, **changes: Any
) -> Fingerprint:
    """What an honest hospital writes when the k-th hospital's vector has fingerprint k+1 and the sum is right."""
    numbers = {name: index + 1 for index, name in enumerate(hospitals)}
    witnessed = tuple(
        WitnessedFingerprint(owner=owner, value=value_of(numbers[owner]))
        for owner in witnessed_by(hospitals, hospital, max_colluding)
    )
    values: dict[str, Any] = {
        "study": STUDY,
        "round": 1,
        "publication": publication_,
        "own": value_of(numbers[hospital]),
        "witnessed": witnessed,
        "sum": value_of(sum(numbers.values())),
    }
    return Fingerprint(**{**values, **changes})


def listing(vector: str, total: int, **changes: Any) -> Listing:
    """A list of CHUNKS values that adds up to `total`."""
    values = (value_of(total - CHUNKS + 1), *(value_of(1) for _ in range(CHUNKS - 1)))
    return Listing(**{"study": STUDY, "round": 1, "publication": 1, "vector": vector, "values": values, **changes})


def anchor(number: int = 0, **changes: Any) -> Anchor:
    values = {"study": STUDY, "round": 1, "attempt": 0, "root": hash_(number), "chunks": CHUNKS, "privacy": None}
    return Anchor(**{**values, **changes})


def publication(**changes: Any) -> Publication:
    return Publication(**{"study": STUDY, "round": 1, "attempt": 0, "root": hash_(9), "chunks": CHUNKS, **changes})


def proved_chunk(**changes: Any) -> ProvedChunk:
    return ProvedChunk(**{"index": 0, "content": "00", "path": (hash_(1),), **changes})


def disproof(**changes: Any) -> Disproof:
    values = {"study": STUDY, "round": 1, "publication": 1, "vector": ALPHA, "author": BETA, "chunk": proved_chunk()}
    return Disproof(**{**values, **changes})


def readmission(party: str, number: int = 1) -> Readmission:
    return Readmission(study=STUDY, party=party, round=number)


def attestation(**changes: Any) -> Attestation:
    return Attestation(**{"study": STUDY, "round": 1, "publication": AGGREGATORS[0], "model": MODEL_1, **changes})
