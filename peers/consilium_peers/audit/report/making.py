"""From a study's facts and the ledger's history to the report's files."""

from __future__ import annotations

from collections.abc import Mapping

from consilium_peers.audit.history import History
from consilium_peers.audit.privacy_spent import accounts
from consilium_peers.audit.report.content import study_report
from consilium_peers.audit.report.html_page import html_page
from consilium_peers.audit.report.pdf_pages import pdf_pages
from consilium_peers.audit.round_costs import round_costs
from consilium_trail.facts import StudyFacts

HTML, PDF = "report.html", "report.pdf"


def reports_of(facts: StudyFacts, history: History) -> Mapping[str, bytes]:
    """Return the files by their names.

    The ledger may have grown behind the trail's last block, at one exporter's peer more than at another's: nothing
    behind it is looked at.
    """
    known = history.up_to(facts.blocks)
    numbers = {each.round for each in facts.rounds}
    costs = [cost for cost in round_costs(known, facts.study) if cost.round in numbers]
    report = study_report(facts, costs, accounts(known, facts.study))
    return {HTML: html_page(report), PDF: pdf_pages(report)}
