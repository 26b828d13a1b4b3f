"""Runs the aggregator under test in a process of its own: certificates, ledger, store, address as arguments."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from aggregator_world import HOSPITALS, OUTSIDER, Certificates
from ledger_double import AGGREGATOR, LedgerDouble

from consilium_aggregator.configuration import AggregatorConfiguration
from consilium_aggregator.server import running_aggregator


async def main(certificates: str, ledger: str, store: str, address: str) -> None:
    known = Certificates(Path(certificates), dict.fromkeys((*HOSPITALS, OUTSIDER, AGGREGATOR)))  # type: ignore[arg-type]
    double = LedgerDouble(Path(ledger))
    configuration = AggregatorConfiguration.from_profile(known.profile(AGGREGATOR), store=Path(store), address=address)
    async with running_aggregator(configuration, ledger=double, events=double.events) as running:
        print(f"listening on {running.address}", flush=True)
        await running.engine


asyncio.run(main(*sys.argv[1:]))
