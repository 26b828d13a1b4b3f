"""Carries what was exported to the bridge: epochs, decisions, claims. What the bridge would refuse isn't sent."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass

from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.bridge.chain_node import ChainNode
from consilium_peers.ethereum.bridge.public_bridge import PublicBridge
from consilium_peers.ethereum.bridge.sending import Payer, Say, Sent
from consilium_peers.ethereum.errors import BridgeFileError, BridgeRefusedError
from consilium_proto.ethereum.resolutions import BridgeTerms
from consilium_proto.ethereum.rewards import ClosedEpoch
from consilium_proto.ethereum.scalars import from_data
from consilium_proto.rewards.addresses import with_checksum
from consilium_proto.rewards.payout_tree import payout_proof

_OPEN = "OpenToChallenge"
# How long after the end of the delay a chain may take until its clock says so.
_SLACK_SECONDS = 600
_LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PayoutClaim:
    """A payout to be claimed: its place in the epoch, its account, its amount in the token's smallest unit."""

    epoch: int
    index: int
    account: bytes
    amount: int


def bridge_in_force(node: ChainNode, terms: BridgeTerms) -> PublicBridge:
    """Return the bridge that terms name.

    Raises:
        BridgeRefusedError: the node is one of another chain.
    """
    found = node.chain_id()
    if found != terms.chain_id:
        raise BridgeRefusedError(f"the bridge is on chain {terms.chain_id}, and {node.host} is a node of chain {found}")
    return PublicBridge(node, from_data(terms.address))


def submission(node: ChainNode, carried: Carried) -> bytes:
    """Return the call that takes an epoch over, or carries a decision out, once the bridge wouldn't refuse it.

    Raises:
        BridgeProofError: too few of the endorsers count at this bridge.
        BridgeRefusedError: the bridge would refuse it.
    """
    bridge = bridge_in_force(node, carried.terms)
    numbers = bridge.numbers([each.endorser for each in carried.endorsed.endorsements])
    arguments = carried.endorsed.arguments(numbers, bridge.ask("threshold")).as_tuple()
    data = bridge.submission(arguments) if isinstance(carried.what, ClosedEpoch) else bridge.carrying_out(arguments)
    bridge.check(data)
    return data


def submit(payer: Payer, carried: Carried, say: Say) -> Sent:
    """Carry an epoch or a decision to its bridge; raises as `submission` and `Payer.send`."""
    data = submission(payer.node, carried)
    return payer.send(carried.location.address, data, say)


def payout_at(carried: Carried, index: int) -> PayoutClaim:
    """Return the payout at a place of the epoch.

    Raises:
        BridgeFileError: there is none.
    """
    payouts = carried.payouts()
    if not 0 <= index < len(payouts):
        raise BridgeFileError(f"{carried.title} has no payout {index}, only 0 to {len(payouts) - 1}")
    return PayoutClaim(_number(carried), index, payouts[index].account, payouts[index].amount)


def payout_to(carried: Carried, account: str) -> PayoutClaim:
    """Return the payout to an account (as `Address` writes it).

    Raises:
        BridgeFileError: there is none.
    """
    for index, payout in enumerate(carried.payouts()):
        if payout.account == from_data(account):
            return PayoutClaim(_number(carried), index, payout.account, payout.amount)
    raise BridgeFileError(f"{carried.title} pays nothing to {with_checksum(account)}")


def claiming(bridge: PublicBridge, carried: Carried, claim: PayoutClaim) -> bytes:
    """Return the call that has a payout made; nothing is asked."""
    proof = payout_proof(carried.payouts(), claim.index)
    return bridge.claiming(claim.epoch, claim.index, claim.account, claim.amount, proof)


def wait_for_claims(
    bridge: PublicBridge, data: bytes, *, patient: bool, say: Say, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return once a claim would be paid.

    Args:
        bridge: the bridge.
        data: the claim.
        patient: whether to wait for the end of the time in which the epoch can be challenged.
        say: is told until when it waits.
        sleep: waits some seconds.

    Raises:
        BridgeRefusedError: the bridge would refuse it, or, when not patient, would refuse it before a time.
        ChainError: the delay is over and the chain's clock still doesn't say so.
    """
    told = False
    while True:
        try:
            return bridge.check(data)
        except BridgeRefusedError as error:
            if error.name != _OPEN:
                raise
            epoch, until = error.values
            left = until - bridge.node.time()
            if not patient:
                raise BridgeRefusedError(
                    f"epoch {epoch} can be challenged until {_moment(until)}, in {left} s on the chain's clock; claim "
                    "again then, or with --wait",
                    error.name,
                    error.values,
                ) from None
            if time.time() > until + _SLACK_SECONDS:
                raise
            if not told:
                say(f"epoch {epoch} can be challenged until {_moment(until)}; waiting {left} s")
                told = True
            sleep(min(_LOOK_SECONDS, max(1.0, left)))


def _number(carried: Carried) -> int:
    assert isinstance(carried.what, ClosedEpoch)
    return carried.what.epoch


def _moment(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
