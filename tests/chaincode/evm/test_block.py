"""What a program sees of the block, and of its transaction."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evm_world import CONTRACT, ENVIRONMENT, SENDER, word_of

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.evm.environment import Environment

BLOCK = Environment(
    chain_id=1337,
    number=1_000,
    timestamp=1_700_000_000,
    gas_limit=25_000_000,
    base_fee=7,
    coinbase=bytes([0xFE]) * 20,
    prev_randao=bytes([0xAB]) * 32,
    blob_base_fee=9,
    block_hash=lambda number: (number + 5).to_bytes(32, "big"),
)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("CHAINID", 1337),
        ("NUMBER", 1_000),
        ("TIMESTAMP", 1_700_000_000),
        ("GASLIMIT", 25_000_000),
        ("BASEFEE", 7),
        ("BLOBBASEFEE", 9),
        ("COINBASE", int("fe" * 20, 16)),
        ("PREVRANDAO", int("ab" * 32, 16)),
        ("GASPRICE", 7 + 2),
        ("ORIGIN", int.from_bytes(SENDER, "big")),
        ("ADDRESS", int.from_bytes(CONTRACT, "big")),
    ],
)
def test_what_it_says(name: str, word: int) -> None:
    assert word_of(assemble(name), environment=BLOCK, max_fee=20, max_priority_fee=2) == word


@pytest.mark.parametrize(
    ("number", "known"), [(999, True), (744, True), (743, False), (1_000, False), (2**256 - 1, False)]
)
def test_the_hashes_of_the_256_blocks_before_this_one_are_the_environments(number: int, known: bool) -> None:
    block = replace(BLOCK, base_fee=0)
    assert word_of(assemble(number, "BLOCKHASH"), environment=block) == (number + 5 if known else 0)


def test_the_ledgers_block_hashes_are_zero() -> None:
    assert word_of(assemble(999, "BLOCKHASH"), environment=ENVIRONMENT) == 0


def test_there_are_no_blobs() -> None:
    assert word_of(assemble(0, "BLOBHASH")) == 0
    assert word_of(assemble(2**256 - 1, "BLOBHASH")) == 0
