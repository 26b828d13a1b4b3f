"""What is carried to a bridge, as the ledger would have it: endorsed by the tests' own peers."""

from __future__ import annotations

import os

from bridge_stage import BridgeStage
from fabric_consortium import CHANNEL

from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_proto.ethereum.resolutions import BridgeDecision, BridgeTerms, Pausing
from consilium_proto.ethereum.rewards import ClosedEpoch, EpochPayout
from consilium_proto.ethereum.scalars import as_data, as_quantity
from consilium_proto.rewards.attestation import DECISION_FUNCTION, EPOCH_FUNCTION, EpochRoot, encode_epoch
from consilium_proto.rewards.decisions import Pause, encode_decision
from consilium_proto.rewards.payout_tree import Payout, payout_root

ETHER = 10**18


def bridge_terms(stage: BridgeStage) -> BridgeTerms:
    return BridgeTerms(revision=1, chain_id=stage.location.chain_id, address=as_data(stage.bridge.address))


def carried_epoch(stage: BridgeStage, number: int = 7, payouts: int = 3) -> Carried:
    """An epoch as the ledger closes it, endorsed by three of the tests' own peers."""
    chosen = [Payout(os.urandom(20), ETHER + index) for index in range(payouts)]
    root = EpochRoot(number, sum(each.amount for each in chosen), payout_root(chosen), payouts)
    closed = ClosedEpoch(
        epoch=number,
        root=as_data(root.root),
        total=as_quantity(root.total),
        closed_at=1,
        payouts=tuple(EpochPayout(account=as_data(each.account), amount=as_quantity(each.amount)) for each in chosen),
    )
    endorsed = stage.endorsed(EPOCH_FUNCTION, encode_epoch(stage.location, root))
    return Carried(CHANNEL, bridge_terms(stage), closed, endorsed)


def carried_pause(stage: BridgeStage, number: int = 1) -> Carried:
    decision = BridgeDecision(bridge=1, number=number, action=Pausing())
    endorsed = stage.endorsed(DECISION_FUNCTION, encode_decision(stage.location, number, Pause()))
    return Carried(CHANNEL, bridge_terms(stage), decision, endorsed)
