"""Endorsement policies of single keys, in a chaincode that isn't the federation's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import federation_world as world
import pytest
from forgeries import closing
from played_calls import Call
from played_chain import PlayedChain
from played_membership import PlayedConsortium

from consilium_chaincode.shim.endorsement_policies import quorum_of
from consilium_trail.verification.findings import Step
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

POLICY_FAILURE = bytes([10])
OF_GAMMA = quorum_of(1, [world.GAMMA])


@pytest.fixture
def chain() -> PlayedChain:
    """A channel with a second chaincode, in which one key has a policy of its own: Gamma's peer endorses it."""
    made = PlayedChain(PlayedConsortium())
    made.begin_study()
    made.commit(made.definition("other"))
    made.seal([made.sign(put(made, world.HOSPITALS[:3], policies={"own": OF_GAMMA}))])
    return made


def put(chain: PlayedChain, endorsers: Sequence[str], key: str = "own", **more: Any) -> Call:
    chain.now += 10
    return Call(
        creator=chain.consortium.members[world.ALPHA, "client"],
        function="Put",
        arguments=(),
        chaincode="other",
        writes={key: b"1"},
        timestamp=chain.now,
        endorsers=[chain.consortium.members[name, "peer"] for name in endorsers],
        **more,
    )


def verified(chain: PlayedChain, tmp_path: Path) -> Any:
    chain.commit(closing(chain))
    return verify_trail(chain.write(tmp_path / "trail.zip"), chain.roots())


def test_a_key_s_own_policy_is_enough_for_it(chain: PlayedChain, tmp_path: Path) -> None:
    chain.seal([chain.sign(put(chain, [world.GAMMA]))])
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding
    assert found.counts.not_replayed["other"] == 2


def test_the_chaincode_s_policy_is_not_enough_for_it(chain: PlayedChain, tmp_path: Path) -> None:
    place = chain.seal([chain.sign(put(chain, world.HOSPITALS[:3]))])
    found = verified(chain, tmp_path)
    assert (found.finding.step, found.finding.place.block) == (Step.POLICIES, place)
    assert "policy of the key 'own': OutOf(1, 'GammaMSP.peer') isn't satisfied" in found.finding.reason


def test_a_key_s_own_policy_is_not_enough_for_another_key(chain: PlayedChain, tmp_path: Path) -> None:
    place = chain.seal([chain.sign(put(chain, [world.GAMMA], key="another"))])
    found = verified(chain, tmp_path)
    assert (found.finding.step, found.finding.place.block) == (Step.POLICIES, place)


def test_a_key_whose_policy_changes_can_not_be_written_again_in_the_block(chain: PlayedChain, tmp_path: Path) -> None:
    first = put(chain, [world.GAMMA], policies={"own": quorum_of(1, [world.BETA])})
    second = put(chain, [world.GAMMA])
    chain.seal([chain.sign(first), chain.sign(second)], b"\0" + POLICY_FAILURE)
    chain.seal([chain.sign(put(chain, [world.BETA]))])
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def test_a_policy_goes_with_its_key(chain: PlayedChain, tmp_path: Path) -> None:
    gone = put(chain, [world.GAMMA])
    gone.writes["own"] = None
    chain.seal([chain.sign(gone)])
    chain.seal([chain.sign(put(chain, world.HOSPITALS[:3]))])
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding
