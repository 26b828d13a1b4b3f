"""How commands get to the ledger: with the identity of a profile."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile


def with_profile(parser: argparse.ArgumentParser) -> None:
    """Add the option that names whose identity asks."""
    parser.add_argument(
        "--profile", type=Path, required=True, help="whose identity asks: a profile of your organisation"
    )


@asynccontextmanager
async def connected(profile: Path) -> AsyncIterator[Federation]:
    """Speak to the contract as long as the block lasts."""
    async with Gateway.connect(Profile.load(profile)) as gateway:
        yield Federation(gateway.network().contract())
