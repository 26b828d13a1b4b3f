"""A hospital's figures of a round: kept in its own folder, and released only as far as its signed policy says."""

from __future__ import annotations

import asyncio
from typing import Any

from consilium_client.site import Site
from consilium_proto.records import RoundPhase, RoundView


async def settle(site: Site, view: RoundView) -> None:
    """Evaluate a decided round on the hospital's held-out rows, note the figures and release what the policy allows."""
    state = view.round
    journal = site.journal.round(state.round)
    if journal.figures().get("settled"):
        return
    spent = await asyncio.to_thread(site.training.settle, view, site.hospital)
    journal.note(
        phase=state.phase.value,
        attempt=state.attempt,
        participants=len(state.participants),
        epsilon_micro=spent,
        decided_at=state.entered / 1000,
    )
    if state.phase is RoundPhase.FINAL and state.model is not None:
        model = site.journal.load_model(state.model)
        if model is not None:
            evaluation = await asyncio.to_thread(site.training.evaluate, model)
            journal.note(metrics=evaluation.metrics())
            _release(site, state.round, {**journal.figures(), "model": state.model}, evaluation.released_scores())
    journal.note(settled=True)


def _release(site: Site, number: int, figures: dict[str, Any], scores: dict[str, Any]) -> None:
    """Write the released part: times and sizes with the metrics, scores of held-out rows only where the policy says."""
    if "metrics" not in site.rule.release:
        return
    document = {**figures, "hospital": site.hospital, "round": number}
    if "held-out-scores" in site.rule.release:
        document["held_out"] = scores
    site.journal.release(number, document)
