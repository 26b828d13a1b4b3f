"""A hospital's rows in one study: trains on them, accounts for it, judges models by the rows held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from consilium_client.configuration import HospitalConfiguration
from consilium_client.data import Split, data_set_digest, read_table, split
from consilium_client.journal import Parameters
from consilium_client.study_file import StudyFile
from consilium_client.training.accountant import Accountant, Cost, sampled_steps
from consilium_client.training.evaluation import Evaluation, evaluate
from consilium_client.training.plain import train_plain
from consilium_proto.privacy_account import may_be_uploaded
from consilium_proto.records import PrivacyEntry, PrivacyTerms, RoundView


@dataclass(frozen=True)
class TrainedUpdate:
    """A round's result: update times samples over the largest sample cap, float64[P], and its privacy entry."""

    weighted_update: Parameters
    privacy: PrivacyEntry | None


class TrainingSite:
    """One hospital's table in one study."""

    def __init__(self, study: StudyFile, hospital: str, rows: Split, accountant: Accountant) -> None:
        self._study = study
        self._hospital = hospital
        self._rows = rows
        self._accountant = accountant

    @classmethod
    def open(
        cls, configuration: HospitalConfiguration, study: StudyFile, hospital: str, accountant: Accountant
    ) -> TrainingSite:
        """Read the hospital's table.

        Raises:
            TableError: the table doesn't follow the schema.
        """
        rows = split(read_table(configuration.table, study.table), hospital, study.seed, study.held_out)
        return cls(study, hospital, rows, accountant)

    @property
    def samples(self) -> int:
        """How many rows count: the training rows, at most the cap that the study grants the hospital."""
        return min(len(self._rows.training), self._cap)

    @property
    def _cap(self) -> int:
        return next(p.sample_cap for p in self._study.terms.participants if p.hospital == self._hospital)

    @property
    def rows(self) -> Split:
        """The hospital's rows."""
        return self._rows

    def projected_epsilon_micro(self, rounds: int) -> int | None:
        """Return epsilon after so many further rounds, by the hospital's own account; None without privacy noise."""
        privacy = self._study.terms.privacy
        if privacy is None:
            return None
        return self._accountant.epsilon_micro(privacy, [self._cost(privacy)] * rounds)

    def draft_entry(self) -> PrivacyEntry | None:
        """Return what one round costs, its epsilons still 0; None without privacy noise."""
        privacy = self._study.terms.privacy
        return None if privacy is None else self._accountant.entry(self._cost(privacy), privacy)

    def train(self, base: Parameters, round_number: int) -> TrainedUpdate:
        """Train one round from `base`, float64[P].

        Raises:
            PrivacyError: the round would exceed the study's budget, or the task can't be trained privately.
        """
        terms, task = self._study.terms, self._study.task
        entry = None
        if terms.privacy is None:
            seed = f"{self._study.seed}/{self._hospital}/{round_number}"
            trained = train_plain(task, self._rows.training, base, seed=seed)
        else:
            from consilium_client.training.private import train_private

            entry = self._accountant.reserve(terms.study, round_number, self._cost(terms.privacy), terms.privacy)
            trained = train_private(
                task,
                self._rows.training,
                base,
                noise_multiplier=terms.privacy.noise_multiplier_milli / 1000,
                clip=terms.privacy.clip_milli / 1000,
            )
        largest = max(participant.sample_cap for participant in terms.participants)
        weight = np.float64(self.samples) / np.float64(largest)
        return TrainedUpdate((trained - base) * weight, entry)

    def count(self, round_number: int, entry: PrivacyEntry) -> None:
        """See to it that the account has this round; it counts once."""
        self._accountant.restore(self._study.terms.study, round_number, entry)

    def settle(self, view: RoundView, hospital: str) -> int | None:
        """Take a decided round's cost back if nothing of it was uploaded; return what is spent, in millionths."""
        privacy, state = self._study.terms.privacy, view.round
        if privacy is None:
            return None
        if not may_be_uploaded(view.round, hospital):
            self._accountant.release(state.study, state.round)
        return self._accountant.epsilon_micro(privacy)

    def evaluate(self, parameters: Parameters) -> Evaluation:
        """Judge a model on the held-out rows."""
        return evaluate(self._study.task, parameters, self._rows.held_out)

    def _cost(self, privacy: PrivacyTerms) -> Cost:
        task = self._study.task
        steps = sampled_steps(task, len(self._rows.training))
        return Cost(1, steps, privacy.noise_multiplier_milli, privacy.clip_milli, task.epochs * steps)


def account_path(state: Path, data_set: str) -> Path:
    """Where the account of a data set lies."""
    return state / "privacy" / f"{data_set[:16]}.json"


def open_accountant(configuration: HospitalConfiguration, hospital: str) -> Accountant:
    """Open the one account of the hospital's data set.

    Raises:
        PrivacyError: the account can't be read.
    """
    data_set = data_set_digest(hospital, configuration.data_set)
    return Accountant(account_path(configuration.state, data_set), data_set)


def restore_account(accountant: Accountant, data_set: str, hospital: str, views: list[RoundView]) -> int:
    """Count every round of the data set that the ledger knows of; return how many there were."""
    restored = 0
    for view in views:
        for anchored in view.anchors:
            entry = anchored.anchor.privacy
            mine = anchored.hospital == hospital and entry is not None and entry.data_set == data_set
            if mine and entry is not None and may_be_uploaded(view.round, hospital):
                accountant.restore(view.round.study, view.round.round, entry)
                restored += 1
    return restored
