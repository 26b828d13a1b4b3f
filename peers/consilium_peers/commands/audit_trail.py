"""`consilium audit export`: the trail of a study, for who verifies it without the network."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from consilium_peers.audit.export import export_trail
from consilium_peers.commands.arguments import round_number, study_name
from consilium_peers.commands.connecting import add_command, network_of, say_progress
from consilium_trail.archive.manifest import Manifest


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


def _export(arguments: argparse.Namespace) -> int:
    async def export() -> Manifest:
        async with network_of(arguments) as network:
            rounds = sorted(set(arguments.round))
            return await export_trail(network, arguments.out, arguments.study, rounds, say_progress)

    made = asyncio.run(export())
    document = {"study": made.study, "rounds": list(made.rounds), "blocks": made.blocks, "trail": str(arguments.out)}
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        print(f"{arguments.out} proves {len(made.rounds)} rounds of {made.study} with blocks 0 to {made.blocks - 1}")
    return 0
