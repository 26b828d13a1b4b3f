"""Fabric's validation codes by their numbers, as they stand in blocks."""

from __future__ import annotations

from fabric_protos.peer import transaction_pb2

VALID = "VALID"
_NAMES: dict[int, str] = {number: name for name, number in transaction_pb2.TxValidationCode.items()}


def code_name(number: int) -> str:
    """Return the name of a validation code; one that Fabric doesn't know is named by its number."""
    return _NAMES.get(number, f"CODE_{number}")
