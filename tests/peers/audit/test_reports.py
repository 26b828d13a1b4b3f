"""Reports for people: equal bytes for equal facts, hostile names harmless, nothing invented."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from federation_world import hash_, privacy_entry, privacy_terms, terms
from msgspec.structs import replace

from consilium_peers.audit.presentation import as_csv, as_json, as_table
from consilium_peers.audit.privacy_spent import Account
from consilium_peers.audit.report.content import study_report
from consilium_peers.audit.report.html_page import FORMAT, html_page
from consilium_peers.audit.report.pdf_pages import pdf_pages
from consilium_peers.audit.report.sections import Report
from consilium_peers.audit.round_costs import RoundCost
from consilium_proto.records import RoundPhase
from consilium_trail.archive.writing import facts_digest
from consilium_trail.facts import AttestedFact, DisputeFact, PrivacyFact, RoundFact, StudyFacts, TransactionFact

HOSTILE = "<script>alert(1)</script>&'\""
HOSPITALS = ("AlphaMSP", "BetaMSP", HOSTILE)


def round_fact(number: int, hospital: str = "AlphaMSP") -> RoundFact:
    transaction = TransactionFact(
        block=number,
        transaction=0,
        tx_id=hash_(number),
        time=1_800_000_000_000,
        function="Join",
        creator=hospital,
        endorsers=HOSPITALS,
        code="VALID",
    )
    dispute = DisputeFact(kind="Disprove", vector=hospital, culprit=hospital, shown_by="BetaMSP", tx_id=hash_(1))
    return RoundFact(
        round=number,
        phase=RoundPhase.FINAL,
        base=hash_(number),
        model=hash_(number + 1),
        epoch=1,
        attempt=0,
        participants=HOSPITALS,
        missing=(),
        publisher="SumMSP",
        rejected=(),
        barred=(hospital,),
        attested_by=HOSPITALS,
        challenge=None,
        policy=f"OutOf(2, '{hospital}.peer')",
        opened=1_800_000_000_000,
        decided=1_800_000_030_000 + number,
        attestations=(AttestedFact(hospital=hospital, model=hash_(number + 1)),),
        privacy=tuple(PrivacyFact(hospital=name, attempt=0, entry=privacy_entry()) for name in (hospital, "BetaMSP")),
        disputes=(dispute,),
        transactions=(transaction,),
    )


def study_facts(rounds: int = 3, hospital: str = "AlphaMSP", private: bool = True) -> StudyFacts:
    return StudyFacts(
        channel="consilium",
        study="heart",
        genesis=hash_(1),
        blocks=9,
        last_hash=hash_(2),
        terms=terms(privacy=privacy_terms() if private else None),
        transactions=round_fact(1, hospital).transactions,
        rounds=tuple(round_fact(number, hospital) for number in range(1, rounds + 1)),
    )


def cost(number: int, seen: int = 3) -> RoundCost:
    return RoundCost(number, "FINAL", 30, 1, 90_000, 12, "", "", 31.5, seen, 250.0 if seen else -1, 900)


def report_of(facts: StudyFacts, accounts: tuple[Account, ...] = ()) -> Report:
    return study_report(facts, [cost(each.round) for each in facts.rounds], accounts)


ACCOUNT = Account("AlphaMSP", hash_(7), "heart", 3, 0.5, 0.7, "1/1000", 3.0)


def test_equal_facts_give_equal_bytes_in_every_process() -> None:
    """Also with another order of hashes: nothing iterates over a set, nothing knows the time."""
    program = (
        f"import sys; sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}\n"
        "import hashlib, test_reports as t\n"
        "report = t.report_of(t.study_facts(), (t.ACCOUNT,))\n"
        "print(hashlib.sha256(t.html_page(report) + t.pdf_pages(report)).hexdigest())"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_the_bytes_change_with_the_format_alone() -> None:
    """If this fails on purpose, give the format the next number and its digest here."""
    report = report_of(study_facts(), (ACCOUNT,))
    assert {FORMAT: hashlib.sha256(html_page(report) + pdf_pages(report)).hexdigest()} == {
        1: "03cf07bd928a404e16d64dcfd09df050c143b3b80c7dd63548cee9d17388a77b"
    }


def test_a_changed_fact_changes_both_forms() -> None:
    one, other = report_of(study_facts(3)), report_of(study_facts(2))
    assert html_page(one) != html_page(other)
    assert pdf_pages(one) != pdf_pages(other)


def test_hostile_names_stay_text() -> None:
    report = report_of(study_facts(hospital=HOSTILE))
    page = html_page(report).decode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert pdf_pages(report).startswith(b"%PDF-")


def test_the_page_needs_nothing_else_and_names_its_facts() -> None:
    facts = study_facts()
    page = html_page(report_of(facts)).decode()
    assert facts_digest(facts) in page
    assert not re.search(r"(src|href)=|url\((?!#)|@import", page.replace("xlink:href", ""))
    identifiers = re.findall(r' id="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_without_privacy_terms_no_epsilon_is_shown() -> None:
    facts = study_facts(private=False)
    silent = replace(facts, rounds=tuple(replace(each, privacy=()) for each in facts.rounds))
    page = html_page(report_of(silent)).decode()
    assert "no noise is asked for" in page
    assert "Epsilon of each hospital" not in page


@pytest.mark.parametrize("rounds", [0, 1, 200])
def test_studies_of_every_length_have_a_report(rounds: int) -> None:
    report = report_of(study_facts(rounds))
    assert html_page(report).count(b"<svg") == (4 if rounds else 0)
    assert pdf_pages(report).rstrip().endswith(b"%%EOF")


def test_a_round_whose_transactions_nobody_saw_is_left_out_of_the_plot() -> None:
    facts = study_facts(2)
    page = html_page(study_report(facts, [cost(1, 0), cost(2, 0)], ())).decode()
    assert "Seen by a later transaction" not in page


# ---- rows as tables, JSON and CSV


def test_csv_gives_a_spreadsheet_no_formula_and_loses_nothing() -> None:
    rows = [Account("=HYPERLINK(1)", hash_(7), "heart", 3, -0.5, 0.7, "1/1000", 3.0)]
    text = as_csv(rows, Account)
    assert "'=HYPERLINK(1)," in text
    assert ",-0.5," in text
    assert hash_(7) in text
    assert text.endswith("\r\n")


def test_a_table_moves_no_cursor_and_cuts_digests() -> None:
    rows = [Account("Alpha\x1b[2JMSP", hash_(7), "heart", 3, 0.5, 0.7, "", 3.0)]
    shown = as_table(rows, Account)
    assert "\x1b" not in shown
    assert hash_(7)[:16] in shown
    assert hash_(7) not in shown
    assert "delta" not in shown, "a column without any value is left out"
    assert json.loads(as_json(rows))[0]["data_set"] == hash_(7)
    assert as_table([], Account) == "nothing"
