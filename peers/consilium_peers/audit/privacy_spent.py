"""Privacy spent per hospital, data set and study, with every entry.

The ledger verified each entry's arithmetic. Whether a hospital added the noise that an entry names, and has the rows
that it calls by the data set's digest, isn't on the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.audit.history import History
from consilium_peers.audit.moments import shown_moment
from consilium_peers.audit.transitions import study_terms
from consilium_proto.privacy_account import cost_of, epsilon_of, may_be_uploaded
from consilium_proto.records import Anchor, PrivacyEntry, PrivacyTerms, Round

SPENT, PENDING, FREE = "spent", "pending", "not spent"


@dataclass(frozen=True, slots=True)
class Spending:
    """One entry: what a hospital's anchor in one round costs one of its data sets.

    Attributes:
        data_set: the digest by which the hospital names it.
        outcome: spent; pending (the round is undecided, so it counts); not spent (the round let nobody upload, or
            dropped the hospital).
        epsilon_before, epsilon_after: of all the data set's rounds in all studies, as the ledger recomputed them.
        delta, sample_rate: as fractions.
    """

    hospital: str
    data_set: str
    study: str
    round: int
    outcome: str
    epsilon_before: float
    epsilon_after: float
    delta: str
    noise_multiplier: float
    clip: float
    sample_rate: str
    steps: int
    proposed: str
    block: int
    tx_id: str


@dataclass(frozen=True, slots=True)
class Account:
    """What a hospital's data set has spent in a study: alone, and as part of all studies that use it.

    Attributes:
        rounds: how many entries count.
        epsilon_of_study: of the study's counting entries alone.
        epsilon_of_all: of all studies' counting entries, at this study's delta.
        budget: the study's.
    """

    hospital: str
    data_set: str
    study: str
    rounds: int
    epsilon_of_study: float
    epsilon_of_all: float
    delta: str
    budget: float


def spendings(history: History, study: str | None = None, hospital: str | None = None) -> tuple[Spending, ...]:
    """Return every privacy entry, of one study or hospital or of all, in the ledger's order.

    A retry in the same round carries the identical entry and costs nothing more, so it is one entry here.

    Raises:
        NotOnLedgerError: no such study.
    """
    if study is not None:
        history.of_study(study)
    return tuple(
        found for found, _ in _counted(history) if study in (None, found.study) and hospital in (None, found.hospital)
    )


def accounts(history: History, study: str | None = None, hospital: str | None = None) -> tuple[Account, ...]:
    """Return what each data set has spent, sorted by hospital, data set and study.

    Raises:
        NotOnLedgerError: no such study.
    """
    if study is not None:
        history.of_study(study)
    counting = [(found, entry) for found, entry in _counted(history) if found.outcome != FREE]
    names = sorted({(found.hospital, found.data_set, found.study) for found, _ in counting})
    return tuple(
        _account(history, counting, *name) for name in names if study in (None, name[2]) and hospital in (None, name[0])
    )


def _counted(history: History) -> list[tuple[Spending, PrivacyEntry]]:
    states: dict[tuple[str, int], Round] = {}
    for entry in history.valid():
        for _, state in entry.written(Round, "round"):
            states[state.study, state.round] = state
    found: dict[tuple[str, str, int, str], tuple[Spending, PrivacyEntry]] = {}
    for entry in history.valid():
        for _, anchor in entry.written(Anchor, "anchor"):
            privacy = anchor.privacy
            if privacy is None:
                continue
            outcome = _outcome(states[anchor.study, anchor.round], entry.creator)
            name = (entry.creator, anchor.study, anchor.round, privacy.data_set)
            spending = Spending(
                hospital=entry.creator,
                data_set=privacy.data_set,
                study=anchor.study,
                round=anchor.round,
                outcome=outcome,
                epsilon_before=privacy.epsilon_before_micro / 1e6,
                epsilon_after=privacy.epsilon_after_micro / 1e6,
                delta=f"{privacy.delta_numerator}/{privacy.delta_denominator}",
                noise_multiplier=privacy.noise_multiplier_milli / 1000,
                clip=privacy.clip_milli / 1000,
                sample_rate=f"{privacy.sample_rate_numerator}/{privacy.sample_rate_denominator}",
                steps=privacy.steps,
                proposed=shown_moment(entry.proposed),
                block=entry.block,
                tx_id=entry.tx_id,
            )
            found.setdefault(name, (spending, privacy))
    return list(found.values())


def _outcome(state: Round, hospital: str) -> str:
    if not may_be_uploaded(state, hospital):
        return FREE
    return SPENT if state.phase.decided else PENDING


def _account(
    history: History, counting: list[tuple[Spending, PrivacyEntry]], hospital: str, data_set: str, study: str
) -> Account:
    terms = study_terms(history, study).privacy
    assert terms is not None, "the contract takes no entry in a study without privacy terms"
    of_all = [pair for pair in counting if (pair[0].hospital, pair[0].data_set) == (hospital, data_set)]
    of_study = [pair for pair in of_all if pair[0].study == study]
    return Account(
        hospital=hospital,
        data_set=data_set,
        study=study,
        rounds=len(of_study),
        epsilon_of_study=_epsilon(of_study, terms),
        epsilon_of_all=_epsilon(of_all, terms),
        delta=f"{terms.delta_numerator}/{terms.delta_denominator}",
        budget=terms.epsilon_budget_micro / 1e6,
    )


def _epsilon(pairs: list[tuple[Spending, PrivacyEntry]], terms: PrivacyTerms) -> float:
    return epsilon_of([cost_of(entry) for _, entry in pairs], terms) / 1e6
