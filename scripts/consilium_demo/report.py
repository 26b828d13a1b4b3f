"""The study's result for people: a table for the terminal and one HTML page with plots, from result.json alone."""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

Result = dict[str, Any]
PARTS = ("training", "encryption", "upload", "aggregation", "ledger")


def percent(value: float | None) -> str:
    """Return a proportion as people read it; a hospital whose held-out rows have one class has no AUC."""
    return "n/a" if value is None else f"{value:.3f}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out text columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def hospitals(result: Result) -> list[str]:
    """Return the hospitals' names in the order of the result."""
    return list(result["auc"]["local"])


def round_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the rounds' table."""
    header = ["round", "s", *PARTS, "AUC", "accuracy", "epsilon", "kB up", "kB down", "tx", "commit ms"]
    rows = []
    for entry in result["rounds"]:
        epsilon = [value for value in entry["epsilon"].values() if value is not None]
        rows.append(
            [
                str(entry["round"]),
                f"{entry['seconds']:.1f}",
                *(f"{entry['parts'][part]:.2f}" for part in PARTS),
                percent(entry["auc"]["overall"]),
                percent(entry["accuracy"]["overall"]),
                f"{max(epsilon):.2f}" if epsilon else "-",
                f"{sum(entry['bytes_up'].values()) / 1e3:.0f}",
                f"{sum(entry['bytes_down'].values()) / 1e3:.0f}",
                str(entry["transactions"]),
                f"{entry['commit_latency_ms']['median']:.0f}",
            ]
        )
    return header, rows


def hospital_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the hospitals' table: the federated model against each hospital's own."""
    last = result["rounds"][-1]
    rows = [
        [
            name,
            str(result["samples"][name]),
            percent(last["auc"]["hospitals"][name]),
            percent(result["auc"]["local"][name]),
            percent(last["accuracy"]["hospitals"][name]),
            "-" if result["epsilon"][name] is None else f"{result['epsilon'][name]:.3f}",
        ]
        for name in hospitals(result)
    ]
    return ["hospital", "rows", "AUC federated", "AUC own model", "accuracy", "epsilon"], rows


def comparison_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Return header and rows that compare the three ways to train, all on the same held-out rows of all hospitals."""
    auc, accuracy = result["auc"], result["accuracy"]
    return ["trained", "AUC", "accuracy"], [
        ["federated (this study)", percent(auc["federated"]), percent(accuracy["federated"])],
        ["pooled (all rows in one place)", percent(auc["pooled"]), percent(accuracy["pooled"])],
        ["each hospital alone (mean)", percent(auc["local_overall_mean"]), percent(accuracy["local_overall_mean"])],
    ]


def reward_rows(result: Result) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the rewards' table: tokens earned on the ledger, and paid on the public chain."""
    rows = [[name, each["ledger"], each["chain"]] for name, each in result["bridge"]["balances"].items()]
    return ["hospital", "tokens earned", "tokens paid"], rows


def as_text(result: Result) -> str:
    """Return the tables that the demo prints."""
    sections = [
        ("Rounds", table(*round_rows(result))),
        ("Hospitals (AUC and accuracy on each one's own held-out rows)", table(*hospital_rows(result))),
        ("Federated, pooled, alone (on everyone's held-out rows)", table(*comparison_rows(result))),
    ]
    attested = f"model {result['model_hash']}\nattested by {', '.join(result['attested_by'])}"
    return "\n\n".join([f"{title}\n{body}" for title, body in sections] + [attested])


# ---- the page


def _plot(title: str, ylabel: str, draw: Callable[[Axes], None]) -> str:
    figure, axes = plt.subplots(figsize=(5.6, 3.1))
    draw(axes)
    axes.set(title=title, xlabel="round", ylabel=ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, frameon=False)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _lines(result: Result, field: Callable[[dict[str, Any], str], float | None]) -> Callable[[Axes], None]:
    numbers = [entry["round"] for entry in result["rounds"]]

    def draw(axes: Axes) -> None:
        for name in hospitals(result):
            values = [field(entry, name) for entry in result["rounds"]]
            if any(value is not None for value in values):
                axes.plot(numbers, [float("nan") if v is None else v for v in values], marker=".", label=name)

    return draw


