"""The study file: one commented YAML that a coordinator writes, every hospital reads, and the ledger knows by digests.

From the file follow, without any choice left, the terms that hospitals approve: the code's digest, the schema's, the
first model's. A hospital computes them from its own copy and compares them with what the ledger holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import yaml

from consilium_client.data import read_features
from consilium_client.errors import ConfigurationError
from consilium_client.journal import Parameters, model_digest
from consilium_client.schema import Schema, read_schema
from consilium_client.training.evaluation import predict
from consilium_client.training.task import TrainingTask, initial_parameters, load_task
from consilium_proto import canonical
from consilium_proto.errors import MalformedMessageError, WireError
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.records import StudyTerms

_FIELDS = {
    "study",
    "purpose",
    "coordinator",
    "participants",
    "max_colluding",
    "rounds",
    "attempts",
    "deadlines",
    "clock_tolerance",
    "parameter_set",
    "update_bound",
    "seed",
    "held_out",
    "task",
    "privacy",
    "reward",
    "table",
}
_OPTIONAL = {"privacy", "reward"}
_CHECKING_PHASES = ("challenged", "listing", "proving", "verified")
_PRIVACY_FIELDS = ("noise_multiplier", "clip", "delta", "epsilon_budget")
_REWARD_FIELDS = ("per_round", "weight_cap")


@dataclass(frozen=True)
class StudyFile:
    """A study as a hospital sees it: the terms, and what stands behind their digests."""

    path: Path
    terms: StudyTerms
    task: TrainingTask
    table: Schema
    seed: int
    held_out: float
    # Drawn once, when the file is read: drawing it seeds torch, whose noise in another study's training would repeat.
    first: Parameters

    def initial_parameters(self) -> Parameters:
        """Return the study's first model, float64[P]."""
        return self.first.copy()

    def score(self, parameters: Parameters, table: Path) -> npt.NDArray[np.float64]:
        """Return a model's probability of the positive class for each row of a CSV file, float64[n]."""
        return predict(self.task, parameters, read_features(table, self.table))


def load_study_file(path: Path) -> StudyFile:
    """Read a study file.

    Raises:
        ConfigurationError: missing, not YAML, or a field absent, unknown or out of range; it names the field.
        TaskError: the task can't be loaded.
    """
    document = _read(path)
    table = read_schema(document["table"])
    chosen = document["task"]
    if (
        not isinstance(chosen, dict)
        or not isinstance(chosen.get("class"), str)
        or set(chosen) - {"class", "parameters"}
    ):
        raise ConfigurationError(f"{path}: task is {chosen!r}; expected 'class' and, if you like, 'parameters'")
    task, code = load_task(chosen["class"], chosen.get("parameters") or {}, path.resolve().parent)
    seed = _whole(path, document, "seed")
    first = initial_parameters(task, table.width, seed)
    terms = _terms(path, document, code=code, schema=table.digest, first=first)
    held_out = float(_decimal(path, "held_out", document["held_out"]))
    if not 0 < held_out < 1:
        raise ConfigurationError(f"{path}: held_out is {held_out:g}; expected a proportion between 0 and 1")
    return StudyFile(path, terms, task, table, seed, held_out, first)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except OSError:
        raise ConfigurationError(f"no study file at {path}; docs/your-own-study.md shows one") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} isn't YAML: {error}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path} isn't a study: it holds {type(document).__name__}")
    if unknown := sorted(set(document) - _FIELDS):
        raise ConfigurationError(f"{path}: unknown field {unknown[0]!r}; known are {', '.join(sorted(_FIELDS))}")
    if absent := sorted(_FIELDS - _OPTIONAL - set(document)):
        raise ConfigurationError(f"{path}: {absent[0]!r} is missing")
    return document


def _terms(path: Path, document: dict[str, Any], *, code: str, schema: str, first: Parameters) -> StudyTerms:
    participants = document["participants"]
    if not isinstance(participants, dict):
        raise ConfigurationError(f"{path}: participants is {participants!r}; expected 'MSP id: largest sample count'")
    terms = {
        "study": document["study"],
        "purpose": document["purpose"],
        "coordinator": document["coordinator"],
        "participants": [{"hospital": hospital, "sample_cap": cap} for hospital, cap in sorted(participants.items())],
        "max_colluding": document["max_colluding"],
        "rounds": document["rounds"],
        "attempts": document["attempts"],
        "deadlines": _deadlines(document["deadlines"]),
        "clock_tolerance": document["clock_tolerance"],
        "code": code,
        "schema": schema,
        "initial_model": model_digest(first),
        "parameters": len(first),
        "parameter_set": document["parameter_set"],
        "update_bound_micro": _scaled(path, "update_bound", document["update_bound"], 1_000_000),
        "privacy": _privacy(path, document.get("privacy")),
        **_reward(path, document.get("reward")),
    }
    try:
        converted = msgspec.convert(terms, StudyTerms)
        return canonical.decode(StudyTerms, canonical.encode(converted))
    except (msgspec.ValidationError, MalformedMessageError) as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _deadlines(document: object) -> object:
    """Fill in the phases in which hospitals check a sum: they last as long as AGGREGATED if nothing else is said."""
    if not isinstance(document, dict) or "aggregated" not in document:
        return document
    return {**dict.fromkeys(_CHECKING_PHASES, document["aggregated"]), **document}


def _privacy(path: Path, document: object) -> dict[str, int] | None:
    if document is None:
        return None
    if not isinstance(document, dict) or set(document) != set(_PRIVACY_FIELDS):
        raise ConfigurationError(f"{path}: privacy needs exactly {', '.join(_PRIVACY_FIELDS)}")
    delta = Fraction(_decimal(path, "privacy.delta", document["delta"]))
    return {
        "noise_multiplier_milli": _scaled(path, "privacy.noise_multiplier", document["noise_multiplier"], 1000),
        "clip_milli": _scaled(path, "privacy.clip", document["clip"], 1000),
        "delta_numerator": delta.numerator,
        "delta_denominator": delta.denominator,
        "epsilon_budget_micro": _scaled(path, "privacy.epsilon_budget", document["epsilon_budget"], 1_000_000),
    }


def _reward(path: Path, document: object) -> dict[str, object]:
    """Return the terms' field, which a study without a reward doesn't have."""
    if document is None:
        return {}
    if not isinstance(document, dict) or set(document) != set(_REWARD_FIELDS):
        raise ConfigurationError(f"{path}: reward needs exactly {', '.join(_REWARD_FIELDS)}")
    _decimal(path, "reward.per_round", document["per_round"])
    try:
        pot = amount_of_tokens(str(document["per_round"]))
    except WireError as error:
        raise ConfigurationError(f"{path}: reward.per_round: {error}") from None
    return {"reward": {"pot": pot, "weight_cap": document["weight_cap"]}}


def _whole(path: Path, document: dict[str, Any], field: str) -> int:
    value = document[field]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{path}: {field} is {value!r}; expected a whole number from 0")
    return value


def _decimal(path: Path, field: str, value: object) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ConfigurationError(f"{path}: {field} is {value!r}; expected a number") from None
    if not number.is_finite() or number <= 0:
        raise ConfigurationError(f"{path}: {field} is {value!r}; expected a number above 0")
    return number


def _scaled(path: Path, field: str, value: object, scale: int) -> int:
    """Return a decimal as a whole number of millis or micros; more digits than that are refused, not rounded."""
    scaled = _decimal(path, field, value) * scale
    if scaled != scaled.to_integral_value():
        raise ConfigurationError(f"{path}: {field} is {value!r}; at most {len(str(scale)) - 1} decimals are kept")
    return int(scaled)
