"""What the bridge's commands share: who pays, which node of the public chain, how answers are given."""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from consilium_peers.ethereum.bridge.account import KEY_VARIABLE, load_account, read_private_text
from consilium_peers.ethereum.bridge.chain_node import ChainNode
from consilium_peers.ethereum.bridge.sending import Payer, Sent, ether

Run = Callable[[argparse.Namespace], int]


def add_action(actions: Any, name: str, summary: str, run: Run, example: str) -> argparse.ArgumentParser:
    """Add an action; its example follows `consilium evm bridge`."""
    parser: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  consilium evm bridge {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def add_profile(parser: argparse.ArgumentParser, *, required: bool = True, why: str = "") -> None:
    """Add the option of who asks the ledger."""
    text = why or "whose identity asks: a profile of your organisation"
    parser.add_argument("--profile", type=Path, required=required, help=text)


def add_node(parser: argparse.ArgumentParser) -> None:
    """Add the option of which node of the public chain is asked."""
    parser.add_argument("--rpc", metavar="URL", required=True, help="a JSON-RPC endpoint of the public chain")


def add_payer(parser: argparse.ArgumentParser) -> None:
    """Add the node, and the options of who pays there."""
    add_node(parser)
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--keystore", metavar="FILE", type=Path, help="who pays: an encrypted keystore, as wallets write it"
    )
    who.add_argument(
        "--key-file",
        metavar="FILE",
        type=Path,
        help=f"who pays: a file with the key, mode 0600 (without both: the environment variable {KEY_VARIABLE})",
    )
    parser.add_argument(
        "--passphrase-file", metavar="FILE", type=Path, help="the keystore's passphrase, mode 0600 (default: asked for)"
    )


def payer_of(arguments: argparse.Namespace) -> Payer:
    """Return who pays.

    Raises:
        AccountError: there is no key, or others can read it.
        ChainError: the endpoint isn't one.
    """

    def passphrase() -> str:
        if arguments.passphrase_file is not None:
            return read_private_text(arguments.passphrase_file)
        return getpass.getpass(f"passphrase of {arguments.keystore}: ")

    account = load_account(arguments.key_file, arguments.keystore, passphrase)
    return Payer(ChainNode(arguments.rpc), account)


def say(text: str) -> None:
    """Tell how it goes on, on standard error: answers alone are on standard output."""
    print(text, file=sys.stderr, flush=True)


def show(arguments: argparse.Namespace, fields: dict[str, Any], text: str) -> None:
    """Print an answer in the chosen form."""
    print(json.dumps(msgspec.to_builtins(fields), indent=2) if arguments.json else text)


def costs(sent: Sent) -> dict[str, Any]:
    """Return what a transaction took, as JSON has it; wei as a text, since it has more digits than JSON's readers."""
    fields = dataclasses.asdict(sent)
    return {**{name: fields[name] for name in ("transaction", "gas_used")}, "cost_wei": str(sent.cost)}


def cost_in_words(sent: Sent) -> str:
    """Return what a transaction took, for reading."""
    return f"{sent.gas_used} gas, {ether(sent.cost)} ETH, transaction {sent.transaction}"
