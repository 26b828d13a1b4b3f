"""The hospital finds the ledger's numbers before it trains, and refuses what the ledger would refuse."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from msgspec.structs import replace

from consilium_client.errors import PrivacyError
from consilium_client.journal import StudyJournal
from consilium_client.privacy_ledger import entry_to_anchor, read_settled_account
from consilium_client.site import Site
from consilium_client.training.accountant import Accountant, Cost, epsilon_of
from consilium_proto.canonical import encode
from consilium_proto.privacy_account import charge, cost_of, empty_account
from consilium_proto.records import (
    Anchor,
    AnchoredHospital,
    PendingCost,
    PrivacyAccount,
    PrivacyAccountReference,
    PrivacyEntry,
    PrivacyTerms,
    Round,
    RoundPhase,
    RoundView,
)

HOSPITAL, OTHERS = "AlphaMSP", ("BetaMSP", "GammaMSP")
DATA_SET, HASH = "ab" * 32, "cd" * 32
COST = Cost(1, 4, 2100, 1000, 4)
TERMS = PrivacyTerms(
    noise_multiplier_milli=2100,
    clip_milli=1000,
    delta_numerator=1,
    delta_denominator=1000,
    epsilon_budget_micro=3_000_000,
)
SPENT = [epsilon_of([COST] * rounds, TERMS) for rounds in range(6)]


class Ledger:
    """What the client reads of a ledger: accounts and rounds. It counts the accounts that were read."""

    def __init__(self) -> None:
        self.account = empty_account(DATA_SET)
        self.rounds: dict[tuple[str, int], RoundView] = {}
        self.asked = 0

    async def read_privacy_account(self, reference: PrivacyAccountReference) -> PrivacyAccount:
        assert (reference.hospital, reference.data_set) == (HOSPITAL, DATA_SET)
        self.asked += 1
        return self.account

    async def read_round(self, study: str, number: int) -> RoundView:
        return self.rounds[study, number]

    def add(self, study: str, number: int, entry: PrivacyEntry | None = None, **changes: Any) -> RoundView:
        """Put a round there, with an anchor of this hospital when an entry is given, and charge its account."""
        self.rounds[study, number] = view_of(study, number, entry, **changes)
        if entry is not None:
            owed = PendingCost(study=study, round=number, cost=cost_of(entry))
            self.account = replace(self.account, pending=(*self.account.pending, owed))
        return self.rounds[study, number]


def view_of(study: str, number: int, entry: PrivacyEntry | None = None, **changes: Any) -> RoundView:
    values: dict[str, Any] = {
        "study": study,
        "round": number,
        "phase": RoundPhase.SEALED,
        "base": HASH,
        "epoch": 1,
        "attempt": 0,
        "participants": (HOSPITAL, *OTHERS),
        "missing": (),
        "publisher": None,
        "model": None,
        "attested_by": (),
        "entered": 0,
        "deadline": 0,
    }
    anchor = Anchor(study=study, round=number, attempt=0, root=HASH, chunks=1, privacy=entry)
    return RoundView(
        round=Round(**{**values, **changes}),
        joins=(),
        anchors=() if entry is None else (AnchoredHospital(hospital=HOSPITAL, anchor=anchor),),
        publications=(),
        attestations=(),
        next_phase=None,
    )


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def accountant(tmp_path: Path) -> Accountant:
    return Accountant(tmp_path / "account.json", DATA_SET)


def site_of(ledger: Ledger, accountant: Accountant, state: Path, terms: PrivacyTerms | None = TERMS) -> Site:
    draft = None if terms is None else accountant.entry(COST, terms)
    site = SimpleNamespace(
        hospital=HOSPITAL,
        federation=ledger,
        journal=StudyJournal(state, "s"),
        terms=SimpleNamespace(study="s", privacy=terms),
        training=SimpleNamespace(draft_entry=lambda: draft),
    )
    return cast(Site, site)


async def test_the_first_entry_starts_from_nothing(ledger: Ledger, accountant: Accountant, tmp_path: Path) -> None:
    entry = await entry_to_anchor(site_of(ledger, accountant, tmp_path), ledger.add("s", 1))
    assert entry == accountant.entry(COST, TERMS, 0, SPENT[1])


async def test_pending_rounds_are_settled_as_the_ledger_will(
    ledger: Ledger, accountant: Accountant, tmp_path: Path
) -> None:
    """One was final, one ended in SEALED, one dropped the hospital, one is undecided: two count."""
    draft = accountant.entry(COST, TERMS)
    ledger.add("s", 1, draft, phase=RoundPhase.FINAL, ended_in=RoundPhase.VERIFIED)
    ledger.add("s", 2, draft, phase=RoundPhase.EXPIRED, ended_in=RoundPhase.SEALED)
    ledger.add("s", 3, draft, phase=RoundPhase.FINAL, ended_in=RoundPhase.VERIFIED, participants=OTHERS)
    ledger.add("other", 1, draft, phase=RoundPhase.ANCHORED)
    entry = await entry_to_anchor(site_of(ledger, accountant, tmp_path), ledger.add("s", 4))
    assert entry == accountant.entry(COST, TERMS, SPENT[2], SPENT[3])
    settled = await read_settled_account(cast(Any, ledger), HOSPITAL, DATA_SET)
    assert charge(settled, ("s", 4), cost_of(draft), TERMS).after == SPENT[3]


async def test_a_spent_budget_refuses_before_training(ledger: Ledger, accountant: Accountant, tmp_path: Path) -> None:
    terms = replace(TERMS, epsilon_budget_micro=SPENT[2] - 1)
    ledger.add("other", 1, accountant.entry(COST, TERMS), phase=RoundPhase.FINAL, ended_in=RoundPhase.VERIFIED)
    with pytest.raises(PrivacyError, match=f"epsilon to {SPENT[2] / 1e6:.6f}, by the ledger's account; the study's"):
        await entry_to_anchor(site_of(ledger, accountant, tmp_path, terms), ledger.add("s", 1))


async def test_a_retry_carries_the_anchored_entry(ledger: Ledger, accountant: Accountant, tmp_path: Path) -> None:
    anchored = accountant.entry(COST, TERMS, 5, 6)
    assert await entry_to_anchor(site_of(ledger, accountant, tmp_path), ledger.add("s", 1, anchored)) == anchored
    assert ledger.asked == 0


async def test_what_was_trained_is_what_is_entered(ledger: Ledger, accountant: Accountant, tmp_path: Path) -> None:
    """The rows may have changed since; the epsilons are the ledger's of now, not those of the training's time."""
    trained = accountant.entry(Cost(1, 5, 2100, 1000, 5), TERMS, 1, 2)
    site = site_of(ledger, accountant, tmp_path)
    update = np.zeros(1, dtype=np.uint32)
    site.journal.round(1).save_training(update, {"privacy": encode(trained).decode(), "samples": 5})
    entry = await entry_to_anchor(site, ledger.add("s", 1))
    after = epsilon_of([Cost(1, 5, 2100, 1000, 5)], TERMS)
    assert entry == replace(trained, epsilon_before_micro=0, epsilon_after_micro=after)


async def test_another_data_set_in_the_same_study_is_refused(
    ledger: Ledger, accountant: Accountant, tmp_path: Path
) -> None:
    ledger.add("s", 1, replace(accountant.entry(COST, TERMS), data_set=HASH))
    ledger.add("s", 2)
    with pytest.raises(PrivacyError, match=r"round 1 of s was anchored with data set cdcd.*restore its name"):
        await entry_to_anchor(site_of(ledger, accountant, tmp_path), ledger.add("s", 3))


async def test_a_full_account_says_what_to_do(ledger: Ledger, accountant: Accountant, tmp_path: Path) -> None:
    for number in range(1, 65):
        ledger.add("other", number, accountant.entry(COST, TERMS))
    with pytest.raises(PrivacyError, match="wait until one of them is decided"):
        await entry_to_anchor(site_of(ledger, accountant, tmp_path), ledger.add("s", 1))


async def test_without_noise_there_is_no_entry(ledger: Ledger, accountant: Accountant, tmp_path: Path) -> None:
    assert await entry_to_anchor(site_of(ledger, accountant, tmp_path, None), ledger.add("s", 1)) is None
    assert ledger.asked == 0
