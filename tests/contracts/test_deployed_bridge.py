"""A bridge as it stands: what it could carry out, whether it is as the ledger has it."""

from __future__ import annotations

import pytest
from anvil_chain import AnvilChain
from bridge_stage import DELAY_SECONDS, THRESHOLD, BridgeStage, registration_tuple, terms
from carried_things import carried_epoch
from fabric_consortium import CHAINCODE, CHANNEL, Consortium

from consilium_peers.ethereum.bridge.bridge_state import LedgerSide, bridge_state
from consilium_peers.ethereum.bridge.carrying import claiming, payout_at, submit
from consilium_peers.ethereum.bridge.feasibility import check_feasible
from consilium_peers.ethereum.bridge.public_bridge import Deployment, PublicBridge, creation
from consilium_peers.ethereum.bridge.sending import Payer
from consilium_peers.ethereum.errors import BridgeProofError, BridgeRefusedError
from consilium_proto.contracts import REWARD_BRIDGE, REWARD_LEDGER
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    BridgeDecision,
    EndorserAddition,
    EndorserRevocation,
    EpochVoiding,
    Pausing,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.rewards import ClosedEpoch
from consilium_proto.ethereum.scalars import as_data
from consilium_proto.rewards.decisions import Decision, Pause, Resume, RevokeEndorser, SetThreshold, VoidEpoch

# As `deploy` names it: the chaincode is part of what is checked.
EVM = "evm"


def silent(_: str) -> None: ...


# ---- what could be carried out


def decided(action: BridgeAction, number: int = 1) -> BridgeDecision:
    return BridgeDecision(bridge=1, number=number, action=action)


def added(consortium: Consortium, number: int) -> EndorserAddition:
    key = consortium.keys[number]
    return EndorserAddition(msp_id=key.msp_id, certificate=as_data(key.certificate))


def revoked(consortium: Consortium, number: int) -> EndorserRevocation:
    return EndorserRevocation(identity=as_data(consortium.keys[number].identity_hash))


def test_decisions_that_would_block_the_bridge_are_told(stage: BridgeStage) -> None:
    """The contract and the check agree on each: what the check refuses, the contract reverts on."""
    consortium, bridge = stage.consortium, stage.bridge_at_node
    feasible: list[tuple[BridgeAction, Decision]] = [
        (Pausing(), Pause()),
        (EpochVoiding(epoch=3, root=as_data(bytes(32))), VoidEpoch(3, bytes(32))),
        (ThresholdChange(threshold=4), SetThreshold(4)),
        (revoked(consortium, 0), RevokeEndorser(consortium.keys[0].identity_hash)),
        (added(consortium, 4), consortium.keys[4].registration()),
    ]
    for action, told in feasible:
        check_feasible(bridge, decided(action))
        assert stage.bridge.refusal(stage.decision(told)) == ""
    blocking: list[tuple[BridgeAction, Decision]] = [
        (Resumption(), Resume()),
        (ThresholdChange(threshold=2), SetThreshold(2)),
        (ThresholdChange(threshold=5), SetThreshold(5)),
        (revoked(consortium, 4), RevokeEndorser(consortium.keys[4].identity_hash)),
        (added(consortium, 0), consortium.keys[0].registration()),
    ]
    for action, told in blocking:
        with pytest.raises(BridgeRefusedError):
            check_feasible(bridge, decided(action))
        assert stage.bridge.refusal(stage.decision(told)) != ""
    with pytest.raises(BridgeRefusedError, match="has carried 0 decisions out"):
        check_feasible(bridge, decided(Pausing(), 2))
    # Three of three: whoever is revoked next leaves too few.
    stage.decide(RevokeEndorser(consortium.keys[0].identity_hash))
    with pytest.raises(BridgeRefusedError, match="afterwards 2 organisations would have endorsers and 3 would have"):
        check_feasible(bridge, decided(revoked(consortium, 1), 2))
    with pytest.raises(BridgeRefusedError, match="no endorser that counts"):
        check_feasible(bridge, decided(revoked(consortium, 0), 2))


