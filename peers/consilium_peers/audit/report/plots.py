"""Plots as vector drawings, which both renderers take: no picture is compressed, so equal data is equal bytes."""

from __future__ import annotations

import html
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.charts.legends import LineLegend
from reportlab.graphics.charts.lineplots import LinePlot
from reportlab.graphics.shapes import Drawing, String
from reportlab.graphics.widgets.markers import makeMarker
from reportlab.lib import colors

from consilium_peers.audit.report.sections import Plot

WIDTH, HEIGHT = 384, 180
_MOST_IN_LEGEND = 8
# Okabe and Ito's colours, which colour-blind readers tell apart.
_COLOURS = tuple(
    colors.HexColor(value) for value in (0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9, 0x000000, 0xB8A800)
)


def drawing(plot: Plot) -> Any:
    """Return a plot as a drawing of WIDTH × HEIGHT points."""
    made = Drawing(WIDTH, HEIGHT)
    made.add(String(40, HEIGHT - 14, plot.title, fontName="Helvetica-Bold", fontSize=9))
    made.add(String(40, HEIGHT - 26, plot.unit, fontName="Helvetica", fontSize=7))
    made.add(_chart(plot))
    if len(plot.lines) > 1:
        made.add(_legend(plot))
    return made


def svg(plot: Plot, number: int) -> str:
    """Return a plot as an SVG element; `number` makes its identifiers the page's only ones."""
    text: str = renderSVG.drawToString(drawing(plot))
    text = text[text.index("<svg") :]
    text = text.replace("<title>...</title>", f"<title>{html.escape(plot.title)}</title>")
    text = text.replace("<desc>...</desc>", "")
    return (
        text.replace('id="clip"', f'id="clip{number}"')
        .replace("url(#clip)", f"url(#clip{number})")
        .replace('id="group"', f'id="group{number}"')
    )


def _chart(plot: Plot) -> Any:
    chart = LinePlot()
    chart.x, chart.y, chart.height = 40, 26, HEIGHT - 62
    chart.width = WIDTH - 60 if len(plot.lines) == 1 else WIDTH - 140
    chart.data = [list(points) for _, points in plot.lines]
    for position in range(len(plot.lines)):
        chart.lines[position].strokeColor = _COLOURS[position % len(_COLOURS)]
        marker = makeMarker("FilledCircle", size=3)
        marker.strokeColor = None
        chart.lines[position].symbol = marker
    numbers = sorted({x for _, points in plot.lines for x, _ in points})
    highest = max(y for _, points in plot.lines for _, y in points)
    across = chart.xValueAxis
    across.valueMin, across.valueMax = numbers[0] - 0.5, numbers[-1] + 0.5
    across.valueSteps = _steps(int(numbers[0]), int(numbers[-1]))
    across.labelTextFormat = "%d"
    up = chart.yValueAxis
    up.valueMin, up.valueMax = 0, (highest or 1.0) * 1.1
    up.labelTextFormat = "%.3g"
    up.visibleGrid, up.gridStrokeColor, up.gridStrokeWidth = True, colors.HexColor(0xDDDDDD), 0.5
    for axis in (across, up):
        axis.labels.fontName, axis.labels.fontSize = "Helvetica", 7
    return chart


def _steps(first: int, last: int) -> list[int]:
    """Return at most a dozen whole numbers to label the axis with."""
    stride = max(1, -(-(last - first + 1) // 12))
    return list(range(first, last + 1, stride))


def _legend(plot: Plot) -> Any:
    legend = LineLegend()
    legend.x, legend.y = WIDTH - 92, HEIGHT - 40
    legend.alignment, legend.columnMaximum = "right", _MOST_IN_LEGEND
    legend.fontName, legend.fontSize = "Helvetica", 7
    legend.dx, legend.dy, legend.dxTextSpace, legend.deltay = 10, 2, 4, 10
    legend.colorNamePairs = [
        (_COLOURS[position % len(_COLOURS)], name) for position, (name, _) in enumerate(plot.lines[:_MOST_IN_LEGEND])
    ]
    return legend
