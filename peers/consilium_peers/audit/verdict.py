"""The answer of a verification, for people and for programs."""

from __future__ import annotations

from typing import Any

from consilium_peers.audit.exporter import Exporter
from consilium_trail.verification.results import RoundProof, Verdict, Verification


def as_document(found: Verification, exporter: Exporter | None, reports: str, seconds: float) -> dict[str, Any]:
    """Return the answer as plain values.

    Args:
        found: the verifier's answer.
        exporter: who signed; None unless the trail is sound.
        reports: what became of the comparison of the reports; "" when they weren't looked at.
        seconds: how long the verification took, the reports' comparison apart.
    """
    finding, counts = found.finding, found.counts
    return {
        "verdict": found.verdict.value,
        "finding": None
        if finding is None
        else {
            "step": None if finding.step is None else finding.step.value,
            "check": None if finding.step is None else finding.step.name.lower(),
            "block": finding.place.block,
            "transaction": finding.place.transaction,
            "tx_id": finding.place.tx_id or None,
            "file": finding.place.file or None,
            "reason": finding.reason,
        },
        "channel": found.channel,
        "study": found.study,
        "genesis": found.genesis,
        "genesis_trusted": found.genesis_trusted,
        "exporter": found.exporter,
        "exporter_name": None if exporter is None else exporter.name,
        "exporter_role": None if exporter is None else exporter.role or None,
        "remark": None if exporter is None else exporter.remark or None,
        "verified": {
            "blocks": counts.blocks,
            "transactions": counts.transactions,
            "endorsements": counts.endorsements,
            "orderer_signatures": counts.orderer_signatures,
            "not_replayed": counts.not_replayed,
            "seconds": seconds,
        },
        "reports": reports or None,
        "rounds": [_round(each) for each in found.rounds],
        "artifacts": None
        if found.artifacts is None
        else {
            "vectors": found.artifacts.vectors,
            "chunks": found.artifacts.chunks,
            "absent_chunks": found.artifacts.absent_chunks,
        },
    }


def _round(proof: RoundProof) -> dict[str, Any]:
    fact = proof.fact
    return {
        "round": fact.round,
        "phase": fact.phase.value,
        "model": fact.model,
        "endorsed_by": list(proof.endorsed_by),
        "attested_by": list(fact.attested_by),
        "policy": proof.policy,
        "barred": list(fact.barred),
    }


def as_text(found: Verification, exporter: Exporter | None, reports: str) -> str:
    """Return the answer in lines for people; whatever a trail holds, nothing in it moves a cursor. As `as_document`."""
    lines = [f"{found.verdict.value}: {found.finding}"]
    if found.verdict is Verdict.SOUND and exporter is not None:
        lines = _sound(found, exporter)
    if reports:
        lines.append(f"reports for people: {reports}")
    counts = found.counts
    lines.append(
        f"verified: {counts.blocks} blocks, {counts.transactions} transactions, {counts.endorsements} endorsements, "
        f"{counts.orderer_signatures} signatures of orderers"
    )
    return "\n".join(
        "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line) for line in lines
    )


def _sound(found: Verification, exporter: Exporter) -> list[str]:
    lines = [f"sound: study {found.study} on channel {found.channel}"]
    role = f", {exporter.role}" if exporter.role else ""
    lines.append(f"exported by {found.exporter} ({exporter.name}{role})")
    if exporter.remark:
        lines.append(f"remark: {exporter.remark}")
    trust = (
        "as the roots name it" if found.genesis_trusted else "the roots don't name it: compare it with the consortium's"
    )
    lines.append(f"first block {found.genesis} ({trust})")
    for proof in found.rounds:
        fact = proof.fact
        lines.append(f"round {fact.round} {fact.phase.value}: model {fact.model or '-'}")
        lines.append(f"  attested by {', '.join(fact.attested_by) or 'nobody'}")
        lines.append(f"  endorsed by {', '.join(proof.endorsed_by)}")
        lines.append(f"  under {proof.policy}")
        if fact.barred:
            lines.append(f"  barred: {', '.join(fact.barred)}")
    lines += [
        f"{count} transactions of chaincode {name} weren't run again: they are endorsed, what they do isn't judged"
        for name, count in sorted(found.counts.not_replayed.items())
    ]
    if found.artifacts is not None:
        checked = found.artifacts
        lines.append(
            f"ciphertexts: {checked.vectors} vectors with {checked.chunks} chunks have the ledger's roots; "
            f"{checked.absent_chunks} chunks aren't there"
        )
    return lines
