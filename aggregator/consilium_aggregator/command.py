"""`consilium aggregator`: run one, look at what it holds."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from pathlib import Path
from typing import Any

EXAMPLES = """examples:
  consilium aggregator run --profile profiles/aggregator.yaml --state /var/lib/consilium/aggregator
  consilium aggregator status --state /var/lib/consilium/aggregator --json

An aggregator may be stopped or killed at any moment; started again on the same store it goes on where it was."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium aggregator`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="serve hospitals until stopped")
    run.add_argument("--profile", type=Path, required=True, help="the aggregator organisation's server profile")
    run.add_argument("--state", type=Path, required=True, help="folder for ciphertexts, made if it isn't there")
    run.add_argument("--address", help="HOST:PORT to listen at instead of the profile's")
    run.add_argument(
        "--keep-final", type=int, metavar="N", help="keep the newest N final sums of a study (default: all)"
    )
    run.set_defaults(run=_run)

    status = commands.add_parser("status", help="say what a store holds")
    status.add_argument("--state", type=Path, required=True, help="the aggregator's folder")
    status.add_argument("--json", action="store_true", help="print it as JSON")
    status.set_defaults(run=_status)


def _run(arguments: argparse.Namespace) -> int:
    from consilium_aggregator.configuration import AggregatorConfiguration
    from consilium_peers.logs import log_as_json
    from consilium_peers.profile import Profile

    log_as_json()
    configuration = AggregatorConfiguration.from_profile(
        Profile.load(arguments.profile),
        store=arguments.state,
        address=arguments.address,
        keep_final=arguments.keep_final,
    )
    return asyncio.run(_run_until_stopped(configuration))


async def _run_until_stopped(configuration: Any) -> int:
    from consilium_aggregator.server import running_aggregator

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with running_aggregator(configuration) as aggregator:
        print(f"listening on {aggregator.address}", flush=True)
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([waiting, aggregator.engine], return_when=asyncio.FIRST_COMPLETED)
        if aggregator.engine.done():
            aggregator.engine.result()
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from consilium_aggregator.holdings import holdings
    from consilium_aggregator.store.folder import look_into

    rounds = holdings(look_into(arguments.state))
    if arguments.json:
        print(json.dumps([entry.as_dict() for entry in rounds], indent=2))
        return 0
    if not rounds:
        print("the store holds no round")
    for entry in rounds:
        uploaded = ", ".join(f"{hospital} {held}/{entry.chunks}" for hospital, held in entry.updates.items())
        place = f"{entry.study} round {entry.round} attempt {entry.attempt}"
        print(f"{place}: sum {entry.summed}/{entry.chunks}; {uploaded or 'no updates'}")
    return 0
