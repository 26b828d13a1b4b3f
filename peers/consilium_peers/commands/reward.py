"""`consilium reward`: what hospitals earned, where they are paid, and the epochs that a public chain pays out."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from consilium_peers.commands.arguments import chain_id, epoch_number, organization, study_name
from consilium_peers.commands.connecting import add_command, add_formats, network_of, show
from consilium_peers.federation import Federation
from consilium_peers.gateway import Network
from consilium_peers.reward_questions import (
    Balance,
    ClosedPayout,
    NamedAddress,
    Share,
    balances,
    closed_payouts,
    history,
    named_address,
    payouts_of,
)
from consilium_peers.rewards import Rewards
from consilium_proto.errors import WireError
from consilium_proto.ethereum.rewards import ClaimReport, ClosedEpoch, PayoutAddressRecord
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_proto.rewards.addresses import read_address

EXAMPLES = """examples:
  consilium reward balance --profile profiles/client.yaml
  consilium reward history --study heart --profile profiles/client.yaml --json
  consilium reward address --profile profiles/client.yaml
  consilium reward address --set 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --profile profiles/admin.yaml
  consilium reward close-epoch --profile profiles/client.yaml
  consilium reward claims --epoch 1 --profile profiles/client.yaml
  consilium reward report-claim 1 0 --chain-id 1 --transaction 0x4f1c…64 digits --profile profiles/client.yaml"""

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium reward`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    balance = _command(commands, "balance", "show what every hospital has earned", _balance, "balance")
    history_ = _command(commands, "history", "show what each final round credited", _history, "history --study heart")
    history_.add_argument("--study", type=study_name, help="of this study alone")
    for each in (balance, history_):
        each.add_argument("--hospital", type=organization, help="of this hospital alone (MSP id)")

    summary = "show where the own hospital is paid, or say where it is paid from now on"
    example = "address --set 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    address = _command(commands, "address", summary, _address, example, asks="admin")
    address.add_argument(
        "--set",
        type=_account,
        dest="account",
        help="the address, whose key the hospital holds on the public chain too (its administrator's profile)",
    )

    summary = "close the open epoch under the root of its payouts, which a public chain can then pay"
    close = _command(commands, "close-epoch", summary, _close_epoch, "close-epoch")
    close.add_argument("--epoch", type=epoch_number, help="only if this is the open one (default: whichever is open)")

    claims = _command(commands, "claims", "show closed epochs' payouts and which were claimed", _claims, "claims")
    claims.add_argument("--epoch", type=epoch_number, help="of this epoch alone")

    summary = "record that a payout was claimed on the public chain"
    example = "report-claim 1 0 --chain-id 1 --transaction 0x4f1c…64 digits"
    report = _command(commands, "report-claim", summary, _report_claim, example, formats=False)
    report.add_argument("epoch", type=epoch_number, help="the epoch")
    report.add_argument("index", type=_index, help="the payout's place in it, from 0 ('claims' shows it)")
    report.add_argument("--chain-id", type=chain_id, required=True, help="the public chain's id")
    report.add_argument("--transaction", type=_transaction, required=True, help="the transaction there")


def _command(
    commands: Any, name: str, summary: str, run: Any, example: str, *, asks: str = "client", formats: bool = True
) -> argparse.ArgumentParser:
    parser = add_command(commands, name, summary, run, example, role="reward", asks=asks)
    if formats:
        add_formats(parser)
    return parser


@asynccontextmanager
async def _connected(arguments: argparse.Namespace) -> AsyncIterator[tuple[Network, Rewards]]:
    async with network_of(arguments) as network:
        yield network, Rewards(network.contract(EVM_CHAINCODE))


def _balance(arguments: argparse.Namespace) -> int:
    async def read() -> list[Balance]:
        async with _connected(arguments) as (network, rewards):
            chosen: Sequence[str] = (arguments.hospital,)
            if arguments.hospital is None:
                chosen = (await Federation(network.contract()).read_consortium()).hospitals
            return await balances(rewards, chosen)

    show(arguments, asyncio.run(read()), Balance)
    return 0


def _history(arguments: argparse.Namespace) -> int:
    async def read() -> list[Share]:
        async with _connected(arguments) as (network, rewards):
            chosen: Sequence[str] = (arguments.study,)
            if arguments.study is None:
                chosen = (await Federation(network.contract()).list_studies()).studies
            return await history(rewards, chosen, arguments.hospital)

    show(arguments, asyncio.run(read()), Share)
    return 0


def _address(arguments: argparse.Namespace) -> int:
    async def read() -> list[Balance]:
        async with _connected(arguments) as (network, rewards):
            return await balances(rewards, [network.gateway.profile.organization])

    async def name() -> PayoutAddressRecord:
        async with _connected(arguments) as (_, rewards):
            return await rewards.set_payout_address(arguments.account)

    if arguments.account is None:
        show(arguments, asyncio.run(read()), Balance)
    else:
        show(arguments, [named_address(asyncio.run(name()))], NamedAddress)
    return 0


def _close_epoch(arguments: argparse.Namespace) -> int:
    async def close() -> ClosedEpoch:
        async with _connected(arguments) as (_, rewards):
            chosen = arguments.epoch
            if chosen is None:
                chosen = (await rewards.read_reward_ledger()).open_epoch
            return await rewards.close_epoch(chosen)

    closed = asyncio.run(close())
    if arguments.json:
        print(json.dumps(msgspec.to_builtins(closed), indent=2))
        return 0
    show(arguments, payouts_of(closed), ClosedPayout)
    if not arguments.csv:
        print(f"closed epoch {closed.epoch} under root {closed.root}")
    return 0


def _claims(arguments: argparse.Namespace) -> int:
    async def read() -> list[ClosedPayout]:
        async with _connected(arguments) as (_, rewards):
            chosen: Sequence[int] = (arguments.epoch,)
            if arguments.epoch is None:
                chosen = range(1, (await rewards.read_reward_ledger()).open_epoch)
            return await closed_payouts(rewards, chosen)

    show(arguments, asyncio.run(read()), ClosedPayout)
    return 0


def _report_claim(arguments: argparse.Namespace) -> int:
    report = ClaimReport(
        epoch=arguments.epoch,
        index=arguments.index,
        chain_id=arguments.chain_id,
        transaction=arguments.transaction,
    )

    async def submit() -> None:
        async with _connected(arguments) as (_, rewards):
            await rewards.report_claim(report)

    asyncio.run(submit())
    print(f"reported payout {report.index} of epoch {report.epoch} as claimed on chain {report.chain_id}")
    return 0


def _account(text: str) -> str:
    try:
        return read_address(text)
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _index(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} isn't a payout's place: 0 or more")
    return int(text)


def _transaction(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a transaction's hash: 0x and 64 hexadecimal digits")
    return text.lower()
