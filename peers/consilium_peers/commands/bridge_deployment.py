"""`consilium evm bridge deploy | status`: a bridge is made, and held against the ledger that it pays for."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import msgspec

from consilium_peers.commands.bridge_options import (
    add_action,
    add_node,
    add_payer,
    add_profile,
    cost_in_words,
    costs,
    payer_of,
    say,
    show,
)
from consilium_peers.ethereum.bridge.bridge_state import BridgeState, LedgerSide, bridge_state
from consilium_peers.ethereum.bridge.carrying import bridge_in_force
from consilium_peers.ethereum.bridge.chain_node import ChainNode
from consilium_peers.ethereum.bridge.peer_identities import endorsing_peers
from consilium_peers.ethereum.bridge.public_bridge import Deployment, PublicBridge, creation
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_peers.ethereum.resolution_file import write_resolution_file
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway, Network
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto.canonical import encode
from consilium_proto.errors import WireError
from consilium_proto.ethereum.resolutions import BridgeTerms
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, from_data
from consilium_proto.rewards.addresses import read_address, with_checksum
from consilium_trail.roots import TrustedRoots

_DAY_SECONDS = 86_400


def register(actions: Any) -> None:
    """Add both actions."""
    summary = "deploy a bridge whose endorsers are the hospitals' peers, and write the terms that hospitals approve"
    example = "deploy --rpc https://… --profile profiles/client.yaml --roots channel/roots.pem --keystore wallet.json"
    deploy = add_action(actions, "deploy", summary, _deploy, example)
    add_profile(deploy)
    deploy.add_argument(
        "--roots", type=Path, required=True, help="the organisations' root certificates, as you have them from them"
    )
    deploy.add_argument("--threshold", type=_count, help="how many hospitals must endorse (default: more than half)")
    deploy.add_argument(
        "--delay",
        metavar="SECONDS",
        type=_count,
        default=_DAY_SECONDS,
        help="from an epoch's acceptance to its first claim (default: a day)",
    )
    deploy.add_argument("--out", type=Path, default=Path("bridge-terms.yaml"), help="default: bridge-terms.yaml")
    add_payer(deploy)

    summary = "show how a bridge stands; with a profile, whether it agrees with the ledger"
    status = add_action(actions, "status", summary, _status, "status --rpc https://… --profile profiles/client.yaml")
    add_node(status)
    add_profile(status, required=False, why="compare with the ledger, as this profile's identity reads it")
    status.add_argument("--address", type=_address, help="the bridge (default: the one in force on the ledger)")
    status.add_argument(
        "--roots", type=Path, help="also check the peers that endorse now by these root certificates (needs a profile)"
    )


def _deploy(arguments: argparse.Namespace) -> int:
    payer, roots = payer_of(arguments), TrustedRoots.load(arguments.roots)
    deployment, peers, revision = asyncio.run(_plan(arguments, roots))
    for key in peers:
        say(f"endorser for {key.msp_id}: {as_data(key.identity_hash)}")
    sent = payer.send(None, creation(deployment, peers), say)
    assert sent.contract is not None
    terms = BridgeTerms(revision=revision, chain_id=payer.node.chain_id(), address=as_data(sent.contract))
    address = with_checksum(terms.address)
    write_resolution_file(arguments.out, terms, f"The bridge at {address} on chain {terms.chain_id}")
    text = (
        f"bridge at {address} on chain {terms.chain_id}: {cost_in_words(sent)}\n"
        f"to approve: {encode(terms).decode()}\n"
        f"every hospital looks at it (consilium evm bridge status --address {address} --roots …), then its\n"
        f"administrator approves: consilium evm terms approve {arguments.out}"
    )
    fields = {"address": terms.address, "chain_id": terms.chain_id, "resolution": terms, **costs(sent)}
    show(arguments, fields, text)
    return 0


async def _plan(arguments: argparse.Namespace, roots: TrustedRoots) -> tuple[Deployment, list[EndorserKey], int]:
    """Return what to deploy, the endorsers and the revision of the terms that will name it."""
    async with Gateway.connect(Profile.load(arguments.profile)) as gateway:
        network = gateway.network()
        found = await Resolutions(network.contract(EVM_CHAINCODE)).read()
        if found.terms is None or found.terms.rewards is None:
            raise BridgeProofError("the ledger has no rewards to pay: put terms of the EVM into force that have some")
        hospitals = (await Federation(network.contract()).read_consortium()).hospitals
        peers = await endorsing_peers(network, hospitals, roots)
        rewards = found.terms.rewards
        deployment = Deployment(
            token_name=rewards.token_name,
            token_symbol=rewards.token_symbol,
            channel=network.channel,
            chaincode=EVM_CHAINCODE,
            threshold=arguments.threshold or len(hospitals) // 2 + 1,
            challenge_delay=arguments.delay,
        )
        return deployment, peers, 1 if found.bridge is None else found.bridge.revision + 1


def _status(arguments: argparse.Namespace) -> int:
    if arguments.profile is None and arguments.roots is not None:
        raise BridgeProofError("roots are what the ledger's peers are checked by: name a --profile to read it with")
    terms, ledger = (None, None) if arguments.profile is None else asyncio.run(_ledger(arguments))
    node = ChainNode(arguments.rpc)
    if arguments.address is not None:
        bridge = PublicBridge(node, from_data(arguments.address))
    elif terms is not None:
        bridge = bridge_in_force(node, terms)
    else:
        raise BridgeProofError("which bridge? name its --address, or a --profile of a ledger on which one is in force")
    state = bridge_state(bridge, ledger)
    show(arguments, msgspec.to_builtins(state), _as_text(state))
    return 1 if state.doubts else 0


async def _ledger(arguments: argparse.Namespace) -> tuple[BridgeTerms | None, LedgerSide]:
    roots = None if arguments.roots is None else TrustedRoots.load(arguments.roots)
    async with Gateway.connect(Profile.load(arguments.profile)) as gateway:
        network = gateway.network()
        found = await Resolutions(network.contract(EVM_CHAINCODE)).read()
        return found.bridge, await _ledger_side(network, roots, len(found.decisions))


async def _ledger_side(network: Network, roots: TrustedRoots | None, decisions: int) -> LedgerSide:
    hospitals = (await Federation(network.contract()).read_consortium()).hospitals
    rewards = Rewards(network.contract(EVM_CHAINCODE))
    closed = range(1, (await rewards.read_reward_ledger()).open_epoch)
    return LedgerSide(
        channel=network.channel,
        peers=tuple(await endorsing_peers(network, hospitals, roots)),
        epochs=tuple([await rewards.read_epoch(number) for number in closed]),
        decisions=decisions,
    )


def _as_text(state: BridgeState) -> str:
    enacted = "" if state.decisions_enacted is None else f" of {state.decisions_enacted} enacted"
    lines = [
        f"bridge {state.address} on chain {state.chain_id}{', paused' if state.paused else ''}",
        f"  {state.supply} {state.token} paid so far; an epoch can be challenged for {state.challenge_delay} s",
        f"  {state.threshold} of {state.organizations} organisations decide; "
        f"{state.decisions_carried_out}{enacted} decisions carried out",
    ]
    for each in state.endorsers:
        now = {None: "", True: ", signs now", False: ", doesn't sign now"}[each.signs_now]
        counts = "counts" if each.counts else "revoked"
        lines.append(f"  endorser {each.number}: {each.organization}, {counts}{now}, {each.identity}")
    for epoch in state.epochs:
        lines.append(f"  epoch {epoch.epoch}: {epoch.state}, {epoch.unpaid} of {epoch.total} {state.token} unpaid")
    lines += [f"  DOUBT: {doubt}" for doubt in state.doubts]
    if not state.doubts and state.decisions_enacted is not None:
        lines.append("  code, channel, chaincode and endorsers are as the ledger has them")
    return "\n".join(lines)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number above 0")
    return int(text)


def _address(text: str) -> str:
    try:
        return read_address(text)
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
