"""The demo's files: what four hospitals would each write for themselves, below one folder."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from consilium_demo import heart

TEMPLATE = Path(__file__).with_name("heart_study.yaml")
MSP_IDS = {
    "cleveland": "ClevelandMSP",
    "hungary": "HungaryMSP",
    "switzerland": "SwitzerlandMSP",
    "longbeach": "LongBeachMSP",
}


@dataclass(frozen=True)
class Variation:
    """How this run differs from the study file as it is. `changes` replaces whole fields of it."""

    privacy: bool = True
    rounds: int | None = None
    hospitals: int = 4
    seed: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HospitalFiles:
    """What one hospital has on its own machine."""

    name: str
    msp_id: str
    folder: Path
    study_name: str

    @property
    def configuration(self) -> Path:
        """The configuration of `consilium client`."""
        return self.folder / "hospital.yaml"

    @property
    def policy(self) -> Path:
        """The hospital's policy."""
        return self.folder / "policy.yaml"

    @property
    def study(self) -> Path:
        """The hospital's own copy of the study file."""
        return self.folder / "study.yaml"

    @property
    def released(self) -> Path:
        """What the hospital's policy lets others see."""
        return self.folder / "state" / "released" / self.study_name


def study_document(variation: Variation) -> dict[str, Any]:
    """Return the study file's content, varied."""
    document: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
    names = list(MSP_IDS)[: variation.hospitals]
    document["participants"] = {MSP_IDS[name]: document["participants"][MSP_IDS[name]] for name in names}
    if not variation.privacy:
        del document["privacy"]
    if variation.rounds is not None:
        document["rounds"] = variation.rounds
    if variation.seed is not None:
        document["seed"] = variation.seed
    return {**document, **variation.changes}


def write_hospitals(folder: Path, network: Path, variation: Variation) -> list[HospitalFiles]:
    """Write table, study file, configuration and passphrase of every hospital; the policy needs the code's digest."""
    tables = heart.write_tables(folder / "data")
    document = study_document(variation)
    hospitals = []
    for name in list(MSP_IDS)[: variation.hospitals]:
        files = HospitalFiles(name, MSP_IDS[name], folder / "hospitals" / name, document["study"])
        files.folder.mkdir(parents=True, exist_ok=True)
        files.study.write_text(yaml.safe_dump(document, sort_keys=False))
        configuration = {
            "profile": str(network / "organizations" / name / "profiles" / "client.yaml"),
            "table": str(tables[name]),
            "data_set": "heart-registry",
            "policy": files.policy.name,
            "state": "state",
            "passphrase_file": "passphrase",
            "studies": [files.study.name],
        }
        files.configuration.write_text(yaml.safe_dump(configuration, sort_keys=False))
        passphrase = files.folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(secrets.token_urlsafe(24))
        hospitals.append(files)
    return hospitals


def write_policy(files: HospitalFiles, code: str, document: dict[str, Any]) -> None:
    """Write the hospital's policy: this study, this code, this budget, and what may be released.

    The demo's policies release metrics and scores of held-out rows, because the data is public.
    """
    privacy = document.get("privacy")
    rule = {
        "study": document["study"],
        "purpose": document["purpose"],
        "code": [code],
        "epsilon_budget": "none" if privacy is None else privacy["epsilon_budget"],
        "minimum_hospitals": 3,
        "required_partners": [],
        "release": ["metrics", "held-out-scores"],
    }
    files.policy.write_text(yaml.safe_dump({"hospital": files.msp_id, "studies": [rule]}, sort_keys=False))
