"""Makes a trail that the tests keep, of a channel with the EVM: plays a rewarded study on a real network, exports it.

    python scripts/make_reward_trail_fixture.py tests/peers/trail/format-1-rewards

It has what a verifier of both contracts must follow: the EVM's terms, a round that credits its hospitals, an address
named before it and one named after it, the end of an epoch, a reported claim; and transactions of the EVM itself, a
contract that is created and called, and one call that fails.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from consilium_bench.evm_oracle.assembler import assemble
from consilium_bench.ledger_round import SET, Vectors, connected
from consilium_bench.parties import ActiveStudy, begin_study, persistently
from consilium_bench.played_round import PlayedRound
from consilium_network.network import Network
from consilium_peers.gateway import Gateway
from consilium_peers.gateway import Network as Channel
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.ethereum.rewards import ClaimReport
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data
from consilium_proto.ethereum.transactions import IdentityTransaction, ReceiptRecord
from consilium_proto.records import RewardTerms, RoundPhase
from make_trail_fixture import make

EXPORTER = "cleveland"
ACCOUNTS = (as_data(bytes([0xA1]) * 20), as_data(bytes([0xA2]) * 20))
PUBLIC_CHAIN = 31_337
COUNTER = assemble(0, "SLOAD", 1, "ADD", "DUP1", 0, "SSTORE", 0, "MSTORE", 32, 0, "RETURN")
"""Counts its calls in slot 0, and returns how many there were."""
GAS = 200_000


async def play(network: Network) -> str:
    """Play the study; return its name."""
    async with (
        Gateway.connect(Profile.load(network.profile("cleveland", "admin"))) as cleveland,
        Gateway.connect(Profile.load(network.profile("hungary", "admin"))) as hungary,
        connected(network) as parties,
    ):
        first, second = (gateway.network().contract(EVM_CHAINCODE) for gateway in (cleveland, hungary))
        await Rewards(first).set_payout_address(ACCOUNTS[0])
        await _run_the_evm(cleveland.network())
        reward = RewardTerms(pot=amount_of_tokens("100"), weight_cap=1000)
        study = await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, 1, reward=reward)
        await _round(study)
        await persistently(lambda: Rewards(second).set_payout_address(ACCOUNTS[1]))
        await persistently(lambda: Rewards(first).close_epoch(1))
        report = ClaimReport(epoch=1, index=0, chain_id=PUBLIC_CHAIN, transaction=as_data(bytes([7]) * 32))
        await persistently(lambda: Rewards(first).report_claim(report))
        return study.name


async def _round(study: ActiveStudy) -> None:
    vectors = Vectors(study)
    played = PlayedRound(study, 1, vectors.digests)
    for step in (played.open, played.join, played.anchor, played.hold_and_publish, played.reveal):
        await step()
    await played.fingerprint(vectors.values(await played.challenge()), RoundPhase.VERIFIED)
    await played.attest()


async def _run_the_evm(channel: Channel) -> None:
    """Create a contract, call it, and call it with too little gas."""
    deploying = assemble(len(COUNTER), "DUP1 DUP1 CODESIZE SUB PUSH0 CODECOPY PUSH0 RETURN") + COUNTER
    created = await _execute(channel, None, deploying)
    assert created.contract is not None, created.error
    for gas, status in ((GAS, 1), (22_000, 0)):
        called = await _execute(channel, created.contract, b"", gas)
        assert called.status == status, called.error


async def _execute(channel: Channel, to: str | None, data: bytes, gas: int = GAS) -> ReceiptRecord:
    argument = IdentityTransaction(
        to=to, data=as_data(data), value="0x0", gas=hex(gas), block_number=await channel.height()
    )
    done = await channel.contract(EVM_CHAINCODE).submit("Execute", encode(argument))
    await asyncio.sleep(1.0)
    return decode(ReceiptRecord, done.payload)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="the folder to write to")
    asyncio.run(make(parser.parse_args().target, play, (EXPORTER,), evm=True))
