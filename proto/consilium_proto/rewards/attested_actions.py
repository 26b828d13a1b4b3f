"""From what the hospitals decided about the bridge, as their ledger keeps it, to what is attested to it."""

from __future__ import annotations

from collections.abc import Callable

from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    EndorserAddition,
    EndorserRevocation,
    EpochVoiding,
    Pausing,
    ThresholdChange,
)
from consilium_proto.ethereum.scalars import from_data
from consilium_proto.rewards.decisions import (
    AddEndorser,
    Decision,
    Pause,
    Resume,
    RevokeEndorser,
    SetThreshold,
    VoidEpoch,
)


def attested_action(action: BridgeAction, registration: Callable[[EndorserAddition], AddEndorser]) -> Decision:
    """Return an action in the form in which it is attested; `registration` reads the key in a certificate."""
    if isinstance(action, EndorserAddition):
        return registration(action)
    if isinstance(action, EndorserRevocation):
        return RevokeEndorser(from_data(action.identity))
    if isinstance(action, ThresholdChange):
        return SetThreshold(action.threshold)
    if isinstance(action, EpochVoiding):
        return VoidEpoch(action.epoch, from_data(action.root))
    return Pause() if isinstance(action, Pausing) else Resume()
