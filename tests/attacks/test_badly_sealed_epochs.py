"""A holder that opens key epochs which one hospital can't open: it is kept out as long as they last, and comes back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from attack_stage import CHEAT, HOSPITALS, SetUp, Stage, attack_terms, know_wrapping_keys, right_model, wrapping_keys
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace
from patience import persistently

from consilium_client import key_renewal
from consilium_client.configuration import HospitalConfiguration
from consilium_client.errors import ModelFileError
from consilium_client.key_epochs import new_epoch
from consilium_client.model_file import export_model, import_model
from consilium_network.network import Network
from consilium_proto.records import RoundPhase

pytestmark = pytest.mark.network

VICTIM = "LongBeachMSP"
# Longer than a round takes to reach ANCHORED, so that one is played while the victim is kept out: it ends OPEN by its
# deadline.
PAUSE_SECONDS = 35


async def seal_badly(stage: Stage, number: int) -> None:
    """Open a key epoch in which the victim's share is sealed to a key that nobody has."""
    nobodys = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    epoch, _seed = new_epoch(stage.name, number, wrapping_keys(stage.parties) | {VICTIM: nobodys})
    await persistently(lambda: stage.parties[CHEAT].client.open_key_epoch(epoch))


def configuration(stage: Stage, network: Network, organization: str) -> HospitalConfiguration:
    """Return what the commands on models need of a hospital's configuration."""
    name = next(name for name, member in HOSPITALS.items() if member == organization)
    values = SimpleNamespace(profile=network.profile(name), state=stage.folder / organization)
    return cast(HospitalConfiguration, values)


async def test_a_badly_sealed_epoch_keeps_a_hospital_out_no_longer_than_it_lasts(
    network: Network, new_stage: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens another at once, but not again at once; its agent lives on, and takes a partner's model."""
    stage = await new_stage(replace(attack_terms("open"), rounds=3))
    know_wrapping_keys(stage.parties, monkeypatch)
    monkeypatch.setattr(key_renewal, "FIRST_PAUSE_SECONDS", PAUSE_SECONDS)
    await seal_badly(stage, 2)
    async with stage.running():
        await stage.first_under(3)
        await seal_badly(stage, 4)
        number = (await stage.first_under(4)).round.round
        without = await stage.until(lambda view: view.round.phase.decided, number=number)
        assert (without.round.phase, without.round.epoch) == (RoundPhase.FINAL, 4)
        assert VICTIM not in {entry.hospital for entry in without.joins}
        await export_model(configuration(stage, network, CHEAT), stage.name, tmp_path / "model")
        card = await import_model(configuration(stage, network, VICTIM), tmp_path / "model")
        assert card.model == without.round.model == right_model(stage.terms, without.round.participants)
        last = (await stage.first_under(5)).round.round
        between = [(await stage.view(other)).round.phase for other in range(number + 1, last)]
        assert set(between) <= {RoundPhase.VOID}
        with_it = await stage.until(lambda view: view.round.phase.decided, number=last)
    assert (with_it.round.phase, with_it.round.epoch) == (RoundPhase.FINAL, 5)
    assert VICTIM in with_it.round.participants
    assert VICTIM in with_it.round.attested_by
    with pytest.raises(ModelFileError, match="the newest one of study"):
        await import_model(configuration(stage, network, VICTIM), tmp_path / "model")
