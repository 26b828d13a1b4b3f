"""The privacy account: a round counts once, before it is trained, and comes back only when nothing was uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from opacus.accountants import RDPAccountant

from consilium_client.errors import PrivacyError
from consilium_client.training.accountant import Accountant, Cost, epsilon_of
from consilium_proto.records import PrivacyTerms

DATA_SET = "ab" * 32
COST = Cost(1, 4, 2100, 1000, 4)


def terms(budget: int = 3_000_000) -> PrivacyTerms:
    return PrivacyTerms(
        noise_multiplier_milli=2100,
        clip_milli=1000,
        delta_numerator=1,
        delta_denominator=1000,
        epsilon_budget_micro=budget,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "account.json"


def test_a_round_counts_once_however_often_it_is_reserved(path: Path) -> None:
    account = Accountant(path, DATA_SET)
    first, again = (account.reserve("s", 1, COST, terms()) for _ in range(2))
    assert first == again
    assert (first.epsilon_before_micro, first.epsilon_after_micro) == (0, epsilon_of([COST], terms()))
    second = account.reserve("other-study", 1, COST, terms())
    assert second.epsilon_before_micro == first.epsilon_after_micro
    assert second.data_set == DATA_SET


def test_it_is_on_disk_before_training_begins_and_survives_a_restart(path: Path) -> None:
    Accountant(path, DATA_SET).reserve("s", 1, COST, terms())
    reopened = Accountant(path, DATA_SET)
    assert not reopened.lost
    assert reopened.epsilon_micro(terms()) == epsilon_of([COST], terms())


def test_it_agrees_with_opacus_on_the_safe_side(path: Path) -> None:
    account, opacus = Accountant(path, DATA_SET), RDPAccountant()
    for number in range(1, 11):
        account.reserve("s", number, COST, terms())
        for _ in range(COST.steps):
            opacus.step(noise_multiplier=2.1, sample_rate=0.25)
    theirs = opacus.get_epsilon(0.001, alphas=list(range(2, 65)))
    assert theirs <= account.epsilon_micro(terms()) / 1e6 < theirs * 1.02


def test_a_round_over_the_budget_is_refused_and_not_counted(path: Path) -> None:
    one = epsilon_of([COST], terms())
    account = Accountant(path, DATA_SET)
    account.reserve("s", 1, COST, terms(one))
    with pytest.raises(PrivacyError, match=r"round 2 of s would raise epsilon to .*; the study's budget is"):
        account.reserve("s", 2, COST, terms(one))
    assert account.epsilon_micro(terms()) == one


def test_what_was_never_uploaded_is_released(path: Path) -> None:
    account = Accountant(path, DATA_SET)
    account.reserve("s", 1, COST, terms())
    account.release("s", 1)
    account.release("s", 7)
    assert account.epsilon_micro(terms()) == Accountant(path, DATA_SET).epsilon_micro(terms()) == 0


def test_a_lost_account_is_rebuilt_from_the_ledgers_entries(path: Path) -> None:
    account = Accountant(path, DATA_SET)
    entries = [account.reserve("s", number, COST, terms()) for number in (1, 2)]
    spent = account.epsilon_micro(terms())
    path.unlink()
    rebuilt = Accountant(path, DATA_SET)
    assert rebuilt.lost
    for number in (1, 2, 2):
        rebuilt.restore("s", number, entries[number - 1])
    assert rebuilt.epsilon_micro(terms()) == spent


@pytest.mark.parametrize("content", ["", "[]", '{"rounds": {"s/1": {"steps": 3}}}'])
def test_a_damaged_account_is_an_error_with_a_remedy(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(PrivacyError, match="isn't an account; remove it to rebuild it from the ledger"):
        Accountant(path, DATA_SET)
