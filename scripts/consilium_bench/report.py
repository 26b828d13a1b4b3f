"""The measured rows for people and for programs: a table, result.json and a plot."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.ticker import StrMethodFormatter

from consilium_bench.rows import Row
from consilium_demo.report import table

_GOOD, _BAD = "#2a7f62", "#b3372f"


def as_text(rows: list[Row]) -> str:
    """Lay out the rows with their targets."""
    header = ["", "measured", "unit", "target", "margin", ""]
    return table(header, [_cells(row) for row in rows])


def missed(rows: list[Row]) -> list[Row]:
    """Return the rows whose target is missed."""
    return [row for row in rows if row.met is False]


def write(folder: Path, rows: list[Row], settings: dict[str, Any], answers: dict[str, Any]) -> None:
    """Write result.json and result.png into a folder.

    Args:
        folder: made when it isn't there.
        rows: what the table shows.
        settings: how the benchmark was called.
        answers: what each measurement gave, by its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "settings": settings,
        "machine": machine(),
        "rows": [{**asdict(row), "met": row.met, "margin": row.margin} for row in rows],
        "measurements": answers,
    }
    (folder / "result.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    draw(folder / "result.png", rows)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def draw(place: Path, rows: list[Row]) -> None:
    """Draw how many times better than its target each figure is, on a logarithmic axis."""
    judged = [(row, row.margin) for row in reversed(rows) if row.margin is not None]
    figure, axes = plt.subplots(figsize=(10, 1.2 + 0.36 * len(judged)), layout="constrained")
    margins = [margin for _, margin in judged]
    colours = [_GOOD if row.met else _BAD for row, _ in judged]
    bars = axes.barh([row.name for row, _ in judged], margins, color=colours)
    axes.bar_label(
        bars, [f"{row.measured:.3g} {row.unit} ({_target(row)})" for row, _ in judged], padding=4, fontsize=8
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlim(min([0.5, *(margin / 1.2 for margin in margins)]), 6 * max([1.0, *margins]))
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times better than the target; 1 is just met")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(place, dpi=120, format="png")
    plt.close(figure)


def _cells(row: Row) -> list[str]:
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    margin = "" if row.margin is None else f"{row.margin:.2f}"
    return [row.name, f"{row.measured:.3f}", row.unit, _target(row), margin, verdict]


def _target(row: Row) -> str:
    return "" if row.target is None else f"{row.sense.value} {row.target:g}"
