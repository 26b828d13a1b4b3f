"""How long chaincode takes to decide one dispute, in its own time and without TenSEAL.

A whole study is played on a ledger in memory up to the point where a hospital's list of per-chunk fingerprints is to
be disproved by a chunk of the largest vector. What is timed is the whole of `Disprove`, its argument decoded and all
that it reads with it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import sys
import time
from functools import partial
from typing import Any

import numpy as np

from consilium_bench import shapes
from consilium_bench.child import answer, arguments_of, say
from consilium_bench.memory_parties import MemoryContract, founded
from consilium_bench.parties import EPOCH, ActiveStudy, begin_study
from consilium_bench.played_round import PUBLICATION, PlayedRound
from consilium_chaincode.shim.memory_stub import MemoryLedger
from consilium_proto import canonical
from consilium_proto.chunk_tree import chunk_digest, inclusion_proof
from consilium_proto.chunks import SEED_SIZE, encode_update
from consilium_proto.fingerprint import Value, add, to_record
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import Disproof, Listing, ProvedChunk, RoundPhase

# Its vectors have the most chunks.
SET = parameter_set("bfv4096-q58-b20")
HOSPITALS = ("AlphaMSP", "BetaMSP", "DeltaMSP", "GammaMSP")
LIAR, WITNESS, *_ = HOSPITALS
AGGREGATOR = "SumMSP"

Digests = dict[str, list[bytes]]


async def measure(layers: shapes.Layers, repetitions: int) -> dict[str, Any]:
    """Decide a dispute `repetitions` times; return the milliseconds of a decision, and of taking a list."""
    say("disputes decided by the contract on a ledger in memory")
    ledger = MemoryLedger()
    parties = await founded(ledger, HOSPITALS, AGGREGATOR)
    study = await begin_study(ledger.channel, parties, SET, shapes.parameters(layers), 1)
    content, digests = _drawn(study.chunks)
    played = PlayedRound(study, 1, digests)
    lists = {author: _random_values(study.chunks) for author in (LIAR, WITNESS)}
    await _reach_listing(played, {author: add(values, SET) for author, values in lists.items()})
    listings = {author: canonical.encode(_listing(study, values)) for author, values in lists.items()}
    contracts = {author: MemoryContract(ledger, author, "client") for author in lists}
    listed = await _timed(partial(contracts[LIAR].simulate, "List", listings[LIAR]), repetitions)
    for author, contract in contracts.items():
        await contract.submit("List", listings[author])
    await played.advance(RoundPhase.PROVING)
    disproof = canonical.encode(_disproof(played, content, digests[LIAR]))
    decided = await _timed(partial(contracts[WITNESS].simulate, "Disprove", disproof), repetitions)
    if "tenseal" in sys.modules:
        raise RuntimeError("deciding a dispute loaded TenSEAL")
    return {"milliseconds": decided, "list_milliseconds": listed, "chunks": study.chunks}


async def _timed(call: Any, repetitions: int) -> dict[str, float]:
    times = []
    for _ in range(repetitions):
        started = time.perf_counter()
        await call()
        times.append((time.perf_counter() - started) * 1000)
    return {"median": statistics.median(times), "max": max(times)}


def _drawn(chunks: int) -> tuple[bytes, Digests]:
    """Return one true chunk, in the middle of the liar's vector, and the digests of all vectors; others are random."""
    words = np.random.default_rng(1).integers(0, SET.modulus, SET.degree, dtype=np.uint64)
    content = encode_update(SET, EPOCH, words, os.urandom(SEED_SIZE))
    digests = {name: [os.urandom(32) for _ in range(chunks)] for name in (*HOSPITALS, AGGREGATOR)}
    digests[LIAR][chunks // 2] = chunk_digest(content)
    return content, digests


def _random_values(chunks: int) -> list[Value]:
    return [(secrets.randbelow(SET.modulus), secrets.randbelow(SET.modulus)) for _ in range(chunks)]


async def _reach_listing(played: PlayedRound, of_liar: dict[str, Value]) -> None:
    """Play until the liar's vector is disputed; all agree on the other vectors."""
    await played.open()
    await played.join()
    await played.anchor()
    await played.hold_and_publish()
    await played.reveal()
    values = {(author, vector): (1, 1) for author in HOSPITALS for vector in (*HOSPITALS, AGGREGATOR)}
    values |= {(author, LIAR): value for author, value in of_liar.items()}
    await played.fingerprint(values, RoundPhase.LISTING)


def _listing(study: ActiveStudy, values: list[Value]) -> Listing:
    written = tuple(map(to_record, values))
    return Listing(study=study.name, round=1, publication=PUBLICATION, vector=LIAR, values=written)


def _disproof(played: PlayedRound, content: bytes, digests: list[bytes]) -> Disproof:
    proof = inclusion_proof(played.context(LIAR), digests, len(digests) // 2)
    path = tuple(sibling.hex() for sibling in proof.path)
    chunk = ProvedChunk(index=proof.index, content=content.hex(), path=path)
    return Disproof(study=played.study.name, round=1, publication=PUBLICATION, vector=LIAR, author=LIAR, chunk=chunk)


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    answer(asyncio.run(measure(shapes.layers_of(given["size"]), given["repetitions"])))


if __name__ == "__main__":
    main()
