"""`consilium evm bridge export | submit | claim`: an epoch of rewards goes from the ledger to the public chain."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import msgspec

from consilium_peers.commands.arguments import epoch_number
from consilium_peers.commands.bridge_options import (
    add_action,
    add_payer,
    add_profile,
    cost_in_words,
    costs,
    payer_of,
    say,
    show,
)
from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.bridge.carrying import (
    PayoutClaim,
    bridge_in_force,
    claiming,
    payout_at,
    payout_to,
    submit,
    wait_for_claims,
)
from consilium_peers.ethereum.bridge.exporting import export_epoch
from consilium_peers.ethereum.errors import BridgeFileError
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto.errors import WireError
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.ethereum.rewards import ClaimReport
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, as_quantity
from consilium_proto.rewards.addresses import read_address, with_checksum


def register(actions: Any) -> None:
    """Add the actions."""
    summary = "have hospitals' peers endorse a closed epoch, and write what is carried to the bridge"
    export = add_action(
        actions, "export", summary, _export, "export 1 --out epoch-1.json --profile profiles/client.yaml"
    )
    export.add_argument("epoch", metavar="EPOCH", type=epoch_number, help="a closed epoch")
    add_exporting(export)

    summary = "carry an exported epoch to its bridge"
    example = "submit epoch-1.json --rpc https://… --keystore wallet.json"
    submit_ = add_action(actions, "submit", summary, _submit, example)
    add_file(submit_)
    add_payer(submit_)

    summary = "have a payout made; whoever pays for the transaction, it goes to the account in the epoch"
    example = "claim epoch-1.json --rpc https://… --keystore wallet.json --profile profiles/client.yaml --wait"
    claim = add_action(actions, "claim", summary, _claim, example)
    add_file(claim)
    which = claim.add_mutually_exclusive_group()
    which.add_argument("--index", type=_index, help="the payout's place in the epoch, from 0")
    which.add_argument("--account", type=_account, help="the account that is paid (default: the own hospital's)")
    claim.add_argument("--wait", action="store_true", help="wait until the epoch can't be challenged any more")
    add_profile(claim, required=False, why="report the claim to the ledger, as this profile's identity")
    add_payer(claim)


def add_exporting(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is exported."""
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="the file to write")
    parser.add_argument(
        "--hospitals",
        metavar="NUMBER",
        type=epoch_number,
        help="how many must endorse at least (default: more than half; what is gathered beyond goes into the file too)",
    )
    add_profile(parser)


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add what is carried."""
    parser.add_argument("file", metavar="FILE", type=Path, help="what `export` wrote")


def exported(arguments: argparse.Namespace, carried: Carried) -> int:
    """Write what was exported, and say so."""
    carried.write(arguments.out)
    organizations = carried.endorsed.organizations
    address = with_checksum(carried.terms.address)
    text = (
        f"{carried.title} for the bridge {address} on chain {carried.terms.chain_id}, endorsed by "
        f"{', '.join(organizations)}: {arguments.out}"
    )
    fields = {"file": str(arguments.out), "endorsed_by": organizations, "bridge": carried.terms, "what": carried.what}
    show(arguments, msgspec.to_builtins(fields), text)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    async def gather() -> Carried:
        async with Gateway.connect(Profile.load(arguments.profile)) as gateway:
            return await export_epoch(gateway.network(), arguments.epoch, arguments.hospitals)

    return exported(arguments, asyncio.run(gather()))


def _submit(arguments: argparse.Namespace) -> int:
    carried = Carried.read(arguments.file)
    carried.payouts()
    sent = submit(payer_of(arguments), carried, say)
    show(arguments, costs(sent), f"{carried.title} is at the bridge: {cost_in_words(sent)}")
    return 0


def _claim(arguments: argparse.Namespace) -> int:
    carried, payer = Carried.read(arguments.file), payer_of(arguments)
    chosen = _chosen(arguments, carried)
    bridge = bridge_in_force(payer.node, carried.terms)
    data = claiming(bridge, carried, chosen)
    wait_for_claims(bridge, data, patient=arguments.wait, say=say)
    sent = payer.send(bridge.address, data, say)
    account, amount = with_checksum(as_data(chosen.account)), tokens_of_amount(as_quantity(chosen.amount))
    text = f"payout {chosen.index} of {carried.title}, {amount} tokens to {account}: {cost_in_words(sent)}"
    if arguments.profile is not None:
        asyncio.run(_report(arguments, carried, chosen, sent.transaction))
        text += "\nreported to the ledger"
    fields = {
        "epoch": chosen.epoch,
        "index": chosen.index,
        "account": account,
        "amount": amount,
        "reported": arguments.profile is not None,
        **costs(sent),
    }
    show(arguments, fields, text)
    return 0


def _chosen(arguments: argparse.Namespace, carried: Carried) -> PayoutClaim:
    if arguments.index is not None:
        return payout_at(carried, arguments.index)
    account = arguments.account
    if account is None:
        if arguments.profile is None:
            raise BridgeFileError("which payout? name its --index or --account, or a --profile of the hospital")
        account = asyncio.run(_own_account(arguments.profile))
    return payout_to(carried, account)


async def _own_account(path: Path) -> str:
    profile = Profile.load(path)
    async with Gateway.connect(profile) as gateway:
        rewards = Rewards(gateway.network().contract(EVM_CHAINCODE))
        account = (await rewards.read_hospital_reward(profile.organization)).account
    if account is None:
        raise BridgeFileError(f"{profile.organization} has named no address; `consilium reward address --set` does")
    return account


async def _report(arguments: argparse.Namespace, carried: Carried, chosen: PayoutClaim, transaction: str) -> None:
    report = ClaimReport(
        epoch=chosen.epoch, index=chosen.index, chain_id=carried.terms.chain_id, transaction=transaction
    )
    async with Gateway.connect(Profile.load(arguments.profile)) as gateway:
        await Rewards(gateway.network().contract(EVM_CHAINCODE)).report_claim(report)


def _index(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} isn't a payout's place: 0 or more")
    return int(text)


def _account(text: str) -> str:
    try:
        return read_address(text)
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
