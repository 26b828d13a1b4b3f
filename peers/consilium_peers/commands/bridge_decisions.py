"""`consilium evm bridge decision`: what hospitals decide about their bridge, from the draft to the public chain."""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from consilium_peers.commands.arguments import epoch_number
from consilium_peers.commands.bridge_claiming import add_exporting, add_file, exported
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
from consilium_peers.ethereum.bridge.carrying import bridge_in_force, submit
from consilium_peers.ethereum.bridge.chain_node import ChainNode
from consilium_peers.ethereum.bridge.exporting import export_decision
from consilium_peers.ethereum.bridge.feasibility import check_feasible
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeFileError, BridgeProofError
from consilium_peers.ethereum.resolution_file import write_resolution_file
from consilium_peers.ethereum.resolution_view import title
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto.canonical import encode
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    BridgeDecision,
    BridgeTerms,
    EndorserAddition,
    EndorserRevocation,
    EpochVoiding,
    Pausing,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data

EXAMPLES = """examples:
  consilium evm bridge decision draft pause --out pause.yaml --profile profiles/client.yaml --rpc https://…
  consilium evm bridge decision draft add-endorser HungaryMSP peer.pem --out add.yaml --profile profiles/client.yaml
  consilium evm terms approve pause.yaml --profile profiles/admin.yaml     (a majority of the hospitals; then enact)
  consilium evm bridge decision export 1 --out decision-1.json --profile profiles/client.yaml
  consilium evm bridge decision carry-out decision-1.json --rpc https://… --keystore wallet.json"""

_IDENTITY = re.compile(r"0x[0-9a-f]{64}")


def register(actions: Any) -> None:
    """Add `decision` with its own actions."""
    summary = "change endorsers or threshold, pause, resume, void an epoch"
    parser: argparse.ArgumentParser = actions.add_parser(
        "decision",
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    _register_drafts(steps)
    summary = "have hospitals' peers endorse an enacted decision, and write what is carried to the bridge"
    example = "decision export 1 --out decision-1.json --profile profiles/client.yaml"
    export = add_action(steps, "export", summary, _export, example)
    export.add_argument("number", metavar="NUMBER", type=epoch_number, help="the decision's number")
    add_exporting(export)
    summary = "carry an exported decision to its bridge, which does it"
    example = "decision carry-out decision-1.json --rpc https://… --keystore wallet.json"
    carry_out = add_action(steps, "carry-out", summary, _carry_out, example)
    add_file(carry_out)
    add_payer(carry_out)


def _register_drafts(steps: Any) -> None:
    summary = "write the next decision as a file, for the hospitals' administrators to approve"
    example = "decision draft pause --out pause.yaml --profile profiles/client.yaml --rpc https://…"
    draft = add_action(steps, "draft", summary, _draft, example)
    draft.add_argument("kind", choices=sorted(_ACTIONS), help="what is decided")
    draft.add_argument(
        "values",
        metavar="VALUE",
        nargs="*",
        help="add-endorser: MSP id and file of the peer's certificate; revoke-endorser: its identity (`status` shows "
        "it); set-threshold: how many; void-epoch: the epoch's number",
    )
    draft.add_argument("--out", metavar="FILE", type=Path, required=True, help="the file to write")
    draft.add_argument(
        "--rpc", metavar="URL", help="refuse what the bridge couldn't carry out: an endpoint of its chain"
    )
    add_profile(draft)


def _draft(arguments: argparse.Namespace) -> int:
    decision, terms = asyncio.run(_drafted(arguments))
    if arguments.rpc is not None:
        check_feasible(bridge_in_force(ChainNode(arguments.rpc), terms), decision)
    write_resolution_file(arguments.out, decision, title(decision))
    text = f"{title(decision)}: {arguments.out}\nto approve: {encode(decision).decode()}"
    show(arguments, {"file": str(arguments.out), "resolution": decision}, text)
    return 0


async def _drafted(arguments: argparse.Namespace) -> tuple[BridgeDecision, BridgeTerms]:
    async with Gateway.connect(Profile.load(arguments.profile)) as gateway:
        contract = gateway.network().contract(EVM_CHAINCODE)
        found = await Resolutions(contract).read()
        if found.bridge is None:
            raise BridgeProofError("no bridge is in force on the ledger, so nothing can be decided about it")
        action = await _action(arguments, Rewards(contract))
        number = len(found.decisions) + 1
        return BridgeDecision(bridge=found.bridge.revision, number=number, action=action), found.bridge


async def _action(arguments: argparse.Namespace, rewards: Rewards) -> BridgeAction:
    expected, make = _ACTIONS[arguments.kind]
    if len(arguments.values) != expected:
        raise BridgeFileError(f"{arguments.kind} takes {expected} values, {len(arguments.values)} were given")
    if make is not None:
        return make(*arguments.values)
    closed = await rewards.read_epoch(_number(arguments.values[0]))
    return EpochVoiding(epoch=closed.epoch, root=closed.root)


def _addition(msp_id: str, path: str) -> BridgeAction:
    try:
        certificate = Path(path).read_bytes()
    except OSError as error:
        raise BridgeFileError(f"the certificate {path} can't be read: {error.strerror}") from None
    EndorserKey.of_certificate(msp_id, certificate)
    return EndorserAddition(msp_id=msp_id, certificate=as_data(certificate))


def _revocation(identity: str) -> BridgeAction:
    if not _IDENTITY.fullmatch(identity):
        raise BridgeFileError(f"{identity!r} isn't an endorser's identity: 0x and 64 digits, as `status` shows them")
    return EndorserRevocation(identity=identity)


def _threshold(text: str) -> BridgeAction:
    return ThresholdChange(threshold=_number(text))


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise BridgeFileError(f"{text!r} isn't a number above 0")
    return int(text)


# How many values each kind takes, and what makes it of them; the root of an epoch to be voided is on the ledger.
_ACTIONS: dict[str, tuple[int, Callable[..., BridgeAction] | None]] = {
    "add-endorser": (2, _addition),
    "revoke-endorser": (1, _revocation),
    "set-threshold": (1, _threshold),
    "pause": (0, Pausing),
    "resume": (0, Resumption),
    "void-epoch": (1, None),
}


def _export(arguments: argparse.Namespace) -> int:
    async def gather() -> Carried:
        async with Gateway.connect(Profile.load(arguments.profile)) as gateway:
            return await export_decision(gateway.network(), arguments.number, arguments.hospitals)

    return exported(arguments, asyncio.run(gather()))


def _carry_out(arguments: argparse.Namespace) -> int:
    carried = Carried.read(arguments.file)
    if not isinstance(carried.what, BridgeDecision):
        raise BridgeFileError(f"{arguments.file} carries {carried.title}; `consilium evm bridge submit` takes it")
    sent = submit(payer_of(arguments), carried, say)
    show(arguments, costs(sent), f"{carried.title} is carried out: {cost_in_words(sent)}")
    return 0
