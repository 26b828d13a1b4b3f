"""A rewarded study on the real network: credit with the final round, addresses, an epoch, what the command shows."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from patience import SETTLING_SECONDS, is_behind

from consilium_bench.ledger_round import SET, Vectors, connected
from consilium_bench.parties import ActiveStudy, begin_study
from consilium_bench.played_round import PlayedRound
from consilium_network.network import Network
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto import canonical
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.ethereum.rewards import Contribution, RoundCredit
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, from_data, from_quantity
from consilium_proto.records import RewardTerms, RoundPhase
from consilium_proto.refusals import RefusalCode
from consilium_proto.rewards.payout_tree import Payout, payout_root

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


async def consilium(network: Network, words: str, name: str = "cleveland", user: str = "client") -> Any:
    """Run `consilium WORDS --json` as a user of an organisation and return what it prints.

    What a peer that is a block behind refuses is asked again, and so is an address that was named a moment ago.
    """
    profile = str(network.profile(name, user))
    async with asyncio.timeout(3 * SETTLING_SECONDS):
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


async def balances(network: Network) -> dict[str, dict[str, str]]:
    return {each["hospital"]: each for each in await consilium(network, "reward balance")}


async def test_a_studys_hospitals_are_rewarded_on_the_network(network: Network) -> None:
    """Every number is seen twice: by the command, and in what the contract computed its root of."""
    named = await consilium(network, f"reward address --set {ACCOUNT}", "cleveland", "admin")
    assert (named[0]["hospital"], named[0]["account"]) == ("ClevelandMSP", ACCOUNT)
    before = await until(network, "reward balance", lambda found: found[0]["account"] == ACCOUNT)
    reward = RewardTerms(pot=amount_of_tokens("100"), weight_cap=1000)
    study = await played(network, reward)
    status = await consilium(network, f"study status {study.name}")
    assert status["reward"] == {"per_round": "100", "weight_cap": 1000}

    shares = await consilium(network, f"reward history --study {study.name}")
    assert [(each["hospital"], each["amount"], each["granted"]) for each in shares] == [
        (hospital, "25", "100") for hospital in HOSPITALS
    ]
    assert [each["account"] for each in shares] == [each["account"] for each in before]
    after = await balances(network)
    for each in before:
        grown = after[each["hospital"]]
        place = "balance" if each["account"] else "waiting"
        assert Decimal(grown[place]) == Decimal(each[place]) + 25

    unpaid = after["HungaryMSP"]["waiting"]
    named = await consilium(network, f"reward address --set {OTHER_ACCOUNT}", "hungary", "admin")
    assert named[0]["assigned"] == unpaid
    await until(network, "reward balance --hospital HungaryMSP", lambda found: found[0]["account"] == OTHER_ACCOUNT)
    closed = await consilium(network, "reward close-epoch")
    assert closed["epoch"] == shares[0]["epoch"] == named[0]["epoch"]
    payouts = [Payout(from_data(each["account"]), from_quantity(each["amount"])) for each in closed["payouts"]]
    assert from_data(closed["root"]) == payout_root(payouts)
    assert {from_data(ACCOUNT.lower()), from_data(OTHER_ACCOUNT.lower())} <= {each.account for each in payouts}
    claims = await until(network, f"reward claims --epoch {closed['epoch']}", lambda found: len(found) == len(payouts))
    assert [(each["index"], each["account"].lower()) for each in claims] == [
        (index, each["account"]) for index, each in enumerate(closed["payouts"])
    ]
    assert (await balances(network))["HungaryMSP"]["waiting"] == "0"


async def test_nobody_but_the_federation_credits_on_the_network(network: Network) -> None:
    """The peers tell chaincode which chaincode the client called."""
    credit = RoundCredit(
        study="nothing",
        round=1,
        pot="0x64",
        weight_cap=10,
        contributions=(Contribution(hospital="ClevelandMSP", weight=1),),
    )
    for user in ("client", "admin"):
        async with Gateway.connect(Profile.load(network.profile("cleveland", user))) as gateway:
            contract = gateway.network().contract(EVM_CHAINCODE)
            with pytest.raises(GatewayError) as refused:
                await contract.submit("CreditRound", canonical.encode(credit))
            assert refused.value.refusal is RefusalCode.FORBIDDEN
            with pytest.raises(GatewayError) as absent:
                await Rewards(contract).read_round_reward("nothing", 1)
            assert absent.value.refusal is RefusalCode.NOT_FOUND


async def test_a_reward_above_what_a_round_may_credit_isnt_proposed_on_the_network(network: Network) -> None:
    """The refusal comes from the other chaincode, and arrives with its code."""
    async with connected(network) as parties:
        reward = RewardTerms(pot=amount_of_tokens("1000.1"), weight_cap=1000)
        with pytest.raises(GatewayError) as refused:
            await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, 1, reward=reward)
        assert refused.value.refusal is RefusalCode.UNSAFE_TERMS