# ---- deploying, and looking at what was deployed


def deployment(organizations: int = 4, chaincode: str = EVM, delay: int = DELAY_SECONDS) -> Deployment:
    return Deployment("Consilium Reward", "CSR", CHANNEL, chaincode, organizations // 2 + 1, delay)


def test_a_bridge_is_deployed_and_recognised(chain: AnvilChain, consortium: Consortium, payer: Payer) -> None:
    keys = consortium.keys[:4]
    sent = payer.send(None, creation(deployment(), keys), silent)
    assert sent.contract is not None
    bridge = PublicBridge(chain.node, sent.contract)
    bridge.check_code(deployment(), keys)
    assert [each.key for each in bridge.endorsers()] == keys
    state = bridge_state(bridge, LedgerSide(CHANNEL, tuple(keys), (), 0))
    assert (state.doubts, state.threshold, state.organizations) == ((), 3, 4)
    assert all(each.counts and each.signs_now for each in state.endorsers)
    for other in (deployment(delay=1), deployment(chaincode="other")):
        with pytest.raises(BridgeProofError, match="isn't that of a bridge"):
            bridge.check_code(other, keys)


def test_a_bridge_that_isnt_as_the_ledger_has_it_is_doubted(
    chain: AnvilChain, consortium: Consortium, stage: BridgeStage
) -> None:
    keys = consortium.keys[:4]
    ledger = LedgerSide(CHANNEL, tuple(keys), (), 0)
    assert bridge_state(stage.bridge_at_node, ledger).doubts == ("it was deployed for another chaincode than evm",)
    others = LedgerSide("trial", tuple(consortium.keys[1:5]), (), 0)
    assert bridge_state(stage.bridge_at_node, others).doubts == (
        "it was deployed for another channel than trial",
        "it was deployed for another chaincode than evm",
        "the peers that endorse now for Hospital4MSP don't count",
        "endorsers 0 count, and no peer signs as them now",
    )
    other = chain.deploy(REWARD_LEDGER, "Consilium Reward", "CSR", chain.payer, 1, 1)
    with pytest.raises(BridgeProofError, match="isn't that of a bridge"):
        PublicBridge(chain.node, other.address).check_code(deployment(), keys)


def test_an_epoch_is_shown_as_it_stands(chain: AnvilChain, consortium: Consortium, payer: Payer) -> None:
    keys = consortium.keys[:4]
    made = chain.deploy(
        REWARD_BRIDGE,
        (*terms(THRESHOLD)[:3], CHAINCODE, THRESHOLD, DELAY_SECONDS),
        [registration_tuple(key) for key in keys],
    )
    stage = BridgeStage(chain, consortium, made, numbers={key.identity_hash: i for i, key in enumerate(keys)})
    carried = carried_epoch(stage, payouts=1)
    assert isinstance(carried.what, ClosedEpoch)
    ledger = LedgerSide(CHANNEL, tuple(keys), (carried.what,), 0)

    def shown() -> tuple[str, str]:
        (epoch,) = bridge_state(stage.bridge_at_node, ledger).epochs
        return epoch.state, epoch.unpaid

    assert shown() == ("not submitted", "1")
    submit(payer, carried, silent)
    assert shown() == ("open to challenge", "1")
    stage.wait_for_claims()
    assert shown() == ("claimable", "1")
    bridge = stage.bridge_at_node
    payer.send(bridge.address, claiming(bridge, carried, payout_at(carried, 0)), silent)
    assert shown() == ("paid", "0")
    falsified = replace_root(carried.what)
    (epoch,) = bridge_state(bridge, LedgerSide(CHANNEL, tuple(keys), (falsified,), 0)).epochs
    assert epoch.state == "accepted under another root"


def replace_root(closed: ClosedEpoch) -> ClosedEpoch:
    return ClosedEpoch(
        epoch=closed.epoch, root=as_data(bytes(32)), total=closed.total, closed_at=1, payouts=closed.payouts
    )
