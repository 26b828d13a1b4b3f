"""`consilium evm terms`: what the hospitals resolve about the EVM and the bridge: see it, approve it, enact it."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from consilium_peers.ethereum.errors import UnknownResolutionError
from consilium_peers.ethereum.resolution_file import load_resolution_file
from consilium_peers.ethereum.resolution_view import Overview, as_json, as_text, overview, title
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway, SubmitResult
from consilium_peers.profile import Profile
from consilium_proto.canonical import digest
from consilium_proto.ethereum.resolutions import Resolution
from consilium_proto.ethereum.scalars import EVM_CHAINCODE

EXAMPLES = """examples:
  consilium evm terms show --profile profiles/client.yaml
  consilium evm terms show --profile profiles/client.yaml --json
  consilium evm terms approve terms.yaml --profile profiles/admin.yaml
  consilium evm terms approve bridge-terms.yaml --profile profiles/admin.yaml
  consilium evm terms approve 3f9a…64 digits --profile profiles/admin.yaml
  consilium evm terms enact terms.yaml --profile profiles/client.yaml"""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_RESOLUTION = (
    "a file of terms, or about the bridge, or the digest of what `show` says is pending (64 hexadecimal digits)"
)


def register(commands: Any) -> None:
    """Add `terms` to `consilium evm`."""
    summary = "what the hospitals resolve about EVM and bridge: see, approve and enact it"
    terms = _parser(commands, "terms", summary)
    actions = terms.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = _parser(actions, "show", "show what is in force, and what waits for whose approval")
    show.add_argument("--json", action="store_true", help="print JSON")
    _with_profile(show, _show)
    for name, run, what in (
        ("approve", _approve, "approve terms, or anything that is pending (an administrator of a hospital)"),
        ("enact", _enact, "put into force what a majority of the hospitals approved"),
    ):
        parser = _parser(actions, name, what)
        parser.add_argument("resolution", metavar="RESOLUTION", help=_RESOLUTION)
        _with_profile(parser, run)


def _parser(commands: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _with_profile(parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]) -> None:
    parser.add_argument(
        "--profile", type=Path, required=True, help="whose identity asks: a profile of your organisation"
    )
    parser.set_defaults(run=run)


def _show(arguments: argparse.Namespace) -> int:
    async def ask() -> Overview:
        async with _connected(arguments.profile) as (resolutions, federation):
            return await _overview(resolutions, federation)

    found = asyncio.run(ask())
    print(as_json(found) if arguments.json else as_text(found))
    return 0


def _approve(arguments: argparse.Namespace) -> int:
    async def approve(resolutions: Resolutions, chosen: Resolution) -> SubmitResult:
        return await resolutions.approve(chosen)

    chosen, after = asyncio.run(_decide(arguments, approve))
    approved = next((each for each in after.pending if each.digest == digest(chosen)), None)
    print(f"approved {title(chosen)}")
    if approved is not None and approved.missing > 0:
        print(f"{approved.missing} more approvals are needed; not yet approved by {', '.join(approved.waiting_for)}")
    else:
        print("a majority has approved it; `consilium evm terms enact` puts it into force")
    return 0


def _enact(arguments: argparse.Namespace) -> int:
    async def enact(resolutions: Resolutions, chosen: Resolution) -> SubmitResult:
        return await resolutions.enact(chosen)

    chosen, _ = asyncio.run(_decide(arguments, enact))
    print(f"enacted {title(chosen)}")
    return 0


async def _decide(
    arguments: argparse.Namespace, act: Callable[[Resolutions, Resolution], Awaitable[SubmitResult]]
) -> tuple[Resolution, Overview]:
    """Do something with the resolution that the arguments name; return it, and how things stand afterwards."""
    named = arguments.resolution
    read = None if _DIGEST.fullmatch(named) else load_resolution_file(Path(named))
    async with _connected(arguments.profile) as (resolutions, federation):
        chosen = read or _pending(await _overview(resolutions, federation), named)
        await act(resolutions, chosen)
        return chosen, await _overview(resolutions, federation)


def _pending(found: Overview, named: str) -> Resolution:
    for each in found.pending:
        if each.digest == named:
            return each.resolution
    raise UnknownResolutionError(
        f"nothing that is pending has the digest {named}; `consilium evm terms show` lists what is"
    )


async def _overview(resolutions: Resolutions, federation: Federation) -> Overview:
    return overview(await resolutions.read(), (await federation.read_consortium()).hospitals)


@asynccontextmanager
async def _connected(profile: Path) -> AsyncIterator[tuple[Resolutions, Federation]]:
    """Speak to both contracts as long as the block lasts."""
    async with Gateway.connect(Profile.load(profile)) as gateway:
        network = gateway.network()
        yield Resolutions(network.contract(EVM_CHAINCODE)), Federation(network.contract())
