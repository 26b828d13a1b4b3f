"""`consilium evm serve`: Ethereum's JSON-RPC for wallets, web3.py, ethers and Hardhat."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consilium_peers.ethereum.rpc.serving import RunningServer, ServingOptions
    from consilium_peers.profile import Profile

EXAMPLES = """examples:
  consilium evm serve --profile profiles/client.yaml
  consilium evm serve --profile profiles/client.yaml --state /var/lib/consilium/evm --listen 127.0.0.1:9545
  consilium evm serve --profile profiles/client.yaml --allow-origin https://wallet.example

Whoever reaches the server acts through this profile. On the loopback address eth_sendTransaction acts as the profile's
own identity; from other machines, and with --no-identity, only transactions that an Ethereum key signed are taken.
Ctrl-C lets what is on its way arrive. With --state, what was accepted is sent even if the server is killed."""

_SAY_EVERY_SECONDS = 2.0


def register(commands: Any) -> None:
    """Add `serve` to `consilium evm`."""
    summary = "serve Ethereum's JSON-RPC for the EVM on the channel"
    serve = commands.add_parser(
        "serve",
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument(
        "--profile", type=Path, required=True, help="who carries transactions and asks: a profile of your organisation"
    )
    serve.add_argument(
        "--listen", default="127.0.0.1:8545", metavar="HOST:PORT", help="where to listen (default: %(default)s)"
    )
    serve.add_argument(
        "--state", type=Path, help="folder for accepted transactions and the index (default: one that isn't kept)"
    )
    serve.add_argument(
        "--host", action="append", default=[], metavar="NAME", help="a name under which the server is called"
    )
    serve.add_argument(
        "--allow-origin", action="append", default=[], metavar="ORIGIN", help="an origin whose web pages may ask"
    )
    serve.add_argument("--no-identity", action="store_true", help="carry signed transactions only")
    serve.add_argument(
        "--patience",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how long a transaction that is next in line is tried (default: %(default)g)",
    )
    serve.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    try:
        from consilium_peers.ethereum.rpc.callers import Callers, listening_address
        from consilium_peers.ethereum.rpc.serving import ServingOptions
    except ModuleNotFoundError as error:
        print(
            f"error: serving needs {error.name}, which isn't installed: pip install 'consilium[rpc]'", file=sys.stderr
        )
        return 1
    from consilium_peers.logs import log_as_json
    from consilium_peers.profile import Profile

    log_as_json()
    host, port = listening_address(arguments.listen)
    options = ServingOptions(
        host=host,
        port=port,
        state=arguments.state,
        callers=Callers(frozenset(each.lower() for each in arguments.host), frozenset(arguments.allow_origin)),
        identity=not arguments.no_identity,
        patience=arguments.patience,
    )
    return asyncio.run(_serve_until_stopped(Profile.load(arguments.profile), options))


async def _serve_until_stopped(profile: Profile, options: ServingOptions) -> int:
    """Serve until a signal comes; a second one, or one before the server listens, waits for nothing."""
    from consilium_peers.ethereum.rpc.serving import running_server

    listening, stopped = asyncio.Event(), asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if stopped.is_set() or not listening.is_set():
            task.cancel()
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        async with running_server(profile, options, _Progress(), _say) as server:
            listening.set()
            _introduce(server, options)
            waiting = asyncio.create_task(stopped.wait())
            await asyncio.wait([waiting, server.following], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if server.following.done():
                server.following.result()
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    return 0


def _introduce(server: RunningServer, options: ServingOptions) -> None:
    acting = f"acting for {server.account}" if server.account else "carrying signed transactions only"
    print(f"listening on http://{server.address} and ws://{server.address}, chain {server.chain_id}, {acting}")
    if server.resumed:
        print(f"going on with {server.resumed} transactions that were accepted before")
    if options.state is None:
        print("accepted transactions don't outlive this server; --state keeps them")
    sys.stdout.flush()


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


class _Progress:
    """Tells on standard error how many blocks are indexed, every few seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, done: int, height: int) -> None:
        if time.monotonic() - self._said >= _SAY_EVERY_SECONDS:
            self._said = time.monotonic()
            _say(f"indexed {done} of {height} blocks")
