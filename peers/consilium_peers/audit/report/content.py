"""What a report says, out of a study's facts and costs alone."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from consilium_peers.audit.moments import shown_moment
from consilium_peers.audit.privacy_spent import Account
from consilium_peers.audit.report.rewards import offered, reward_sections
from consilium_peers.audit.report.sections import Plot, Report, Section, Table
from consilium_peers.audit.round_costs import RoundCost
from consilium_trail.archive.writing import facts_digest
from consilium_trail.facts import RoundFact, StudyFacts, TransactionFact

NOT_ON_LEDGER = (
    "Not on the ledger, and so not in this report: how well a model predicts (hospitals keep their metrics, or release "
    "them under their own policies), when a block was committed (blocks have no time; all times here are what clients "
    "claim, and endorsers refused claims that were off by more than the study's tolerance), whether a hospital added "
    "the noise that its privacy entries name, and the rows, updates and models themselves, of which the ledger holds "
    "digests."
)


def study_report(facts: StudyFacts, costs: Sequence[RoundCost], accounts: Sequence[Account]) -> Report:
    """Return the report of a study.

    Args:
        facts: of the trail.
        costs: of the same rounds, from the same blocks.
        accounts: what each data set has spent in the study, from the same blocks.
    """
    digest = facts_digest(facts)
    sections = (
        _summary(facts, digest),
        Section("Course of the study", plots=tuple(_plots(facts, costs))),
        Section("Rounds", table=_rounds(facts.rounds)),
        Section("Who decided", (_POLICY,), table=_decisions(facts.rounds)),
        _privacy(facts, accounts),
        *reward_sections(facts),
        _disputes(facts),
        Section("Cost and latency of rounds", (_LATENCY,), table=_costs(costs)),
        Section("The study's own transactions", table=_transactions(facts.transactions)),
    )
    return Report(f"Study {facts.study}", digest, sections)


_POLICY = (
    "For each round: the endorsement policy in force when it was decided, whose peers endorsed its transactions, and "
    "which model each hospital attested."
)
_LATENCY = (
    "The ledger doesn't hold when a transaction was committed. It tells after how long a later transaction had read "
    "its write, by both clients' clocks: its commit latency and whatever passed until somebody looked. Medians "
    "and maxima are over the transactions whose writes were read."
)


def _summary(facts: StudyFacts, digest: str) -> Section:
    terms = facts.terms
    final = sum(each.phase.value == "FINAL" for each in facts.rounds)
    rows = [
        ("channel", facts.channel),
        ("first block", facts.genesis),
        ("last block", f"{facts.blocks - 1}: {facts.last_hash}"),
        ("facts (SHA-256 of report/facts.json)", digest),
        ("rounds in this trail", f"{len(facts.rounds)}, of which {final} FINAL"),
    ]
    if terms is not None:
        privacy = terms.privacy
        rows += [
            ("purpose", terms.purpose),
            ("coordinator", terms.coordinator),
            ("participants", ", ".join(each.hospital for each in terms.participants)),
            ("hospitals that may collude", str(terms.max_colluding)),
            ("training code", terms.code),
            ("form of the tables", terms.schema),
            ("initial model", terms.initial_model),
            ("parameters", f"{terms.parameters}, encrypted under {terms.parameter_set}"),
            (
                "privacy",
                "no noise is asked for"
                if privacy is None
                else f"epsilon up to {privacy.epsilon_budget_micro / 1e6:g} at delta "
                f"{privacy.delta_numerator}/{privacy.delta_denominator}, noise multiplier "
                f"{privacy.noise_multiplier_milli / 1000:g}, clipping at {privacy.clip_milli / 1000:g}",
            ),
        ]
        if terms.reward is not UNSET:
            rows.append(("reward", offered(terms.reward)))
    return Section("What this is about", (NOT_ON_LEDGER,), table=Table(("", ""), tuple(rows)))


def _plots(facts: StudyFacts, costs: Sequence[RoundCost]) -> list[Plot]:
    spent: dict[str, dict[int, float]] = {}
    for each in facts.rounds:
        for fact in each.privacy:
            spent.setdefault(fact.hospital, {})[each.round] = fact.entry.epsilon_after_micro / 1e6
    plots = []
    if spent:
        lines = tuple(
            (name, tuple((float(number), value) for number, value in sorted(points.items())))
            for name, points in sorted(spent.items())
        )
        plots.append(Plot("Epsilon of each hospital's data set, all studies together", "epsilon", lines))
    seen = [cost for cost in costs if cost.seen]
    if seen:
        medians = tuple((float(cost.round), cost.seen_after_ms_median / 1000) for cost in seen)
        plots.append(Plot("Seen by a later transaction after (median)", "seconds", (("median", medians),)))
    durations = tuple(
        (float(each.round), (each.decided - each.opened) / 1000) for each in facts.rounds if each.decided is not None
    )
    if durations:
        plots.append(Plot("From opening to decision", "seconds", (("round", durations),)))
    if costs:
        sizes = tuple((float(cost.round), cost.ledger_bytes / 1000) for cost in costs)
        plots.append(Plot("Bytes on the ledger", "kB", (("transactions", sizes),)))
    return plots


def _rounds(rounds: Sequence[RoundFact]) -> Table:
    header = ("round", "phase", "key", "participants", "silent", "sum by", "attested by", "model")
    return Table(header, tuple(_round(each) for each in rounds))


def _round(each: RoundFact) -> tuple[str, ...]:
    return (
        str(each.round),
        each.phase.value,
        str(each.epoch),
        _names(each.participants),
        _names(each.missing),
        each.publisher or "-",
        _names(each.attested_by),
        each.model or "-",
    )


def _decisions(rounds: Sequence[RoundFact]) -> Table:
    rows = []
    for each in rounds:
        valid = [one for one in each.transactions if one.code == "VALID"]
        endorsed = sorted({name for one in valid for name in one.endorsers})
        models: dict[str, list[str]] = {}
        for attestation in each.attestations:
            models.setdefault(attestation.model, []).append(attestation.hospital)
        attested = "; ".join(f"{model} by {', '.join(sorted(names))}" for model, names in sorted(models.items()))
        rows.append((str(each.round), each.policy, _names(endorsed), attested or "-"))
    return Table(("round", "policy", "endorsed by", "attested"), tuple(rows))


def _privacy(facts: StudyFacts, accounts: Sequence[Account]) -> Section:
    if not accounts:
        return Section("Privacy spent", ("The study has no privacy entries: nothing was accounted.",))
    header = ("hospital", "data set", "rounds", "epsilon of this study", "epsilon of all studies", "delta", "budget")
    rows = tuple(
        (
            each.hospital,
            each.data_set,
            str(each.rounds),
            f"{each.epsilon_of_study:.6f}",
            f"{each.epsilon_of_all:.6f}",
            each.delta,
            f"{each.budget:g}",
        )
        for each in accounts
    )
    entries = sum(len(each.privacy) for each in facts.rounds)
    sentence = f"{entries} entries, each recomputed by the ledger; facts.json has them all."
    return Section("Privacy spent", (sentence,), table=Table(header, rows))


def _disputes(facts: StudyFacts) -> Section:
    rows = []
    for each in facts.rounds:
        rows += [(str(each.round), one.kind, one.vector, one.culprit, one.shown_by, one.tx_id) for one in each.disputes]
        rows += [(str(each.round), "sum rejected", name, "-", "-", "-") for name in each.rejected]
        rows += [(str(each.round), "barred", "-", name, "-", "-") for name in each.barred]
    if not rows:
        return Section("Disputes", ("Nobody's value was disputed in these rounds, and nobody was barred.",))
    return Section("Disputes", table=Table(("round", "step", "vector", "culprit", "shown by", "tx"), tuple(rows)))


def _costs(costs: Sequence[RoundCost]) -> Table:
    header = ("round", "transactions", "invalid", "bytes", "blocks", "seconds", "seen after ms", "largest ms")
    return Table(
        header,
        tuple(
            (
                str(cost.round),
                str(cost.transactions),
                str(cost.invalid),
                str(cost.ledger_bytes),
                str(cost.blocks),
                f"{cost.seconds:.1f}",
                f"{cost.seen_after_ms_median:.0f}" if cost.seen else "-",
                f"{cost.seen_after_ms_max:.0f}" if cost.seen else "-",
            )
            for cost in costs
        ),
    )


def _transactions(transactions: Sequence[TransactionFact]) -> Table:
    header = ("block", "time", "function", "by", "endorsed by", "code", "tx")
    return Table(
        header,
        tuple(
            (
                str(each.block),
                shown_moment(each.time),
                each.function,
                each.creator,
                _names(each.endorsers),
                each.code,
                each.tx_id,
            )
            for each in transactions
        ),
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) or "-"
