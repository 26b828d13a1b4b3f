"""What is in force and pending, for people and for scripts: with who is still to approve, and amounts in tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from consilium_proto.canonical import digest
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.ethereum.resolutions import (
    BridgeDecision,
    BridgeTerms,
    EvmTerms,
    PendingResolution,
    Resolution,
    ResolutionsView,
)

_SHOWN_CHARACTERS = 90


@dataclass(frozen=True, slots=True)
class Waiting:
    """A resolution that could be enacted next: who approved it, who hasn't, how many approvals are missing.

    `digest` is computed here, so that no peer can show one resolution under another's.
    """

    resolution: Resolution
    digest: str
    approved_by: tuple[str, ...]
    waiting_for: tuple[str, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What is in force, what was decided about the bridge in force, and what waits."""

    terms: EvmTerms | None
    bridge: BridgeTerms | None
    decisions: tuple[BridgeDecision, ...]
    pending: tuple[Waiting, ...]


def overview(view: ResolutionsView, hospitals: Sequence[str]) -> Overview:
    """Hold what the ledger says against the hospitals that decide."""
    pending = tuple(_waiting(each, hospitals) for each in view.pending)
    return Overview(view.terms, view.bridge, view.decisions, pending)


def title(resolution: Resolution) -> str:
    """Return what a resolution is called in a sentence."""
    if isinstance(resolution, EvmTerms):
        return f"EVM terms, revision {resolution.revision}"
    if isinstance(resolution, BridgeTerms):
        return f"bridge terms, revision {resolution.revision}"
    return f"decision {resolution.number} about the bridge of revision {resolution.bridge}"


def as_json(found: Overview) -> str:
    """Return all of it as a JSON object; records as the ledger writes them."""
    return json.dumps(msgspec.to_builtins(found), indent=2, ensure_ascii=False)


def as_text(found: Overview) -> str:
    """Return all of it for reading."""
    standing = [each for each in (found.terms, found.bridge, *found.decisions) if each is not None]
    parts = [f"{title(each)}, in force\n{_described(each)}" for each in standing]
    if not standing:
        parts.append("nothing is in force yet")
    parts += [_pending(each) for each in found.pending]
    return "\n\n".join(parts)


def _waiting(pending: PendingResolution, hospitals: Sequence[str]) -> Waiting:
    approved = tuple(each for each in hospitals if each in pending.approved_by)
    waiting = tuple(each for each in hospitals if each not in pending.approved_by)
    # More than half of the hospitals decide.
    missing = max(0, len(hospitals) // 2 + 1 - len(approved))
    return Waiting(pending.resolution, digest(pending.resolution), approved, waiting, missing)


def _pending(each: Waiting) -> str:
    state = f"{each.missing} more approvals needed" if each.missing else "approved by a majority, can be enacted"
    return "\n".join(
        (
            f"{title(each.resolution)}, pending: {state}",
            f"  digest        {each.digest}",
            _described(each.resolution),
            f"  approved by   {', '.join(each.approved_by) or '-'}",
            f"  waiting for   {', '.join(each.waiting_for) or '-'}",
        )
    )


def _described(resolution: Resolution) -> str:
    fields: dict[str, Any] = msgspec.to_builtins(resolution)
    return "\n".join(_lines({name: value for name, value in fields.items() if name != "type"}))


def _lines(fields: dict[str, Any], indent: str = "  ") -> list[str]:
    lines: list[str] = []
    for name, value in fields.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:<16}{_shown(name, value)}")
    return lines


def _shown(name: str, value: object) -> str:
    if name in ("round_cap", "epoch_cap"):
        return f"{tokens_of_amount(str(value))} tokens"
    text = "-" if value is None else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}… ({len(text)} characters)"
