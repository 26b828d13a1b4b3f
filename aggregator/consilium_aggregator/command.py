"""`consilium aggregator`: run an aggregator, look at what it holds."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path

from consilium_aggregator.server import run_aggregator
from consilium_aggregator.vectors import Manifests
from consilium_peers.logs import log_as_json
from consilium_peers.profile import Profile

EXAMPLES = """examples:
  consilium aggregator run --profile profiles/aggregator.yaml --state aggregator-state
  consilium aggregator status --state aggregator-state

An aggregator holds no key and nothing of value: it may be killed, emptied or replaced at any moment."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium aggregator`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="take encrypted updates, add them up, publish the sum")
    run.add_argument("--profile", type=Path, required=True, help="the aggregator's own profile")
    run.add_argument("--state", type=Path, required=True, help="the folder of its store")
    run.add_argument("--address", help="host:port to listen on (default: the profile's)")
    run.set_defaults(run=_run)

    status = commands.add_parser("status", help="show which vectors the store knows")
    status.add_argument("--state", type=Path, required=True, help="the folder of its store")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=_status)


def _run(arguments: argparse.Namespace) -> int:
    log_as_json()
    profile = Profile.load(arguments.profile)

    async def until_stopped() -> None:
        task = asyncio.create_task(run_aggregator(profile, arguments.state, arguments.address))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            return

    asyncio.run(until_stopped())
    return 0


def _status(arguments: argparse.Namespace) -> int:
    vectors = Manifests(arguments.state / "vectors").all()
    rows = [{"study": v.study, "round": v.round, "attempt": v.attempt, "owner": v.owner} for v in vectors]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        print(f"{row['study']}  round {row['round']}  attempt {row['attempt']}  {row['owner']}")
    print(f"{len(rows)} vectors in {arguments.state}")
    return 0
