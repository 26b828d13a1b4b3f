"""The study's arithmetic without network and encryption: for choosing settings, and for the baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from consilium_client.data import Dataset, Split, join, read_table, split
from consilium_client.study_file import StudyFile
from consilium_client.training.evaluation import Evaluation, evaluate, evaluate_together
from consilium_client.training.plain import train_plain
from consilium_client.training.private import train_private
from consilium_client.training.task import Parameters
from consilium_demo.scenario import MSP_IDS


def splits_of(study: StudyFile, data: Path) -> dict[str, Split]:
    """Split the tables in a folder as the hospitals of the study do; only the demo has everybody's rows."""
    members = {participant.hospital for participant in study.terms.participants}
    return {
        name: split(read_table(data / f"{name}.csv", study.table), msp_id, study.seed, study.held_out)
        for name, msp_id in MSP_IDS.items()
        if msp_id in members
    }


def train_alone(study: StudyFile, rows: Dataset, name: str) -> Parameters:
    """Train on one set of rows for as many passes as the study has, without noise."""
    parameters = study.initial_parameters()
    for number in range(1, study.terms.rounds + 1):
        parameters = train_plain(study.task, rows, parameters, seed=f"{study.seed}/{name}/{number}")
    return parameters


def train_federated(study: StudyFile, splits: dict[str, Split]) -> Parameters:
    """Run the study's rounds as plain federated averaging."""
    parameters = study.initial_parameters()
    privacy = study.terms.privacy
    for number in range(1, study.terms.rounds + 1):
        total, weight = np.zeros_like(parameters), 0
        for hospital, rows in splits.items():
            if privacy is None:
                seed = f"{study.seed}/{hospital}/{number}"
                trained = train_plain(study.task, rows.training, parameters, seed=seed)
            else:
                noise, clip = privacy.noise_multiplier_milli / 1000, privacy.clip_milli / 1000
                trained = train_private(study.task, rows.training, parameters, noise_multiplier=noise, clip=clip)
            total += (trained - parameters) * len(rows.training)
            weight += len(rows.training)
        parameters = parameters + total / weight
    return parameters


@dataclass(frozen=True)
class Baselines:
    """What training alone and on pooled rows reaches, judged on everyone's held-out rows and on each one's own."""

    pooled: Evaluation
    local_own: dict[str, Evaluation]
    local_overall: dict[str, Evaluation]


def baselines(study: StudyFile, splits: dict[str, Split]) -> Baselines:
    """Train the study's model on all rows in one place, and on each hospital's alone."""
    pooled = train_alone(study, join([rows.training for rows in splits.values()]), "pooled")
    alone = {name: train_alone(study, rows.training, name) for name, rows in splits.items()}
    return Baselines(
        pooled=judge(study, pooled, splits),
        local_own={name: evaluate(study.task, alone[name], rows.held_out) for name, rows in splits.items()},
        local_overall={name: judge(study, parameters, splits) for name, parameters in alone.items()},
    )


def judge(study: StudyFile, parameters: Parameters, splits: dict[str, Split]) -> Evaluation:
    """Judge a model on the held-out rows of all hospitals."""
    return evaluate_together([evaluate(study.task, parameters, rows.held_out) for rows in splits.values()])
