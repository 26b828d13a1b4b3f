"""Puts the demo's result together from what the hospitals released, and from the ledger's status."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from consilium_client.study_file import StudyFile
from consilium_client.training.evaluation import Evaluation, evaluate_together
from consilium_demo.report import PARTS
from consilium_demo.scenario import HospitalFiles
from consilium_demo.simulate import baselines, splits_of

Released = dict[str, list[dict[str, Any]]]


def read_released(hospitals: list[HospitalFiles]) -> Released:
    """Read what each hospital released, by its name, oldest round first."""
    return {
        files.name: [
            {**json.loads(path.read_text()), "hospital_name": files.name}
            for path in sorted(files.released.glob("round-*.json"))
        ]
        for files in hospitals
    }


def put_together(
    study: StudyFile, hospitals: list[HospitalFiles], data: Path, card: dict[str, Any], fabric: str
) -> dict[str, Any]:
    """Return the content of result.json."""
    released = read_released(hospitals)
    rounds = [_round(numbered) for numbered in zip(*released.values(), strict=True)]
    splits = splits_of(study, data)
    compared = baselines(study, splits)
    last = rounds[-1]
    privacy = study.terms.privacy
    overall = [evaluation.auc for evaluation in compared.local_overall.values() if evaluation.auc is not None]
    return {
        "study": study.terms.study,
        "fabric": fabric,
        "model_hash": card["model"],
        "attested_by": card["attested_by"],
        "samples": {name: len(rows.training) for name, rows in splits.items()},
        "auc": {
            "federated": last["auc"]["overall"],
            "federated_by_hospital": last["auc"]["hospitals"],
            "pooled": compared.pooled.auc,
            "local": {name: evaluation.auc for name, evaluation in compared.local_own.items()},
            "local_overall_mean": statistics.fmean(overall),
        },
        "accuracy": {
            "federated": last["accuracy"]["overall"],
            "pooled": compared.pooled.accuracy,
            "local": {name: evaluation.accuracy for name, evaluation in compared.local_own.items()},
            "local_overall_mean": statistics.fmean(e.accuracy for e in compared.local_overall.values()),
        },
        "epsilon": last["epsilon"],
        "settings": {
            "rounds": study.terms.rounds,
            "seed": study.seed,
            "epsilon_budget": None if privacy is None else privacy.epsilon_budget_micro / 1e6,
            "delta": None if privacy is None else privacy.delta_numerator / privacy.delta_denominator,
            "noise_multiplier": None if privacy is None else privacy.noise_multiplier_milli / 1000,
            "parameter_set": study.terms.parameter_set,
            "parameters": study.terms.parameters,
        },
        "rounds": rounds,
    }


def _round(released: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """Return one round's figures out of what every hospital released of it."""
    by_hospital = {entry["hospital_name"]: entry for entry in released}
    together = evaluate_together([_evaluation(entry) for entry in released])
    transactions = [transaction for entry in released for transaction in entry.get("transactions", [])]
    latencies = [transaction["seconds"] * 1000 for transaction in transactions]
    return {
        "round": released[0]["round"],
        "model": released[0]["model"],
        "participants": released[0]["participants"],
        "attempt": released[0]["attempt"],
        "seconds": max(entry["decided_at"] for entry in released) - min(entry["joined_at"] for entry in released),
        "parts": {part: statistics.fmean(_part(entry, part) for entry in released) for part in PARTS},
        "auc": {
            "overall": together.auc,
            "hospitals": {name: entry["metrics"]["auc"] for name, entry in by_hospital.items()},
        },
        "accuracy": {
            "overall": together.accuracy,
            "hospitals": {name: entry["metrics"]["accuracy"] for name, entry in by_hospital.items()},
        },
        "epsilon": {
            name: None if entry["epsilon_micro"] is None else entry["epsilon_micro"] / 1e6
            for name, entry in by_hospital.items()
        },
        "bytes_up": {name: entry["bytes_up"] for name, entry in by_hospital.items()},
        "bytes_down": {name: entry["bytes_down"] for name, entry in by_hospital.items()},
        "transactions": len(transactions),
        "commit_latency_ms": {"median": statistics.median(latencies), "max": max(latencies)},
    }


def _evaluation(entry: dict[str, Any]) -> Evaluation:
    held_out = entry["held_out"]
    return Evaluation(np.array(held_out["scores"]), np.array(held_out["labels"]))


def _part(entry: dict[str, Any], part: str) -> float:
    if part == "ledger":
        return float(sum(transaction["seconds"] for transaction in entry.get("transactions", [])))
    return float(entry[f"{part}_seconds"])
