"""The history of a real network, out of the trail that stays in the tests: a dispute, a conflict, a revocation."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consilium_peers.audit.certificates import certificates_at
from consilium_peers.audit.disputes import disputes
from consilium_peers.audit.errors import AuditError, BrokenLedgerError, NotOnLedgerError
from consilium_peers.audit.history import History
from consilium_peers.audit.key_history import key_changes, require_changes
from consilium_peers.audit.moments import read_moment, shown_moment
from consilium_peers.audit.privacy_spent import accounts, spendings
from consilium_peers.audit.round_costs import round_costs
from consilium_peers.audit.transaction_view import block_summary, find_transaction
from consilium_trail.archive.reading import TrailReader
from consilium_trail.blocks.block import Block
from consilium_trail.blocks.transactions import decode_transaction

LIAR, WITNESS = "ClevelandMSP", "HungaryMSP"


@pytest.fixture(scope="module")
def blocks(repository: Path) -> list[Block]:
    with TrailReader(repository / "tests" / "peers" / "trail" / "format-1" / "cleveland.zip") as trail:
        return list(trail.blocks())


@pytest.fixture(scope="module")
def study(repository: Path) -> str:
    with TrailReader(repository / "tests" / "peers" / "trail" / "format-1" / "cleveland.zip") as trail:
        return trail.manifest.study


@pytest.fixture(scope="module")
def history(blocks: list[Block]) -> History:
    return folded(blocks)


def folded(blocks: list[Block]) -> History:
    made = History("federation")
    for block in blocks:
        made.add_block(block)
    return made


def test_the_liar_is_named_with_the_chunk_that_proves_it(history: History, study: str) -> None:
    steps = disputes(history, study)
    assert [(each.step, each.author, each.culprit) for each in steps] == [
        ("listed", LIAR, ""),
        ("listed", WITNESS, ""),
        ("disproved", WITNESS, LIAR),
        ("barred", steps[-1].author, LIAR),
    ]
    assert {each.vector for each in steps} == {LIAR}


def test_a_conflict_is_paid_for_and_changes_nothing(history: History, study: str) -> None:
    assert [cost.invalid for cost in round_costs(history, study)] == [1, 0]


def test_privacy_of_two_rounds_adds_up(history: History, study: str) -> None:
    assert len(spendings(history, study)) == 8
    for each in accounts(history, study):
        last = spendings(history, study, each.hospital)[-1]
        assert (each.rounds, each.epsilon_of_study) == (2, last.epsilon_after)


def test_a_certificate_is_revoked_from_its_configuration_on(history: History) -> None:
    second = history.configurations[1]
    before = datetime.fromtimestamp((second.proposed - 1000) / 1000, UTC)
    after = datetime.fromtimestamp(second.proposed / 1000, UTC) + timedelta(days=1)
    assert {each.state for each in certificates_at(history, before)} == {"valid"}
    (revoked,) = [each for each in certificates_at(history, after) if each.state == "revoked"]
    assert revoked.organization == LIAR
    assert revoked.revoked
    assert revoked.configured == second.block


def test_blocks_must_follow_from_each_other(blocks: list[Block]) -> None:
    for wrong in (
        [*blocks[:4], *blocks[5:]],
        blocks[1:],
        [*blocks[:5], replace(blocks[5], header=replace(blocks[5].header, previous_hash=bytes(32)))],
    ):
        with pytest.raises(BrokenLedgerError, match="doesn't follow"):
            folded(wrong)
    exchanged = replace(blocks[5], envelopes=blocks[6].envelopes, flags=blocks[6].flags)
    with pytest.raises(BrokenLedgerError, match="doesn't hold the transactions"):
        folded([*blocks[:5], exchanged])
    with pytest.raises(BrokenLedgerError):
        History("federation").add(b"no block")


def test_a_key_has_every_value_it_ever_had(blocks: list[Block], study: str) -> None:
    key = f"round/{study}/2"
    found = [change for block in blocks for change in key_changes(block, "federation", key)]
    phases = [json.loads(change.value)["phase"] for change in found]
    assert (phases[0], phases[-1]) == ("OPEN", "FINAL")
    assert {"LISTING", "PROVING"} <= set(phases)
    assert not [change for block in blocks for change in key_changes(block, "another", key)]
    with pytest.raises(NotOnLedgerError, match="with slashes"):
        require_changes([], "round", len(blocks))


def test_a_transaction_is_shown_whole(blocks: list[Block], history: History) -> None:
    entry = next(each for each in history.valid() if each.function == "Disprove")
    shown = find_transaction(blocks[entry.block], entry.tx_id)
    assert shown is not None
    assert (shown["function"], shown["validation_code"], shown["creator"]["organization"]) == (
        "Disprove",
        "VALID",
        WITNESS,
    )
    assert find_transaction(blocks[entry.block], "0" * 64) is None


def test_a_configuration_update_is_shown_with_who_signed_it(blocks: list[Block], history: History) -> None:
    block = blocks[history.configurations[1].block]
    tx_id = decode_transaction(block.envelopes[0]).envelope.tx_id
    shown = find_transaction(block, tx_id)
    assert shown is not None
    assert (shown["type"], shown["configuration"]["consensus"]) == ("CONFIG", "BFT")
    assert shown["configuration"]["revocation_lists"][LIAR] == 1
    assert shown["configuration"]["signed_by"] == [LIAR]
    changed = [f"/Channel/{group}/{LIAR}/MSP" for group in ("Application", "Orderer")]
    assert shown["configuration"]["changed"] == changed


def test_a_block_in_one_line(blocks: list[Block]) -> None:
    summary = block_summary(blocks[0], 10)
    assert (summary.number, summary.kinds, summary.signed_by) == (0, ("CONFIG",), ())
    assert len(block_summary(blocks[1], 10).signed_by) >= 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-11-27", "2026-11-27T00:00:00+00:00"), ("2026-11-27T12:00:00+02:00", "2026-11-27T10:00:00+00:00")],
)
def test_moments_are_utc(text: str, expected: str) -> None:
    assert read_moment(text).isoformat() == expected


def test_what_is_no_moment_is_refused() -> None:
    with pytest.raises(AuditError, match="isn't a moment"):
        read_moment("yesterday")
    assert shown_moment(1_800_000_000_123) == "2027-01-15T08:00:00.123Z"
