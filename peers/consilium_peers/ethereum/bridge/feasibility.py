"""Whether a bridge could carry a decision out: the ledger can't know it, as it doesn't see the bridge.

The bridge carries decisions out in their order, so one that it reverts on blocks all later ones for good.
"""

from __future__ import annotations

from collections import Counter

from consilium_peers.ethereum.bridge.public_bridge import PublicBridge
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeRefusedError
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    BridgeDecision,
    EndorserAddition,
    EndorserRevocation,
    Pausing,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.scalars import as_data, from_data


def check_feasible(bridge: PublicBridge, decision: BridgeDecision) -> None:
    """Check that a bridge as it stands would carry a decision out.

    Raises:
        BridgeRefusedError: it wouldn't, or earlier decisions weren't carried out yet, so that nobody knows.
    """
    carried_out = bridge.ask("decisions")
    if decision.number != carried_out + 1:
        raise BridgeRefusedError(
            f"the bridge has carried {carried_out} decisions out; carry those before decision {decision.number} out, "
            "then see what it makes of this one"
        )
    organizations = _organizations_after(bridge, decision.action)
    threshold = decision.action.threshold if isinstance(decision.action, ThresholdChange) else bridge.ask("threshold")
    if not organizations // 2 < threshold <= organizations:
        raise BridgeRefusedError(
            f"afterwards {organizations} organisations would have endorsers and {threshold} would have to endorse; the "
            "bridge wants more than half and at most all of them, and would carry nothing out any more"
        )
    if isinstance(decision.action, Pausing | Resumption):
        _check_pause(bridge, decision.action)


def _organizations_after(bridge: PublicBridge, action: BridgeAction) -> int:
    """Return how many organisations would have an endorser that counts."""
    registered = bridge.endorsers()
    counting = Counter(each.key.msp_id for each in registered if each.counts)
    known = {as_data(each.key.identity_hash): each for each in registered}
    if isinstance(action, EndorserAddition):
        added = EndorserKey.of_certificate(action.msp_id, from_data(action.certificate))
        if as_data(added.identity_hash) in known:
            raise BridgeRefusedError(f"the bridge knows this endorser of {action.msp_id} already")
        counting[action.msp_id] += 1
    if isinstance(action, EndorserRevocation):
        revoked = known.get(action.identity)
        if revoked is None or not revoked.counts:
            raise BridgeRefusedError(f"no endorser that counts has the identity {action.identity}")
        counting[revoked.key.msp_id] -= 1
    return sum(1 for count in counting.values() if count > 0)


def _check_pause(bridge: PublicBridge, action: BridgeAction) -> None:
    paused = bridge.ask("paused")
    if paused == isinstance(action, Pausing):
        raise BridgeRefusedError(f"the bridge is {'paused already' if paused else 'not paused'}")
