"""`consilium network …`: what a person or a script does with a network from the command line."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from consilium_network.errors import EvmTermsError, NetworkStateError
from consilium_network.network import Network
from consilium_network.programs import find_or_build
from consilium_network.status import status_table
from consilium_network.topology import Topology, load_topology, packaged_topology
from consilium_peers.ethereum.terms_file import load_terms_file

DEFAULT_DIRECTORY = Path("build/network")

_EXAMPLES = """examples:
  consilium network up                                    four hospitals in build/network
  consilium network up --hospitals 3 --directory build/three
  consilium network up --topology mine.yaml --directory /srv/consortium
  consilium network up --evm                              with the EVM; adds it to a network made without
  consilium network status --json
  consilium network stop                                  the ledger stays
  consilium network start
  consilium network down --yes                            deletes ledger and keys
  consilium network programs                              find or build Fabric's programs"""

_Act = Callable[[argparse.Namespace], Awaitable[int]]


def register(parser: argparse.ArgumentParser) -> None:
    """Add the network's sub-commands to `consilium network`."""
    parser.epilog = _EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    up = _command(commands, "up", _up, "make a network and start it; one that was made before is only started")
    choice = up.add_mutually_exclusive_group()
    choice.add_argument("--topology", type=Path, help="a topology file of your own (default: the packaged one)")
    choice.add_argument("--hospitals", type=int, choices=(3, 4), help="which packaged topology (default: 4)")
    up.add_argument("--first-port", type=int, help="put everything on ports from this one on, 30 per organisation")
    contracts = up.add_mutually_exclusive_group()
    contracts.add_argument("--without-federation", action="store_true", help="deploy no chaincode")
    contracts.add_argument("--evm", action="store_true", help="also run the EVM, for contracts and rewards")
    up.add_argument("--evm-terms", type=Path, metavar="FILE", help="the EVM's first terms (default: the packaged ones)")
    _command(commands, "stop", _stop, "end every process; the ledger stays")
    _command(commands, "start", _start, "start a network that was stopped")
    down = _command(commands, "down", _down, "stop the network and delete its folder: ledger, keys and all")
    down.add_argument("--yes", action="store_true", help="don't ask")
    status = _command(commands, "status", _status, "tell of every process how it is; exit code 1 when one isn't up")
    status.add_argument("--json", action="store_true", help="as JSON, for programs")
    _command(commands, "programs", _programs, "find or build Fabric's programs and print which", directory=False)


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    act: _Act,
    summary: str,
    *,
    directory: bool = True,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    if directory:
        text = f"the network's folder (default: {DEFAULT_DIRECTORY})"
        parser.add_argument("--directory", type=Path, default=DEFAULT_DIRECTORY, help=text)

    def run(arguments: argparse.Namespace) -> int:
        return asyncio.run(_awaited(act, arguments))

    parser.set_defaults(run=run)
    return parser


async def _awaited(act: _Act, arguments: argparse.Namespace) -> int:
    return await act(arguments)


class _Progress:
    """Tells each step with the seconds since the command began, on standard error so that output stays clean."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, step: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {step}", file=sys.stderr, flush=True)


async def _up(arguments: argparse.Namespace) -> int:
    if arguments.evm_terms and not arguments.evm:
        raise EvmTermsError("--evm-terms says how the EVM runs: give --evm with it")
    terms = load_terms_file(arguments.evm_terms) if arguments.evm_terms else None
    network = Network(arguments.directory, _chosen_topology(arguments))
    await network.up(_Progress(), federation=not arguments.without_federation, evm=arguments.evm, evm_terms=terms)
    return 0


def _chosen_topology(arguments: argparse.Namespace) -> Topology | None:
    """Return the topology that the options name; None when they name none, so that a network made before goes on."""
    if not (arguments.topology or arguments.hospitals or arguments.first_port):
        return None
    topology = load_topology(arguments.topology) if arguments.topology else packaged_topology(arguments.hospitals or 4)
    return topology.with_ports_from(arguments.first_port) if arguments.first_port else topology


async def _stop(arguments: argparse.Namespace) -> int:
    network = _existing(arguments)
    if not await network.stop(_Progress()):
        print("the network was not running", file=sys.stderr)
    return 0


async def _start(arguments: argparse.Namespace) -> int:
    await _existing(arguments).start(_Progress())
    return 0


async def _down(arguments: argparse.Namespace) -> int:
    network = _existing(arguments)
    if not arguments.yes and not _confirmed(f"Delete {network.folder.root} with its ledger and keys? [y/N] "):
        print("nothing was deleted", file=sys.stderr)
        return 1
    await network.down(_Progress())
    return 0


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise NetworkStateError("down deletes the ledger and all keys: confirm with --yes")
    return input(question).strip().lower() in ("y", "yes")


async def _status(arguments: argparse.Namespace) -> int:
    statuses = await _existing(arguments).status()
    if arguments.json:
        print(msgspec.json.format(msgspec.json.encode(statuses)).decode())
    else:
        print(status_table(statuses, datetime.datetime.now(datetime.UTC)))
    return 0 if all(each.listening for each in statuses) else 1


def _existing(arguments: argparse.Namespace) -> Network:
    network = Network(arguments.directory)
    if not network.exists:
        raise NetworkStateError(
            f"there is no network in {arguments.directory}: name its folder with --directory, or make one with "
            "`consilium network up`"
        )
    return network


async def _programs(_: argparse.Namespace) -> int:
    programs = await find_or_build(_Progress())
    print(f"Fabric {programs.release} ({programs.origin})")
    for path in (programs.peer, programs.orderer, programs.configtxgen, programs.osnadmin):
        print(path)
    return 0
