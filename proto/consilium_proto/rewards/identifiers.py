"""How `RewardLedger` names hospitals and rounds: by hashes of 32 bytes."""

from __future__ import annotations

from consilium_proto.rewards.keccak import keccak256


def hospital_identifier(hospital: str) -> bytes:
    """Return a hospital's identifier: keccak256 of its MSP id."""
    return keccak256(hospital.encode())


def round_identifier(study: str, number: int) -> bytes:
    """Return a round's identifier: keccak256 of "STUDY/NUMBER"; no study's name has a slash in it."""
    return keccak256(f"{study}/{number}".encode())
