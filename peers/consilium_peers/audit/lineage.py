"""Where a model comes from: every round back to the initial model, with code, data commitments, updates and keys.

The ledger holds digests. Which rows a digest stands for is the hospital's to show; a study without privacy terms names
no data set at all, and then the lineage says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.history import History
from consilium_peers.audit.key_holders import key_epochs
from consilium_peers.audit.transitions import round_states, study_terms
from consilium_proto.records import Anchor, Join, KeyEpoch, Publication, Round, RoundPhase, StudyTerms

NEWEST = "newest"
NOT_ON_LEDGER = "not on the ledger"


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One model and what it was made from; the initial model is round 0 and made from nothing.

    Attributes:
        model, base: digests of this model and of the one it was trained on.
        code, schema: digests of the training code and of the tables' form.
        data_sets: the digest that each hospital names its data set by.
        updates: the root of each hospital's encrypted update; `sum_root` that of their sum, by `publisher`.
        samples: how many rows each hospital claimed.
        epoch, key_commitment, holders: the key that opens the sum.
        attested_by: who derived the same model.
        block, tx_id: where the model became final; for the initial model, where the study was proposed.
    """

    round: int
    model: str
    base: str
    code: str
    schema: str
    data_sets: tuple[str, ...]
    samples: tuple[str, ...]
    updates: tuple[str, ...]
    publisher: str
    sum_root: str
    epoch: int
    key_commitment: str
    holders: tuple[str, ...]
    attested_by: tuple[str, ...]
    block: int
    tx_id: str


def lineage(history: History, study: str, model: str = NEWEST) -> tuple[LineageStep, ...]:
    """Return the steps from a model back to the initial one.

    Args:
        history: the ledger's.
        study: the study.
        model: a digest, or its first 8 digits or more; NEWEST for the study's newest model.

    Raises:
        NotOnLedgerError: no such study, or none of its models is this one.
    """
    final: dict[str, tuple[Entry, Round]] = {}
    for entry, state in round_states(history, study):
        if state.phase is RoundPhase.FINAL and state.model is not None:
            final.setdefault(state.model, (entry, state))
    terms = study_terms(history, study)
    digest = _chosen(model, [terms.initial_model, *final], study)
    by_round: dict[int, list[Entry]] = {}
    for entry in history.of_study(study):
        by_round.setdefault(entry.round, []).append(entry)
    epochs = key_epochs(history, study)
    steps: list[LineageStep] = []
    while digest in final and digest not in {step.model for step in steps}:
        entry, state = final[digest]
        steps.append(_step(terms, entry, state, by_round[state.round], epochs[state.epoch][1]))
        digest = state.base
    return (*steps, _origin(history, study))


def _chosen(model: str, known: list[str], study: str) -> str:
    if model == NEWEST:
        return known[-1]
    found = [digest for digest in known if digest.startswith(model)] if len(model) >= 8 else []
    if not found:
        raise NotOnLedgerError(f"no model of study {study} is {model}; it has {len(known)}, the newest {known[-1]}")
    return found[-1]


def _step(terms: StudyTerms, entry: Entry, state: Round, written: list[Entry], epoch: KeyEpoch) -> LineageStep:
    study, number = state.study, state.round
    anchors = {
        each.creator: anchor
        for each in written
        for attributes, anchor in each.written(Anchor, "anchor", study, str(number))
        if attributes[2] == str(state.attempt) and each.creator in state.participants
    }
    samples = {each.creator: each.asked(Join).samples for each in written if each.function == "Join"}
    sums = {
        each.creator: publication.root
        for each in written
        for _, publication in each.written(Publication, "publication", study, str(number))
    }
    return LineageStep(
        round=number,
        model=state.model or "",
        base=state.base,
        code=terms.code,
        schema=terms.schema,
        data_sets=tuple(
            f"{name}:{NOT_ON_LEDGER if anchor.privacy is None else anchor.privacy.data_set}"
            for name, anchor in sorted(anchors.items())
        ),
        samples=tuple(f"{name}:{samples[name]}" for name in sorted(anchors)),
        updates=tuple(f"{name}:{anchor.root}" for name, anchor in sorted(anchors.items())),
        publisher=state.publisher or "",
        sum_root=sums.get(state.publisher or "", ""),
        epoch=state.epoch,
        key_commitment=epoch.commitment,
        holders=tuple(wrapped.holder for wrapped in epoch.holders),
        attested_by=state.attested_by,
        block=entry.block,
        tx_id=entry.tx_id,
    )


def _origin(history: History, study: str) -> LineageStep:
    terms = study_terms(history, study)
    entry = next(each for each in history.of_study(study) if each.function == "ProposeStudy")
    return LineageStep(
        round=0,
        model=terms.initial_model,
        base="",
        code=terms.code,
        schema=terms.schema,
        data_sets=(),
        samples=(),
        updates=(),
        publisher="",
        sum_root="",
        epoch=0,
        key_commitment="",
        holders=(),
        attested_by=(),
        block=entry.block,
        tx_id=entry.tx_id,
    )
