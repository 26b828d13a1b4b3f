"""Two thousand random programs on the EVM and on Ethereum's executable specification, without a difference."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from consilium_bench.child import ChildError
from consilium_bench.evm_oracle.cases import make_case
from consilium_bench.evm_oracle.comparison import Specification, compare, specification
from consilium_chaincode.evm.instructions import storage

SEED = 20_261_127
PROGRAMS = 2_000


@pytest.fixture(scope="module")
def specified(repository: Path) -> Iterator[Specification]:
    with specification(
        repository / "requirements" / "ethereum-execution.txt", repository / "build" / "ethereum-execution"
    ) as running:
        yield running


def test_the_specification_agrees_on_every_program(specified: Specification) -> None:
    seen: Counter[str] = Counter()
    differing = []
    for case, own, differs in compare(specified, [make_case(SEED, number) for number in range(PROGRAMS)]):
        seen["refused" if "invalid" in own else own["error"] or "succeeded"] += 1
        if differs:
            differing.append((case.name, differs))
    assert not differing, f"{len(differing)} of {PROGRAMS} programs differ"
    # The programs get somewhere: most run to their end, and every way to fail is taken.
    assert seen["succeeded"] > PROGRAMS // 3
    assert seen["refused"] < PROGRAMS // 4
    assert {"OutOfGas", "Reverted", "StackUnderflow", "InvalidOpcode", "InvalidJump", "PrecompileFailure"} <= set(seen)


def test_an_error_of_one_unit_of_gas_is_found(specified: Specification, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "SSTORE_SET_GAS", storage.SSTORE_SET_GAS + 1)
    cases = [make_case(SEED, number) for number in range(100)]
    assert any("gas_used" in differs for _, _, differs in compare(specified, cases))


def test_a_case_is_the_same_whenever_it_is_made() -> None:
    assert make_case(SEED, 7).document() == make_case(SEED, 7).document()
    assert make_case(SEED, 7).document() != make_case(SEED, 8).document()


def test_a_process_that_ends_is_noticed() -> None:
    with Specification.started([sys.executable, "-c", "input(); print('{}')"]) as ending:
        ending.begin(make_case(SEED, 1))
        assert ending.answer() == {}
        with pytest.raises(ChildError, match="process ended"):
            ending.answer()
