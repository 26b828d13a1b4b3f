"""`consilium study holders | renew-key | readmit`: who can decrypt, and who may act again after it had lied."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from consilium_client.commands.connecting import connected, with_profile
from consilium_client.errors import ConfigurationError, KeyEpochError
from consilium_client.holders import open_epoch
from consilium_peers.commands.arguments import organization, study_name
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_proto.records import Readmission
from consilium_proto.refusals import RefusalCode


def register(commands: Any) -> None:
    """Add the commands to `consilium study`."""
    summary = "show who holds the key under which a round was encrypted, or the newest"
    holders = _command(commands, "holders", summary, _holders)
    holders.add_argument("--round", type=int, help="the round; without it, the newest key epoch")

    summary = "start the next key epoch; a round that isn't anchored yet is void with the old one"
    renew = _command(commands, "renew-key", summary, _renew)
    renew.add_argument(
        "--without", type=organization, action="append", default=[], help="a hospital that shall no longer hold the key"
    )
    renew.add_argument(
        "--with",
        dest="back",
        type=organization,
        action="append",
        default=[],
        help="a hospital that shall hold it again",
    )

    summary = "approve that a barred party may act again, and readmit it once enough hospitals have"
    readmit = _command(commands, "readmit", summary, _readmit)
    readmit.add_argument("party", type=organization, help="the MSP id of the hospital or aggregator")


def _command(commands: Any, name: str, summary: str, run: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    command.add_argument("study", type=study_name, help="the study's identifier")
    with_profile(command)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command


def _holders(arguments: argparse.Namespace) -> int:
    async def read() -> dict[str, Any]:
        async with connected(arguments.profile) as federation:
            number = arguments.round
            if number is None:
                epoch = (await federation.read_study(arguments.study)).head.epoch
                if not epoch:
                    raise KeyEpochError(f"study {arguments.study} has no key epoch yet")
            else:
                epoch = (await federation.read_round(arguments.study, number)).round.epoch
            found = await federation.read_key_epoch(arguments.study, epoch)
            return {
                "study": arguments.study,
                "round": number,
                "epoch": epoch,
                "commitment": found.commitment,
                "holders": [wrapped.holder for wrapped in found.holders],
            }

    document = asyncio.run(read())
    if arguments.json:
        print(json.dumps(document, indent=2))
    else:
        print(f"key epoch {document['epoch']} of {document['study']}: {', '.join(document['holders'])}")
    return 0


def _renew(arguments: argparse.Namespace) -> int:
    async def renew() -> int:
        async with connected(arguments.profile) as federation:
            study = await federation.read_study(arguments.study)
            participants = {entry.hospital for entry in study.study.terms.participants}
            if strangers := sorted({*arguments.without, *arguments.back} - participants):
                raise ConfigurationError(f"{strangers[0]} isn't a participant of study {arguments.study}")
            if not await open_epoch(federation, study, arguments.without, arguments.back):
                raise KeyEpochError("a participant has no wrapping key on the ledger yet; its agent registers one")
            return study.head.epoch + 1

    epoch = asyncio.run(renew())
    document = {"study": arguments.study, "epoch": epoch}
    print(json.dumps(document) if arguments.json else f"key epoch {epoch} of {arguments.study} is open")
    return 0


def _readmit(arguments: argparse.Namespace) -> int:
    async def readmit() -> bool:
        async with connected(arguments.profile) as federation:
            study = await federation.read_study(arguments.study)
            bar = next((bar for bar in study.bars if bar.party == arguments.party), None)
            if bar is None:
                raise ConfigurationError(f"{arguments.party} isn't barred from study {arguments.study}")
            return await _approve_and_readmit(
                federation, Readmission(study=arguments.study, party=bar.party, round=bar.round)
            )

    readmitted = asyncio.run(readmit())
    if arguments.json:
        print(json.dumps({"study": arguments.study, "party": arguments.party, "readmitted": readmitted}))
    else:
        print(f"{arguments.party} {'may act again' if readmitted else 'needs the approval of more hospitals'}")
    return 0


async def _approve_and_readmit(federation: Federation, readmission: Readmission) -> bool:
    """Approve, and readmit if that was the deciding approval; asking a second time is fine."""
    try:
        await federation.approve_readmission(readmission)
    except GatewayError as error:
        if error.refusal is not RefusalCode.ALREADY_WRITTEN:
            raise
    try:
        await federation.readmit(readmission)
    except GatewayError as error:
        if error.refusal is not RefusalCode.NOT_YET:
            raise
        return False
    return True
