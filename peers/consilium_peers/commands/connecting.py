"""How the commands get to the ledger and give their answers: options that they share."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from consilium_peers.audit.presentation import as_csv, as_json, as_table
from consilium_peers.commands.arguments import organization
from consilium_peers.errors import ProfileError
from consilium_peers.gateway import Gateway, Network
from consilium_peers.profile import Profile

_SAY_EVERY = 1000


def add_command(
    commands: Any, name: str, summary: str, run: Any, example: str, *, role: str = "audit", asks: str = "auditor"
) -> argparse.ArgumentParser:
    """Add a command with the options that every question has; its example is of `consilium ROLE`, by whom it `asks`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  consilium {role} {example} --profile profiles/{asks}.yaml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--profile", type=Path, required=True, help="whose identity asks: a profile of your organisation"
    )
    parser.add_argument(
        "--peer", type=organization, help="whose peer answers (MSP id; default: the own one, another if it is down)"
    )
    parser.set_defaults(run=run)
    return parser


def add_formats(parser: argparse.ArgumentParser, *, csv: bool = True) -> None:
    """Add the options that choose the form of the answer; a table without them."""
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON")
    if csv:
        forms.add_argument("--csv", action="store_true", help="print CSV")


@asynccontextmanager
async def network_of(arguments: argparse.Namespace) -> AsyncIterator[Network]:
    """Open the channel of the profile as long as the block lasts, at the chosen peer if one is.

    Raises:
        ProfileError: the profile can't be used, or names no peer of the chosen organisation.
    """
    profile = Profile.load(arguments.profile)
    if arguments.peer is not None:
        chosen = tuple(each for each in profile.gateways if each.organization == arguments.peer)
        if not chosen:
            known = ", ".join(each.organization for each in profile.gateways)
            raise ProfileError(f"{arguments.profile} names no peer of {arguments.peer}; it names those of {known}")
        profile = dataclasses.replace(profile, gateways=chosen)
    async with Gateway.connect(profile) as gateway:
        yield gateway.network()


def say_progress(done: int, height: int) -> None:
    """Tell on standard error how many blocks were read, when it takes long enough to wonder."""
    if done % _SAY_EVERY == 0:
        print(f"read {done} of {height} blocks", file=sys.stderr)


def show(arguments: argparse.Namespace, rows: Sequence[Any], kind: type[Any]) -> None:
    """Print rows in the chosen form."""
    if arguments.json:
        print(as_json(rows))
    elif arguments.csv:
        sys.stdout.write(as_csv(rows, kind))
    else:
        print(as_table(rows, kind))
