"""What measures the ledger, on the in-memory ledger: a round and a reward that the contracts accept."""

from __future__ import annotations

import time
from typing import Any, cast

from consilium_bench import ledger_round, reward_credit, rows
from consilium_bench.crediting_contract import CreditingFederation, NamingEthereum
from consilium_bench.memory_parties import founded
from consilium_bench.parties import begin_study
from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.shim.memory_stub import MemoryLedger
from consilium_chaincode.shim.stub import Creator
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.rewards import RoundReward
from consilium_proto.records import Consortium

HOSPITALS = ("AlphaMSP", "BetaMSP", "DeltaMSP", "GammaMSP")
STEPS = ["opening", "OPEN", "SEALED", "ANCHORED", "AGGREGATED", "CHALLENGED", "VERIFIED"]


async def test_an_honest_round_becomes_final_in_every_step() -> None:
    parties = await founded(MemoryLedger(), HOSPITALS, "SumMSP")
    chosen = ledger_round.SET
    study = await begin_study("consilium", parties, chosen, chosen.values_per_chunk, rounds=2)
    said: list[str] = []
    played = [await ledger_round.timed_round(study, number, said.append) for number in (1, 2)]
    assert [list(phases) for phases in played] == [STEPS, STEPS]
    assert "round 2 FINAL" in said[1]
    assert rows.ledger_row({"seconds": 4.0}).met


class Administrator:
    """An administrator's calls of one of the bench's chaincodes, each in a block of its own."""

    def __init__(self, ledger: MemoryLedger, name: str, organization: str) -> None:
        self._ledger, self._contract = ledger, ledger.chaincodes[name]
        self._creator = Creator(msp_id=organization, certificate=b"", role="admin", attributes={})

    async def submit(self, function: str, *arguments: bytes) -> None:
        now = time.time_ns() // 1_000_000
        await self._ledger.invoke(self._contract, function, *arguments, creator=self._creator, timestamp=now)


async def test_the_reward_that_is_timed_credits_twenty_hospitals() -> None:
    chaincodes = {"federation": CreditingFederation(), "evm": NamingEthereum(heights=None)}
    ledger = MemoryLedger(chaincodes=chaincodes)
    founding = Consortium(hospitals=HOSPITALS, aggregators=("SumMSP",), revision=1)
    for hospital in HOSPITALS:
        await Administrator(ledger, "federation", hospital).submit("ApproveConsortium", encode(founding))
    await Administrator(ledger, "federation", HOSPITALS[0]).submit("EnactConsortium", encode(founding))
    for hospital in HOSPITALS[:3]:
        await Resolutions(cast(Any, Administrator(ledger, "evm", hospital))).approve(reward_credit.TERMS)
    evm = cast(Any, Administrator(ledger, "evm", HOSPITALS[0]))
    await Resolutions(evm).enact(reward_credit.TERMS)
    await reward_credit.name_addresses(evm)
    plain, credited = await reward_credit.timed(cast(Any, Administrator(ledger, "federation", HOSPITALS[0])))
    assert plain < credited
    last = state_keys.round_reward("bench", reward_credit.REPETITIONS + 1)
    reward = decode(RoundReward, ledger.state["evm/", last].value)
    assert [share.hospital for share in reward.shares] == list(reward_credit.HOSPITALS)
    assert all(share.account is not None for share in reward.shares)
    assert rows.reward_rows({"plain_seconds": 1.0, "credit_seconds": 2.0, "hospitals": 20})[0].met
