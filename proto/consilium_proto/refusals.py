"""Why the federation contract refuses: stable codes that callers act on, in front of a sentence for people."""

from __future__ import annotations

from enum import StrEnum


class RefusalCode(StrEnum):
    """The first word of every refusal's message, followed by a colon."""

    MALFORMED = "MALFORMED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_WRITTEN = "ALREADY_WRITTEN"
    WRONG_PHASE = "WRONG_PHASE"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    CLOCK_SKEW = "CLOCK_SKEW"
    BLOCK_SKEW = "BLOCK_SKEW"
    NOT_YET = "NOT_YET"
    STALE_EPOCH = "STALE_EPOCH"
    CONFLICTING = "CONFLICTING"
    UNSAFE_TERMS = "UNSAFE_TERMS"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"


def refusal_message(code: RefusalCode, explanation: str) -> str:
    """Return the message of a refused transaction."""
    return f"{code.value}: {explanation}"


def refusal_code(message: str) -> RefusalCode | None:
    """Find the refusal code in a peer's error message, which wraps the contract's own; None when there is none."""
    for code in RefusalCode:
        if f"{code.value}: " in message:
            return code
    return None
