"""A report as a PDF: the same sections, with page numbers and the facts' digest at every page's foot.

Nothing in the file depends on when or where it is made: no time, no random identifier, no compression.
"""

from __future__ import annotations

import io
from functools import partial
from html import escape
from typing import Any

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer
from reportlab.platypus import Table as PlatypusTable

from consilium_peers.audit.report.plots import drawing
from consilium_peers.audit.report.sections import Report, Section, Table

_MARGIN = 36
_WIDTH = landscape(A4)[0] - 2 * _MARGIN
_TITLE = ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=16, leading=20)
_HEADING = ParagraphStyle(
    "heading", fontName="Helvetica-Bold", fontSize=11, leading=14, spaceBefore=10, spaceAfter=4, keepWithNext=1
)
_TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=8, leading=11, spaceAfter=4)
_CELL = ParagraphStyle("cell", fontName="Helvetica", fontSize=6, leading=7.5, splitLongWords=1)
_HEAD = ParagraphStyle("head", parent=_CELL, fontName="Helvetica-Bold")
_GRID = [
    ("LINEBELOW", (0, 0), (-1, -1), 0.25, colors.HexColor(0xC8D0DA)),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 2),
    ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
]

_PLOTS = [("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 0)]


def pdf_pages(report: Report) -> bytes:
    """Return the PDF, A4 in landscape."""
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=landscape(A4),
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=report.title,
        author="",
        creator="consilium",
        invariant=1,
        pageCompression=0,
    )
    story: list[Any] = [Paragraph(_safe(report.title), _TITLE), Spacer(1, 6)]
    for section in report.sections:
        story += _section(section)
    foot = partial(_foot, report.digest)
    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


def _foot(digest: str, canvas: Any, document: Any) -> None:
    canvas.setFont("Helvetica", 6)
    canvas.drawString(_MARGIN, _MARGIN / 2, f"facts {digest}    page {document.page}")


def _section(section: Section) -> list[Any]:
    story: list[Any] = [Paragraph(_safe(section.title), _HEADING)]
    story += [Paragraph(_safe(sentence), _TEXT) for sentence in section.sentences]
    pairs = [section.plots[at : at + 2] for at in range(0, len(section.plots), 2)]
    story += [PlatypusTable([[*map(drawing, pair)]], hAlign="LEFT", style=_PLOTS) for pair in pairs]
    if section.table is not None and section.table.rows:
        story.append(_table(section.table))
    return story


def _table(table: Table) -> Any:
    """Lay a table out over the page's width, columns as wide as what they hold asks for, within bounds."""
    rows = [[Paragraph(_safe(cell), _HEAD) for cell in table.header]]
    rows += [[Paragraph(_safe(cell), _CELL) for cell in row] for row in table.rows]
    lengths = [
        min(70, max(4, *(len(row[column]) for row in (table.header, *table.rows)))) for column in range(len(rows[0]))
    ]
    widths = [_WIDTH * length / sum(lengths) for length in lengths]
    return LongTable(rows, colWidths=widths, repeatRows=1, style=_GRID)


def _safe(text: str) -> str:
    """Escape what a paragraph takes for markup, and what its font can't show."""
    return escape(text.encode("latin-1", errors="replace").decode("latin-1"))
