"""`consilium audit blocks | tx | history`: the ledger itself, block by block."""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import aclosing
from typing import Any

from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.key_history import KeyChange, key_changes, require_changes
from consilium_peers.audit.transaction_view import BlockSummary, block_summary, find_transaction
from consilium_peers.commands.connecting import add_command, add_formats, network_of, say_progress, show
from consilium_peers.errors import EvaluateError
from consilium_peers.gateway import Network
from consilium_trail.blocks.block import decode_block

_NEWEST = 20


def register(commands: Any) -> None:
    """Add the commands to `consilium audit`."""
    blocks = add_command(commands, "blocks", "list blocks, one line each", _blocks, "blocks --from 100 --to 120")
    blocks.add_argument("--from", dest="start", type=_number, help=f"the first block (default: the newest {_NEWEST})")
    blocks.add_argument("--to", dest="last", type=_number, help="the last block (default: the newest)")
    add_formats(blocks)

    shown = add_command(commands, "tx", "show everything that is in a transaction", _tx, "tx 4f1c…")
    shown.add_argument("tx_id", metavar="TXID", type=_transaction_id, help="its id, 64 hex digits")
    add_formats(shown, csv=False)

    summary = "show every value that a key ever had, and the transaction that gave it"
    history = add_command(commands, "history", summary, _history, "history round/heart/3")
    history.add_argument("key", metavar="KEY", help="a key, composite ones with slashes: round/heart/3")
    history.add_argument("--chaincode", help="whose state it is in (default: the profile's chaincode)")
    add_formats(history)


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} isn't a block's number")
    return int(text)


def _transaction_id(text: str) -> str:
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise argparse.ArgumentTypeError(f"{text!r} isn't a transaction's id: 64 lower-case hex digits")
    return text


def _blocks(arguments: argparse.Namespace) -> int:
    async def read() -> list[BlockSummary]:
        async with network_of(arguments) as network:
            height = await network.height()
            end = height if arguments.last is None else arguments.last + 1
            start = max(0, end - _NEWEST) if arguments.start is None else arguments.start
            if not start < end <= height:
                raise NotOnLedgerError(f"blocks {start} to {end - 1}: the ledger has blocks 0 to {height - 1}")
            found = []
            async with aclosing(network.blocks(start, end)) as blocks:
                async for block in blocks:
                    found.append(block_summary(decode_block(block.content), len(block.content)))
            return found

    show(arguments, asyncio.run(read()), BlockSummary)
    return 0


def _tx(arguments: argparse.Namespace) -> int:
    async def read() -> dict[str, Any]:
        async with network_of(arguments) as network:
            return await _transaction(network, arguments.tx_id)

    document = asyncio.run(read())
    if arguments.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _print(document)
    return 0


async def _transaction(network: Network, tx_id: str) -> dict[str, Any]:
    """Ask a peer for the block that holds a transaction, and decode the transaction."""
    try:
        raw = await network.contract("qscc").evaluate("GetBlockByTxID", network.channel.encode(), tx_id.encode())
    except EvaluateError as error:
        if "no such transaction ID" in str(error):
            raise NotOnLedgerError(f"there is no transaction {tx_id}") from None
        raise
    found = find_transaction(decode_block(raw), tx_id)
    if found is None:
        raise NotOnLedgerError(f"the block that a peer names for transaction {tx_id} doesn't hold it")
    return found


def _print(document: dict[str, Any], indent: str = "") -> None:
    for name, value in document.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            _print(value, f"{indent}  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for position, each in enumerate(value):
                print(f"{indent}{name}[{position}]")
                _print(each, f"{indent}  ")
        else:
            print(f"{indent}{name}: {_plain(value)}")


def _plain(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _history(arguments: argparse.Namespace) -> int:
    async def read() -> list[KeyChange]:
        async with network_of(arguments) as network:
            chaincode = arguments.chaincode or network.gateway.profile.chaincode
            height = await network.height()
            found: list[KeyChange] = []
            async with aclosing(network.blocks(0, height)) as blocks:
                async for block in blocks:
                    found += key_changes(decode_block(block.content), chaincode, arguments.key)
                    say_progress(block.number + 1, height)
            require_changes(found, arguments.key, height)
            return found

    show(arguments, asyncio.run(read()), KeyChange)
    return 0
