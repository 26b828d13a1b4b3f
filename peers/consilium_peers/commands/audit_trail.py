"""`consilium audit export | verify`: the trail of a study, and its verification without the network."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

from consilium_peers.audit.export import export_trail
from consilium_peers.audit.exporter import exporter_of
from consilium_peers.audit.verdict import as_document, as_text
from consilium_peers.commands.arguments import round_number, study_name
from consilium_peers.commands.connecting import add_command, network_of, say_progress
from consilium_trail.archive.manifest import Manifest
from consilium_trail.errors import TrailError
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.findings import Place, Step
from consilium_trail.verification.results import Finding, Verdict, Verification, exit_code

_RAW = argparse.RawDescriptionHelpFormatter
_VERIFY = """Verify a trail without the network: who endorsed and attested each round, under which policy.

Exit codes: 0 sound, 1 unsound (the answer names the first thing that doesn't hold), 2 unreadable or wrong usage."""
_EXAMPLE = """example:
  consilium audit verify trail.zip --roots roots.pem"""
_SAY_EVERY_SECONDS = 2.0


def register(commands: Any) -> None:
    """Add the commands to `consilium audit`."""
    export = add_command(
        commands,
        "export",
        "write the trail of a study, which anyone can verify without the network",
        _export,
        "export --study heart --out trail.zip",
    )
    export.add_argument("--study", type=study_name, required=True, help="the study's identifier")
    export.add_argument(
        "--round", type=round_number, action="append", default=[], help="this round alone; may be repeated"
    )
    export.add_argument("--out", type=Path, required=True, help="the archive to write")
    export.add_argument("--json", action="store_true", help="print JSON")

    summary = "verify a trail without the network"
    verify = commands.add_parser("verify", help=summary, description=_VERIFY, epilog=_EXAMPLE, formatter_class=_RAW)
    verify.add_argument("trail", type=Path, help="the archive")
    verify.add_argument(
        "--roots", type=Path, required=True, help="the consortium's roots (PEM), from the consortium itself"
    )
    verify.add_argument("--artifacts", type=Path, help="a folder of ciphertexts to compare with the ledger's roots")
    verify.add_argument(
        "--without-reports",
        action="store_true",
        help="don't make the reports anew (takes memory and time for each round)",
    )
    verify.add_argument("--json", action="store_true", help="print JSON")
    verify.set_defaults(run=_verify)


def _export(arguments: argparse.Namespace) -> int:
    async def export() -> Manifest:
        async with network_of(arguments) as network:
            rounds = sorted(set(arguments.round))
            return await export_trail(network, arguments.out, arguments.study, rounds, say_progress)

    made = asyncio.run(export())
    rounds = list(made.rounds) or "all"
    document = {"study": made.study, "rounds": rounds, "blocks": made.blocks, "trail": str(arguments.out)}
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        what = f"rounds {', '.join(map(str, made.rounds))} of study" if made.rounds else "study"
        print(f"{arguments.out} proves {what} {made.study} with blocks 0 to {made.blocks - 1}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    """Verify; a program that reads the exit code must never take a mistake of ours for a verdict."""
    try:
        from consilium_trail.verify import verify_trail

        roots = TrustedRoots.load(arguments.roots)
        started = time.monotonic()
        with _Progress() as progress:
            found = verify_trail(arguments.trail, roots, progress, arguments.artifacts)
        seconds = time.monotonic() - started
        reports, exporter = "", None
        if found.verdict is Verdict.SOUND:
            exporter = exporter_of(arguments.trail)
            if not arguments.without_reports:
                found, reports = _with_reports(found, arguments.trail)
        document = as_document(found, exporter, reports, seconds)
        print(json.dumps(document, indent=2) if arguments.json else as_text(found, exporter, reports))
        sys.stdout.flush()
        return exit_code(found.verdict)
    except ModuleNotFoundError as error:
        print(
            f"error: verifying needs {error.name}, which isn't installed: pip install 'consilium[trail]'",
            file=sys.stderr,
        )
    except (TrailError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except Exception as error:
        print(f"error: unexpected {type(error).__name__}: {error}", file=sys.stderr)
    return exit_code(Verdict.UNREADABLE)


def _with_reports(found: Verification, trail: Path) -> tuple[Verification, str]:
    """Return the answer once the reports for people were compared too, and what became of that."""
    try:
        from consilium_peers.audit.report.checking import check_reports
    except ModuleNotFoundError as error:
        return found, f"not compared: that needs {error.name}; pip install 'consilium[audit]'"
    checked = check_reports(trail)
    if not checked.wrong:
        return found, checked.said
    finding = Finding(Step.STATEMENTS, Place(file=checked.wrong), "the report doesn't say what the blocks say")
    return Verification(Verdict.UNSOUND, finding, found.counts), ""


class _Progress:
    """Tells on standard error how far a verification is, every few seconds: also while one transaction is run again.

    A transaction of the EVM may take as long as it took its endorsers, so the telling has a thread of its own.
    """

    def __init__(self) -> None:
        self._done = self._of = 0
        self._over = threading.Event()
        self._telling = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> _Progress:
        self._telling.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._telling.join()

    def __call__(self, done: int, of: int) -> None:
        self._done, self._of = done, of

    def _tell(self) -> None:
        while not self._over.wait(_SAY_EVERY_SECONDS):
            if self._of:
                print(f"verified {self._done} of {self._of} blocks", file=sys.stderr, flush=True)
