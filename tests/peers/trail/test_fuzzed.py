"""A brief run of what `make fuzz` does at length: changed input gives an answer or a typed error."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from fuzz_targets import TARGETS, run_target, seeds

SECONDS = 1.5
"""For each target."""
LARGEST = 200_000


@pytest.fixture(scope="module")
def good_inputs() -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {name: [b""] for name in TARGETS}
    for name, content in seeds(Path(__file__).parent / "format-1"):
        found[name].append(content)
    return found


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Flip, drop, repeat or put in some bytes at a few places."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(changed) + 1)
        length = chance.choice((1, 1, 2, 4, 40))
        kind = chance.randrange(4)
        if kind == 0:
            changed[place : place + length] = chance.randbytes(length)
        elif kind == 1:
            del changed[place : place + length]
        elif kind == 2:
            changed[place:place] = changed[place : place + length]
        else:
            changed[place:place] = chance.choice((b"\0", b"\xff" * 9, b"\x0a\xff\xff\xff\xff\x0f", b"/../"))
    return bytes(changed)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_only_typed_errors_come_out_of_changed_input(name: str, good_inputs: dict[str, list[bytes]]) -> None:
    chance = random.Random(20_260_101)
    smaller = [each for each in good_inputs[name] if len(each) <= LARGEST] or good_inputs[name]
    end = time.monotonic() + SECONDS
    runs = 0
    while time.monotonic() < end:
        run_target(name, mutated(chance.choice(smaller), chance))
        runs += 1
    assert runs > 10


def test_good_input_is_taken(good_inputs: dict[str, list[bytes]]) -> None:
    for name, contents in good_inputs.items():
        for content in contents[1:]:
            if name != "records":
                TARGETS[name](content)
