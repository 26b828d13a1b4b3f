"""One privacy accountant per data set, over all rounds and studies, on disk: Rényi differential privacy.

The arithmetic is `consilium_proto.rdp`, in integers, so that everybody comes to the same epsilon. A round is reserved
before it is trained and counts from then on; it is released only when the ledger says that nothing was uploaded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from consilium_client.errors import PrivacyError
from consilium_client.training.task import TrainingTask
from consilium_peers.durable import write_durably
from consilium_proto.rdp import MICRO, GaussianSteps, epsilon_micro
from consilium_proto.records import PrivacyEntry, PrivacyTerms


@dataclass(frozen=True)
class Cost:
    """What one round costs: steps of the sampled Gaussian mechanism, all integers."""

    sample_rate_numerator: int
    sample_rate_denominator: int
    noise_multiplier_milli: int
    clip_milli: int
    steps: int

    @property
    def mechanism(self) -> GaussianSteps:
        """What the accounting needs of it; the clip scales noise and gradients alike."""
        return GaussianSteps(
            self.sample_rate_numerator, self.sample_rate_denominator, self.noise_multiplier_milli, self.steps
        )


def sampled_steps(task: TrainingTask, rows: int) -> int:
    """Return how many batches a pass has; a row is in each with probability 1 / this.

    Raises:
        PrivacyError: so few rows that batches of equal size can't give that number.
    """
    size = -(-rows // task.steps_per_epoch)
    steps = -(-rows // size)
    if steps != task.steps_per_epoch:
        raise PrivacyError(
            f"{rows} rows can't be sampled in {task.steps_per_epoch} steps per epoch; it would be {steps}"
        )
    return steps


def epsilon_of(costs: Iterable[Cost], terms: PrivacyTerms) -> int:
    """Return the epsilon of all costs together at the terms' delta, in millionths, rounded up."""
    return epsilon_micro((cost.mechanism for cost in costs), terms.delta_numerator, terms.delta_denominator)


class Accountant:
    """The account of one data set, shared by all studies on it; its file lies in the hospital's state.

    Attributes:
        lost: there was no file when it was opened. If the data set isn't new, it has to be rebuilt from the ledger.
    """

    def __init__(self, path: Path, data_set: str) -> None:
        self._path = path
        self._data_set = data_set
        self._costs: dict[str, Cost] = {}
        # Several studies may train on one data set at a time.
        self._lock = threading.Lock()
        self.lost = not path.exists()
        if path.exists():
            try:
                document = json.loads(path.read_text())
                self._costs = {key: Cost(**fields) for key, fields in document["rounds"].items()}
            except (ValueError, KeyError, TypeError):
                raise PrivacyError(f"{path} isn't an account; remove it to rebuild it from the ledger") from None

    def epsilon_micro(self, terms: PrivacyTerms, extra: Iterable[Cost] = ()) -> int:
        """Return what is spent, with `extra` on top, at the terms' delta."""
        return epsilon_of([*self._costs.values(), *extra], terms)

    def reserve(self, study: str, round_number: int, cost: Cost, terms: PrivacyTerms) -> PrivacyEntry:
        """Count a round before it is trained, once however often it is asked for, and return its entry.

        Raises:
            PrivacyError: the account would exceed the study's budget.
        """
        with self._lock:
            key = _key(study, round_number)
            others = [held for name, held in self._costs.items() if name != key]
            before, after = epsilon_of(others, terms), epsilon_of([*others, cost], terms)
            if after > terms.epsilon_budget_micro:
                raise PrivacyError(
                    f"round {round_number} of {study} would raise epsilon to {after / MICRO:.6f}; "
                    f"the study's budget is {terms.epsilon_budget_micro / MICRO:.6f}"
                )
            self._costs[key] = cost
            self._save()
        return self.entry(cost, terms, before, after)

    def entry(self, cost: Cost, terms: PrivacyTerms, before: int = 0, after: int = 0) -> PrivacyEntry:
        """Return the entry of a round that takes epsilon from `before` to `after`, in millionths."""
        return PrivacyEntry(
            data_set=self._data_set,
            delta_numerator=terms.delta_numerator,
            delta_denominator=terms.delta_denominator,
            epsilon_before_micro=before,
            epsilon_after_micro=after,
            **asdict(cost),
        )

    def release(self, study: str, round_number: int) -> None:
        """Take a round back of which nothing was uploaded."""
        with self._lock:
            if self._costs.pop(_key(study, round_number), None) is not None:
                self._save()

    def restore(self, study: str, round_number: int, entry: PrivacyEntry) -> None:
        """Count a round from its entry on the ledger."""
        with self._lock:
            self._costs[_key(study, round_number)] = Cost(
                entry.sample_rate_numerator,
                entry.sample_rate_denominator,
                entry.noise_multiplier_milli,
                entry.clip_milli,
                entry.steps,
            )
            self._save()

    def _save(self) -> None:
        document = {"data_set": self._data_set, "rounds": {key: asdict(cost) for key, cost in self._costs.items()}}
        write_durably(self._path, (json.dumps(document, indent=2) + "\n").encode())


def _key(study: str, round_number: int) -> str:
    return f"{study}/{round_number}"
