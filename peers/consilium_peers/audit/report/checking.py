"""Whether a sound trail's reports are those that its blocks lead to, byte for byte.

The verifier proves facts and statements and that the page names them; it doesn't know how reports are made. Who has
what makes them makes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from consilium_peers.audit.history import History
from consilium_peers.audit.report.html_page import FORMAT, FORMAT_MARK
from consilium_peers.audit.report.making import HTML, PDF, reports_of
from consilium_trail.archive.reading import TrailReader
from consilium_trail.definitions import FEDERATION
from consilium_trail.fact_collector import FactCollector

EQUAL = "what the blocks lead to"


@dataclass(frozen=True, slots=True)
class ReportCheck:
    """What was found: `wrong` names the first file that isn't what the blocks lead to, "" for none."""

    said: str
    wrong: str = ""


def check_reports(trail_file: Path) -> ReportCheck:
    """Make a trail's reports anew and compare.

    Raises:
        TrailError: the trail can't be read.
        AuditError: its blocks don't make a ledger.
    """
    with TrailReader(trail_file) as trail:
        names = {f"report/{name}": name for name in (HTML, PDF) if f"report/{name}" in trail.files}
        if not names:
            return ReportCheck("the trail has none")
        page = trail.read(f"report/{HTML}") if f"report/{HTML}" in names else b""
        if FORMAT_MARK.encode() not in page:
            return ReportCheck(f"not compared: they aren't of format {FORMAT}, which this release makes")
        manifest = trail.manifest
        history = History(FEDERATION)
        collector = FactCollector(manifest.channel, manifest.study, manifest.rounds)
        for block in trail.blocks():
            history.add_block(block)
            collector.add(block)
        made = reports_of(collector.facts(), history)
        for path, name in names.items():
            if trail.read(path) != made[name]:
                return ReportCheck("not what the blocks lead to", wrong=path)
    return ReportCheck(EQUAL)
