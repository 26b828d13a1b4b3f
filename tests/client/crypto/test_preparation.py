"""Encryptions of zero that another process prepares: used once, of the right key, and never missed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from multiprocessing.context import SpawnContext
from typing import Any

import numpy as np
import pytest

from consilium_aggregator.summation import add_chunks
from consilium_client import preparation
from consilium_client.encryption import UpdateCipher
from consilium_client.preparation import preparing
from consilium_proto.parameter_sets import parameter_set

SEED = bytes(range(64))
BYTE = parameter_set("bfv4096-q58-b8")
SLOTS = np.random.default_rng(1).integers(0, 1 << BYTE.plain_bits, (6, BYTE.degree), dtype=np.uint64)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two chunks be worth a process."""
    monkeypatch.setattr(preparation, "FEWEST_CHUNKS", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


@pytest.mark.usefixtures("few")
async def test_zeros_come_from_a_second_process_and_are_of_the_same_key() -> None:
    async with preparing(BYTE, SEED, 1, 6) as prepared:
        assert prepared is not None
        deadline = time.monotonic() + 60
        while len(prepared) < 6:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        cipher = UpdateCipher(BYTE, SEED, 1, zeros=prepared)
        chunks = list(cipher.encrypt(SLOTS))
        assert len(prepared) == 0
    assert (cipher.decrypt([add_chunks(BYTE, 1, [chunk]) for chunk in chunks]) == SLOTS).all()
    assert len({chunk[-64:] for chunk in chunks}) == 6


@pytest.mark.usefixtures("few")
async def test_what_isnt_used_is_forgotten_and_the_process_ends() -> None:
    async with preparing(BYTE, SEED, 1, 2000) as prepared:
        assert prepared is not None
    assert not [child for child in multiprocessing_children() if "spawn_main" in child]


def multiprocessing_children() -> list[str]:
    listed = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=False
    )
    return [line for line in listed.stdout.splitlines() if sys.executable in line]


async def test_few_chunks_are_encrypted_without_a_second_process() -> None:
    async with preparing(BYTE, SEED, 1, preparation.FEWEST_CHUNKS - 1) as prepared:
        assert prepared is None


@pytest.mark.usefixtures("few")
async def test_without_a_second_process_the_hospital_encrypts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise OSError("too many processes")

    monkeypatch.setattr(SpawnContext.Process, "start", refuse)
    async with preparing(BYTE, SEED, 1, 6) as prepared:
        assert prepared is None


@pytest.mark.usefixtures("few")
async def test_a_second_process_that_dies_leaves_the_rest_to_the_first() -> None:
    async with preparing(BYTE, SEED, 1, 6) as prepared:
        for child in multiprocessing.active_children():
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
        cipher = UpdateCipher(BYTE, SEED, 1, zeros=prepared)
        chunks = list(cipher.encrypt(SLOTS))
    assert (cipher.decrypt([add_chunks(BYTE, 1, [chunk]) for chunk in chunks]) == SLOTS).all()
