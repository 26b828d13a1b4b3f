"""An agent on a channel with the EVM: it follows the federation alone, and no transaction of the EVM stops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import federation_world as world
import msgspec
import pytest
from delivered import as_delivered
from forgeries import Forgery
from played_membership import CHANNEL
from reward_forgeries import IN_THE_EVM, IN_THE_FEDERATION
from rewarded_chain import LOOPS, RewardedChain

from consilium_proto.canonical import decode, encode
from consilium_proto.records import RoundPhase, RoundReference, RoundView
from consilium_trail.archive.reading import TrailReader
from consilium_trail.verification.findings import UnsoundError
from consilium_trail.verification.followed_blocks import FollowedBlocks

REFERENCE = encode(RoundReference(study=world.STUDY, round=1))


@pytest.fixture
def chain(attested: RewardedChain) -> RewardedChain:
    """A rewarded chain whose first round waits for its last step, to which blocks can be added."""
    return attested.copied()


def taken(blocks: list[bytes], followed: FollowedBlocks | None = None) -> FollowedBlocks:
    followed = followed or FollowedBlocks(CHANNEL)
    for block in blocks:
        followed.take(block)
    return followed


def phase_of(followed: FollowedBlocks, chain: RewardedChain) -> RoundPhase:
    member = chain.consortium.members[world.ALPHA, "client"]
    answer = followed.ask("ReadRound", (REFERENCE,), world.ALPHA, member.certificate_pem, chain.now)
    return decode(RoundView, answer).round.phase


def test_an_agent_follows_the_federation_without_the_evm(chain: RewardedChain) -> None:
    """Every transaction that calls the EVM, or that it calls: the federation's state is the same."""
    chain.commit(chain.finalising())
    chain.name_address(world.BETA, 2)
    chain.close_epoch()
    chain.report_claim()
    chain.commit(chain.execution(chain.create(LOOPS), gas=100_000))
    followed = taken(chain.raw)
    assert phase_of(followed, chain) is RoundPhase.FINAL
    kept = followed.kept()
    assert kept is not None
    assert b"round-reward" not in kept


def test_an_agent_follows_a_real_channel_with_the_evm(rewarded: Path) -> None:
    with TrailReader(rewarded) as trail:
        followed = FollowedBlocks(trail.manifest.channel)
        for block in trail.blocks():
            followed.take(as_delivered(block))
        assert followed.height == trail.manifest.blocks


@pytest.mark.parametrize("forgery", IN_THE_FEDERATION.values(), ids=IN_THE_FEDERATION)
def test_a_false_write_of_the_federation_s_state_is_found_whoever_wrote_it(
    forgery: Forgery, chain: RewardedChain
) -> None:
    honest = len(chain.raw)
    forgery.forge(chain)
    followed = taken(chain.raw[:honest])
    with pytest.raises(UnsoundError, match=r"federation|'/round/heart/1/'"):
        taken(chain.raw[honest:], followed)
    assert followed.kept() is None


@pytest.mark.parametrize("forgery", IN_THE_EVM.values(), ids=IN_THE_EVM)
def test_what_is_false_in_the_evm_s_state_alone_stops_no_agent(forgery: Forgery, chain: RewardedChain) -> None:
    """Agents act on the federation's state. Rewards are the verifier's matter, and no reason to stop training."""
    forgery.forge(chain)
    assert taken(chain.raw).kept() is not None


def test_a_state_that_was_kept_before_there_was_an_evm_is_gone_on_from(chain: RewardedChain) -> None:
    """The form is spelt out here: agents of the release before kept it so."""
    half = len(chain.raw) // 2
    kept = taken(chain.raw[:half]).kept()
    assert kept is not None
    form, channel, height, last_hash, cells = msgspec.msgpack.decode(kept)
    assert (form, channel, height) == ("consilium replayed ledger 1", CHANNEL, half)
    assert all(isinstance(value, bytes) for _, value, _, _ in cells)
    before = msgspec.msgpack.encode([form, channel, height, last_hash, cells])
    followed = taken(chain.raw[half:], FollowedBlocks.restored(CHANNEL, before))
    assert followed.kept() == taken(chain.raw).kept()


_FOLLOW = """
import sys
from pathlib import Path
import msgspec
import consilium_client.replayed_ledger
from consilium_trail.verification.followed_blocks import FollowedBlocks
followed = FollowedBlocks("played")
for block in msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes()):
    followed.take(block)
print(followed.height, *sorted({each.partition(".")[0] for each in sys.modules}))
print(*(each for each in sys.modules if each.startswith(("consilium_chaincode.evm", "consilium_chaincode.ethereum"))))
"""


def test_following_a_channel_loads_nothing_of_the_evm(chain: RewardedChain, tmp_path: Path) -> None:
    chain.commit(chain.finalising())
    path = tmp_path / "blocks"
    path.write_bytes(msgspec.msgpack.encode(chain.raw))
    done = subprocess.run(
        [sys.executable, "-c", _FOLLOW, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    loaded, of_evm = done.stdout.splitlines()
    assert loaded.split()[0] == str(len(chain.raw))
    assert not set(loaded.split()) & {"ckzg", "py_ecc", "coincurve", "sha3", "eth_abi", "Crypto"}
    assert of_evm == ""
