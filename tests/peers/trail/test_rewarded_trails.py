"""Trails of a channel with the EVM: both contracts are run again, and every false word of either is found."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import federation_world as world
import pytest
from fabric_protos.common import policies_pb2
from fabric_protos.peer import policy_pb2
from forgeries import Forgery
from played_calls import Call
from reward_forgeries import IN_THE_EVM, IN_THE_FEDERATION
from reward_world import POT, account
from rewarded_chain import LOOPS, RewardedChain

from consilium_chaincode.shim.endorsement_policies import quorum_of
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_quantity
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.findings import Step
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail


@pytest.fixture
def chain(attested: RewardedChain) -> RewardedChain:
    """A rewarded chain whose first round waits for its last step, to which blocks can be added."""
    return attested.copied()


def verified(chain: RewardedChain, tmp_path: Path) -> Any:
    return verify_trail(chain.write(tmp_path / "trail.zip"), chain.roots())


def test_a_rewarded_round_is_sound_and_says_whom_it_rewarded(chain: RewardedChain, tmp_path: Path) -> None:
    chain.commit(chain.finalising())
    chain.name_address(world.BETA, 2)
    chain.close_epoch()
    chain.report_claim()
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding
    assert found.counts.not_replayed == {"_lifecycle": 2}
    (proof,) = found.rounds
    reward = proof.fact.reward
    assert (reward.pot, reward.granted, reward.epoch) == (as_quantity(POT), as_quantity(POT), 1)
    assert [(share.hospital, share.account) for share in reward.shares] == [
        (name, account(1) if name == world.ALPHA else None) for name in world.HOSPITALS
    ]


def test_a_real_channel_s_rewards_are_sound(rewarded: Path) -> None:
    """What Fabric's peers put into read and write sets of two chaincodes is what the replay expects there."""
    found = verify_trail(rewarded, TrustedRoots.load(rewarded.parent / "roots.pem"))
    assert found.verdict is Verdict.SOUND, found.finding
    assert found.genesis_trusted
    assert set(found.counts.not_replayed) == {"_lifecycle"}
    (proof,) = found.rounds
    assert proof.fact.reward.granted == amount_of_tokens("100")
    assert [share.account is None for share in proof.fact.reward.shares] == [False, True, True, True]


@pytest.mark.parametrize("forgery", (IN_THE_FEDERATION | IN_THE_EVM).values(), ids=IN_THE_FEDERATION | IN_THE_EVM)
def test_a_false_word_about_rewards_is_found(forgery: Forgery, chain: RewardedChain, tmp_path: Path) -> None:
    honest = len(chain.raw)
    forgery.forge(chain)
    chain.ask()
    found = verified(chain, tmp_path)
    assert found.finding is not None
    assert found.finding.step is forgery.step, found.finding
    assert re.search(forgery.reason, found.finding.reason), found.finding
    assert found.finding.place.block >= honest


def with_policy_of_all(chain: RewardedChain) -> Call:
    """Return the EVM's definition with a policy of its own: all four hospitals endorse."""
    policy = policy_pb2.ApplicationPolicy(
        signature_policy=policies_pb2.SignaturePolicyEnvelope.FromString(quorum_of(4, world.HOSPITALS))
    )
    return chain.definition(EVM_CHAINCODE, policy)


def test_a_round_that_credits_needs_the_endorsements_of_both_chaincodes(
    chain: RewardedChain, attested: RewardedChain, tmp_path: Path
) -> None:
    """What three hospitals endorse is enough for the federation's state, and not for the EVM's."""
    chain.commit(with_policy_of_all(chain))
    place = chain.commit(chain.finalising())
    chain.ask()
    found = verified(chain, tmp_path)
    assert (found.finding.step, found.finding.place.block) == (Step.POLICIES, place)
    assert "definition of evm" in found.finding.reason

    good = attested.copied()
    good.commit(with_policy_of_all(good))
    final = good.finalising()
    final.endorsers = [good.consortium.members[name, "peer"] for name in world.HOSPITALS]
    good.commit(final)
    found = verified(good, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


async def test_a_long_execution_is_run_again_to_its_end_also_on_an_event_loop(
    chain: RewardedChain, tmp_path: Path
) -> None:
    """Where there is a loop, the EVM offers it turns; that is no reason to give up."""

    def play() -> None:
        chain.commit(chain.execution(chain.create(LOOPS), gas=2_000_000))
        chain.ask()

    await asyncio.to_thread(play)
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def run_python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


_VERIFY = """
import sys
from pathlib import Path
sys.modules.update(dict.fromkeys({absent!r}))
from consilium_trail.roots import TrustedRoots
from consilium_trail.verify import verify_trail
found = verify_trail(Path(sys.argv[1]), TrustedRoots.load(Path(sys.argv[2])))
print(found.verdict, found.finding, *(name for name in ("ckzg", "py_ecc") if sys.modules.get(name)), sep="|")
"""


def test_without_the_evm_s_packages_the_answer_says_what_to_install(
    chain: RewardedChain, good: Path, tmp_path: Path
) -> None:
    trail, roots = chain.write(tmp_path / "trail.zip"), tmp_path / "roots.pem"
    roots.write_bytes(chain.roots_file())
    said = run_python(_VERIFY.format(absent=["ckzg"]), str(trail), str(roots))
    assert said.startswith("unreadable|unreadable, block")
    assert "needs ckzg, which isn't installed: pip install 'consilium[trail]'" in said
    # A channel that never calls the EVM needs none of it.
    absent = ["ckzg", "py_ecc", "coincurve", "sha3", "eth_abi"]
    assert run_python(_VERIFY.format(absent=absent), str(good), str(good.parent / "roots.pem")).strip() == "sound|None"