def _plots(result: Result) -> list[str]:
    numbers = [entry["round"] for entry in result["rounds"]]

    def auc(axes: Axes) -> None:
        _lines(result, lambda entry, name: entry["auc"]["hospitals"][name])(axes)
        axes.plot(
            numbers, [entry["auc"]["overall"] for entry in result["rounds"]], color="black", lw=2, label="overall"
        )

    def durations(axes: Axes) -> None:
        bottom = [0.0] * len(numbers)
        for part in PARTS:
            values = [entry["parts"][part] for entry in result["rounds"]]
            axes.bar(numbers, values, bottom=bottom, label=part)
            bottom = [below + value for below, value in zip(bottom, values, strict=True)]

    def traffic(axes: Axes) -> None:
        axes.plot(numbers, [sum(e["bytes_up"].values()) / 1e3 for e in result["rounds"]], marker=".", label="up")
        axes.plot(numbers, [sum(e["bytes_down"].values()) / 1e3 for e in result["rounds"]], marker=".", label="down")

    plots = [_plot("AUC on held-out rows", "AUC", auc)]
    if any(value is not None for value in result["epsilon"].values()):
        plots.append(_plot("Privacy spent", "epsilon", _lines(result, lambda entry, name: entry["epsilon"].get(name))))
    plots.append(_plot("Where the time of a round goes (mean over hospitals)", "seconds", durations))
    plots.append(_plot("Bytes of all hospitals", "kB", traffic))
    return plots


def _html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_rewards(result: Result) -> str:
    bridge = result["bridge"]
    agree = "Both ledgers agree." if bridge["balances_agree"] else "The ledgers don't agree."
    return (
        f"<p class=note>The bridge's contract verified {bridge['endorsements']} hospitals' endorsements for "
        f"{bridge['epoch_gas']} gas; a claim took at most {bridge['claim_gas']}. {agree}</p>"
        + _html_table(*reward_rows(result))
    )


STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 74rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733; }
h1 { margin-bottom: .2rem } h2 { margin-top: 2.2rem; font-size: 1.1rem }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem }
.plots svg { width: 100%; height: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #dfe5ec; white-space: nowrap }
th:first-child, td:first-child { text-align: left }
code { overflow-wrap: anywhere } .note { color: #56657a }
"""


def as_html(result: Result) -> str:
    """Return the one-page report."""
    privacy = f"epsilon ≤ {result['settings']['epsilon_budget']} at delta {result['settings']['delta']}"
    if result["settings"]["epsilon_budget"] is None:
        privacy = "no privacy noise"
    sections = [
        ("Federated, pooled, alone", _html_table(*comparison_rows(result))),
        ("Hospitals", _html_table(*hospital_rows(result))),
        ("Rounds", _html_table(*round_rows(result))),
    ]
    if "bridge" in result:
        sections.append(("Rewards, earned on the ledger and paid on a public chain", _html_rewards(result)))
    study, fabric = html.escape(result["study"]), html.escape(result["fabric"])
    body = "".join(f"<h2>{html.escape(title)}</h2>{content}" for title, content in sections)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Consilium: study {study}</title>"
        f"<style>{STYLE}</style><h1>Study {study}</h1>"
        f"<p class=note>{len(hospitals(result))} hospitals, {len(result['rounds'])} rounds, {privacy}; "
        f"updates encrypted and masked, rounds decided on a Hyperledger Fabric {fabric} ledger.</p>"
        f"<div class=plots>{''.join(_plots(result))}</div>{body}"
        f"<h2>The model</h2><p><code>{html.escape(result['model_hash'])}</code><br>"
        f"attested by {html.escape(', '.join(result['attested_by']))}</p></html>\n"
    )
