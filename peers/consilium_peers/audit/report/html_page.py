"""A report as one HTML page that needs nothing else: no script, no picture, no font from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from consilium_peers.audit.report.plots import svg
from consilium_peers.audit.report.sections import Report, Section, Table

_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 74rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
h1 { margin-bottom: .2rem } h2 { margin-top: 2.2rem; font-size: 1.1rem }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem }
.plots svg { width: 100%; height: auto }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .85rem }
th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid #dfe5ec }
td { overflow-wrap: anywhere; min-width: 3rem }
"""

FORMAT = 1
"""Of page and PDF together. It changes with every change of the bytes that equal facts give, also by another release of
what draws them: otherwise an old trail's report would be taken for a forged one."""
FORMAT_MARK = f'<meta name="report-format" content="{FORMAT}">'


def html_page(report: Report) -> bytes:
    """Return the page, UTF-8."""
    numbers = iter(range(1, 1000))
    body = "\n".join(_section(section, numbers) for section in report.sections)
    title = escape(report.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="facts-sha256" content="{escape(report.digest)}">{FORMAT_MARK}<style>{_STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    ).encode()


def _section(section: Section, numbers: Iterator[int]) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in section.sentences]
    if section.plots:
        parts.append(f'<div class="plots">{"".join(svg(plot, next(numbers)) for plot in section.plots)}</div>')
    if section.table is not None:
        parts.append(f'<div class="wide">{_table(section.table)}</div>')
    return "\n".join(parts)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"
