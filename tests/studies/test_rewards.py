"""A rewarded study on the real network: credit with the final round, addresses, an epoch, what the command shows."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from patience import SETTLING_SECONDS, is_behind, persistently

from consilium_bench.ledger_round import SET, Vectors, connected
from consilium_bench.parties import ActiveStudy, begin_study
from consilium_bench.played_round import PlayedRound
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto import canonical
from consilium_proto.ethereum.resolutions import EvmTerms, ResolutionArgument, RewardLedgerTerms
from consilium_proto.ethereum.rewards import Contribution, RoundCredit
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_quantity, from_data
from consilium_proto.records import RewardTerms, RoundPhase
from consilium_proto.refusals import RefusalCode
from consilium_proto.rewards.payout_tree import Payout, payout_root
from consilium_proto.rewards.tokens import from_tokens

pytestmark = pytest.mark.network

HOSPITALS = {
    "ClevelandMSP": "cleveland",
    "HungaryMSP": "hungary",
    "LongBeachMSP": "longbeach",
    "SwitzerlandMSP": "switzerland",
}
# Of EIP-55's examples.
ACCOUNT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
OTHER_ACCOUNT = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rewarding(network: Network) -> AsyncIterator[Network]:
    """The network with a ledger of rewards."""
    await network.deploy_chaincode(EVM_CHAINCODE, "consilium_chaincode.ethereum.contract:EthereumContract")
    rewards = RewardLedgerTerms(
        token_name="Consilium Reward",
        token_symbol="CSR",
        round_cap=as_quantity(from_tokens("1000")),
        epoch_cap=as_quantity(from_tokens("100000")),
    )
    terms = EvmTerms(
        revision=1, chain_id=90_210, gas_cap=16_000_000, clock_tolerance=60, block_tolerance=100, rewards=rewards
    )
    argument = canonical.encode(ResolutionArgument(resolution=terms))
    for function, names in (("Approve", list(HOSPITALS.values())), ("Enact", ["cleveland"])):
        for name in names:
            async with Gateway.connect(Profile.load(network.profile(name, "admin"))) as gateway:
                contract = gateway.network().contract(EVM_CHAINCODE)
                await persistently(lambda contract=contract, function=function: contract.submit(function, argument))
    yield network


async def consilium(network: Network, words: str, name: str = "cleveland", user: str = "client") -> Any:
    """Run `consilium WORDS --json` as a user of an organisation and return what it prints.

    What a peer that is a block behind refuses is asked again.
    """
    profile = str(network.profile(name, user))
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "consilium_command", *words.split(), "--json", "--profile", profile),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            answer, said = await process.communicate()
            if process.returncode == 0:
                return json.loads(answer)
            assert is_behind(GatewayError("", "ABORTED", said.decode())), said.decode()


async def until(network: Network, words: str, wanted: Callable[[Any], bool]) -> Any:
    """Run a command as a client of Cleveland's until its answer is the wanted one."""
    async with asyncio.timeout(SETTLING_SECONDS):
        while not wanted(found := await consilium(network, words)):
            await asyncio.sleep(0.1)
        return found


async def played(network: Network, reward: RewardTerms) -> ActiveStudy:
    """Return a study of one round, which its hospitals played to FINAL."""
    async with connected(network) as parties:
        study = await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, 1, reward=reward)
        vectors = Vectors(study)
        round_ = PlayedRound(study, 1, vectors.digests)
        for step in (round_.open, round_.join, round_.anchor, round_.hold_and_publish, round_.reveal):
            await step()
        await round_.fingerprint(vectors.values(await round_.challenge()), RoundPhase.VERIFIED)
        await round_.attest()
        return study


async def test_a_studys_hospitals_are_rewarded_on_the_network(rewarding: Network) -> None:
    """Every number is seen twice: by the command, and in what the contract computed its root of."""
    named = await consilium(rewarding, f"reward address --set {ACCOUNT}", "cleveland", "admin")
    assert (named[0]["hospital"], named[0]["account"], named[0]["assigned"]) == ("ClevelandMSP", ACCOUNT, "0")
    study = await played(rewarding, RewardTerms(pot=as_quantity(from_tokens("100")), weight_cap=1000))
    status = await consilium(rewarding, f"study status {study.name}")
    assert status["reward"] == {"per_round": "100", "weight_cap": 1000}

    shares = await consilium(rewarding, f"reward history --study {study.name}")
    assert [(each["hospital"], each["account"], each["amount"], each["granted"]) for each in shares] == [
        (hospital, ACCOUNT if hospital == "ClevelandMSP" else "", "25", "100") for hospital in HOSPITALS
    ]
    epoch = shares[0]["epoch"]
    waiting = await consilium(rewarding, "reward balance --hospital HungaryMSP")
    assert (waiting[0]["balance"], waiting[0]["waiting"]) == ("0", "25")
    named = await consilium(rewarding, f"reward address --set {OTHER_ACCOUNT}", "hungary", "admin")
    assert named[0]["assigned"] == "25"
    await until(rewarding, "reward balance --hospital HungaryMSP", lambda found: found[0]["balance"] == "25")

    closed = await consilium(rewarding, "reward close-epoch")
    assert closed["epoch"] == epoch
    payouts = [Payout(from_data(each["account"]), int(each["amount"], 16)) for each in closed["payouts"]]
    assert payouts == [Payout(from_data(each.lower()), from_tokens("25")) for each in (ACCOUNT, OTHER_ACCOUNT)]
    assert from_data(closed["root"]) == payout_root(payouts)
    balances = {each["hospital"]: each for each in await consilium(rewarding, "reward balance")}
    assert [balances[name]["balance"] for name in HOSPITALS] == ["25", "25", "0", "0"]
    assert [balances[name]["waiting"] for name in HOSPITALS] == ["0", "0", "25", "25"]
    claims = await until(rewarding, f"reward claims --epoch {epoch}", lambda found: len(found) == 2)
    assert [(each["index"], each["account"], each["amount"], each["reported_by"]) for each in claims] == [
        (0, ACCOUNT, "25", []),
        (1, OTHER_ACCOUNT, "25", []),
    ]


async def test_nobody_but_the_federation_credits_on_the_network(rewarding: Network) -> None:
    """The peers tell chaincode which chaincode the client called."""
    credit = RoundCredit(
        study="nothing",
        round=1,
        pot="0x64",
        weight_cap=10,
        contributions=(Contribution(hospital="ClevelandMSP", weight=1),),
    )
    for user in ("client", "admin"):
        async with Gateway.connect(Profile.load(rewarding.profile("cleveland", user))) as gateway:
            contract = gateway.network().contract(EVM_CHAINCODE)
            with pytest.raises(GatewayError) as refused:
                await contract.submit("CreditRound", canonical.encode(credit))
            assert refused.value.refusal is RefusalCode.FORBIDDEN
            with pytest.raises(GatewayError) as absent:
                await Rewards(contract).read_round_reward("nothing", 1)
            assert absent.value.refusal is RefusalCode.NOT_FOUND


async def test_a_reward_above_what_a_round_may_credit_isnt_proposed_on_the_network(rewarding: Network) -> None:
    """The refusal comes from the other chaincode, and arrives with its code."""
    async with connected(rewarding) as parties:
        reward = RewardTerms(pot=as_quantity(from_tokens("1000.1")), weight_cap=1000)
        with pytest.raises(GatewayError) as refused:
            await begin_study(rewarding.topology.channel, parties, SET, SET.values_per_chunk, 1, reward=reward)
        assert refused.value.refusal is RefusalCode.UNSAFE_TERMS
