"""The round that measures the ledger, played on the in-memory ledger: it must be one that the contract accepts."""

from __future__ import annotations

from consilium_bench import ledger_round, rows
from consilium_bench.memory_parties import founded
from consilium_bench.parties import begin_study
from consilium_chaincode.shim.memory_stub import MemoryLedger

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
