"""A model as a file: safetensors (numbers only, nothing that runs) with its hash and lineage in the header."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from consilium_client.configuration import HospitalConfiguration
from consilium_client.errors import ModelFileError
from consilium_client.journal import Parameters, StudyJournal, model_digest
from consilium_peers.durable import write_durably
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.records import RoundPhase

FORMAT = "consilium model 1"
_TENSOR = "parameters"
_HEADER = "consilium"


@dataclass(frozen=True)
class LineageStep:
    """One final round: which model it started from, which came out, who took part and who attested."""

    round: int
    base: str
    model: str
    participants: tuple[str, ...]
    attested_by: tuple[str, ...]


@dataclass(frozen=True)
class ModelCard:
    """What a model file says of itself; the ledger can confirm every line."""

    study: str
    purpose: str
    channel: str
    round: int
    model: str
    code: str
    schema: str
    initial_model: str
    attested_by: tuple[str, ...]
    lineage: tuple[LineageStep, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the card as JSON types."""
        card: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return card


@dataclass(frozen=True)
class ModelFile:
    """A model read back: its card and its parameters, float64[P]."""

    card: ModelCard
    parameters: Parameters


async def export_model(configuration: HospitalConfiguration, study: str, target: Path) -> ModelCard:
    """Write the newest final model of a study with its lineage from the ledger.

    Raises:
        ModelFileError: no round of the study is final, or this hospital hasn't derived the model yet.
    """
    profile = Profile.load(configuration.profile)
    async with Gateway.connect(profile) as gateway:
        federation = Federation(gateway.network().contract())
        view = await federation.read_study(study)
        numbers = range(1, view.head.last_final_round + 1)
        rounds = [(await federation.read_round(study, number)).round for number in numbers]
    lineage = tuple(
        LineageStep(state.round, state.base, state.model or "", state.participants, state.attested_by)
        for state in rounds
        if state.phase is RoundPhase.FINAL
    )
    if not lineage:
        raise ModelFileError(f"no round of study {study} is final yet; see: consilium study status {study}")
    parameters = StudyJournal(configuration.state, study).load_model(view.head.model)
    if parameters is None:
        raise ModelFileError(
            f"model {view.head.model} isn't in {configuration.state}; run the agent: consilium client run"
        )
    terms = view.study.terms
    card = ModelCard(
        study=study,
        purpose=terms.purpose,
        channel=profile.channel,
        round=lineage[-1].round,
        model=view.head.model,
        code=terms.code,
        schema=terms.schema,
        initial_model=terms.initial_model,
        attested_by=lineage[-1].attested_by,
        lineage=lineage,
    )
    await asyncio.to_thread(_write, target, card, parameters)
    return card


def _write(target: Path, card: ModelCard, parameters: Parameters) -> None:
    # One entry: safetensors writes several in any order, and every hospital's file should have the same bytes.
    header = {_HEADER: json.dumps({"format": FORMAT, "card": card.as_dict()}, sort_keys=True)}
    write_durably(target, save({_TENSOR: np.ascontiguousarray(parameters)}, metadata=header), mode=0o644)


async def import_model(configuration: HospitalConfiguration, source: Path) -> ModelCard:
    """Take a partner's model file as this hospital's model of the study, if the ledger says that it is its newest one.

    For a hospital that can't derive it: whoever published the last sum serves it to the others only, or the key of a
    round was sealed to everybody else. Nothing but the digest is believed.

    Raises:
        ModelFileError: not a model file, or not the study's newest final model.
    """
    model = await asyncio.to_thread(read_model, source)
    async with Gateway.connect(Profile.load(configuration.profile)) as gateway:
        view = await Federation(gateway.network().contract()).read_study(model.card.study)
    if view.head.model != model.card.model:
        raise ModelFileError(
            f"{source} holds model {model.card.model}; the newest one of study {model.card.study} is {view.head.model}"
        )
    StudyJournal(configuration.state, model.card.study).save_model(model.parameters)
    return model.card


def read_model(path: Path) -> ModelFile:
    """Read a model file and check that its parameters have the hash it claims.

    Raises:
        ModelFileError: missing, not such a file, or changed.
    """
    if not path.is_file():
        raise ModelFileError(f"no model at {path}; write one: consilium model export")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
            parameters: Parameters = file.get_tensor(_TENSOR)
        if header.get("format") != FORMAT:
            raise ModelFileError(f"{path} has format {header.get('format')!r}; this release reads {FORMAT!r}")
        fields = header["card"]
        steps = tuple(
            LineageStep(
                **{**step, "participants": tuple(step["participants"]), "attested_by": tuple(step["attested_by"])}
            )
            for step in fields["lineage"]
        )
        card = ModelCard(**{**fields, "lineage": steps, "attested_by": tuple(fields["attested_by"])})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} isn't a Consilium model: {error}") from None
    if model_digest(parameters) != card.model:
        raise ModelFileError(
            f"{path} was changed: its parameters have digest {model_digest(parameters)}, not {card.model}"
        )
    return ModelFile(card, parameters)


def predict(model: Path, study: Path, table: Path) -> list[str]:
    """Apply a model to a table; return CSV lines `row,score`, the score being the probability of the positive class.

    Raises:
        ModelFileError: the study file's task or columns aren't those the model was trained with.
        ClientError: the table has a missing column or a value out of range.
    """
    from consilium_client.study_file import load_study_file  # brings torch, which nothing else here needs

    read, file = read_model(model), load_study_file(study)
    for name in ("code", "schema"):
        ours, theirs = getattr(file.terms, name), getattr(read.card, name)
        if ours != theirs:
            raise ModelFileError(
                f"{study}: {name} {ours[:16]} isn't the one the model was trained with ({theirs[:16]})"
            )
    scores = file.score(read.parameters, table)
    return ["row,score", *(f"{number},{score:.6f}" for number, score in enumerate(scores, start=1))]
