"""What the hospitals may resolve about the EVM and the bridge: what can follow what, and when it is enacted.

A majority of the consortium's hospitals decides. What stands is never unsaid: the chain's id stays, and so do the terms
of the rewards, which are written into their contract's code.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from consilium_chaincode.ethereum.bridge_decisions import check_action
from consilium_chaincode.federation.bounds import majority
from consilium_chaincode.federation.errors import Refused
from consilium_proto.ethereum.resolutions import (
    BridgeDecision,
    BridgeTerms,
    EvmTerms,
    Resolution,
    RewardLedgerTerms,
)
from consilium_proto.ethereum.scalars import from_data, from_quantity
from consilium_proto.refusals import RefusalCode

_KINDS = {EvmTerms: "evm-terms", BridgeTerms: "bridge-terms", BridgeDecision: "bridge-decision"}
EPOCH_CAP_LIMIT = 2**84
"""The most that an epoch may credit: 4,096 epochs of it fit into the 96 bits in which the contract keeps what waits for
a hospital's address. What doesn't fit reverts, and with it the end of the round
(`test_caps_leave_room_for_what_waits`).
"""

_NO_BRIDGE = "there is no bridge on record that could carry out decisions: enact its terms first"


@dataclass(frozen=True, slots=True)
class Standing:
    """Who decides, and what is in force. `decisions` are those about the bridge in force, in their order."""

    hospitals: tuple[str, ...]
    terms: EvmTerms | None = None
    bridge: BridgeTerms | None = None
    decisions: tuple[BridgeDecision, ...] = ()


def series(kind: type[Resolution]) -> str:
    """Return the name of a series of resolutions."""
    return _KINDS[kind]


def place(resolution: Resolution) -> tuple[str, int]:
    """Return the series that a resolution belongs to, and its number there."""
    number = resolution.number if isinstance(resolution, BridgeDecision) else resolution.revision
    return series(type(resolution)), number


def check_successor(standing: Standing, resolution: Resolution) -> None:
    """Refuse a resolution that can't follow what is in force.

    Raises:
        Refused: CONFLICTING for one that isn't the next of its series or that changes what stays; NOT_FOUND for a
            decision about a bridge that isn't on record; MALFORMED for terms that no contract could be made from, or a
            certificate that no bridge could read; UNSAFE_TERMS for what the bridge couldn't carry out.
    """
    if isinstance(resolution, EvmTerms):
        _check_terms(standing.terms, resolution)
    elif isinstance(resolution, BridgeTerms):
        _check_bridge(standing.bridge, resolution)
    else:
        _check_decision(standing, resolution)


def check_approvals(standing: Standing, resolution: Resolution, approved_by: Collection[str]) -> None:
    """Refuse NOT_YET as long as no majority of the hospitals has approved the resolution."""
    approved = [hospital for hospital in standing.hospitals if hospital in approved_by]
    needed = majority(len(standing.hospitals))
    if len(approved) < needed:
        kind, number = place(resolution)
        waiting = ", ".join(hospital for hospital in standing.hospitals if hospital not in approved_by)
        raise Refused(
            RefusalCode.NOT_YET,
            f"{len(approved)} of {needed} approvals of {kind} {number}; not yet approved by {waiting}",
        )


def rewards_to_create(standing: Standing, resolution: Resolution) -> RewardLedgerTerms | None:
    """Return the terms of the rewards' contract that enacting must create; None if it exists or none is wanted."""
    if not isinstance(resolution, EvmTerms) or (standing.terms is not None and standing.terms.rewards is not None):
        return None
    return resolution.rewards


def _check_terms(current: EvmTerms | None, proposed: EvmTerms) -> None:
    _check_next("EVM terms", 0 if current is None else current.revision, proposed.revision)
    if current is not None and proposed.chain_id != current.chain_id:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the chain's id is {current.chain_id} for good, since signed transactions name it; {proposed.chain_id} "
            "can't replace it",
        )
    if current is not None and current.rewards is not None and proposed.rewards != current.rewards:
        raise Refused(
            RefusalCode.CONFLICTING,
            "the rewards' terms are written into their contract and stay; repeat them as they are in force",
        )
    if proposed.rewards is not None:
        _check_caps(proposed.rewards)


def _check_caps(rewards: RewardLedgerTerms) -> None:
    round_cap, epoch_cap = from_quantity(rewards.round_cap), from_quantity(rewards.epoch_cap)
    if round_cap == 0 or epoch_cap < round_cap:
        raise Refused(
            RefusalCode.MALFORMED,
            f"a round's cap of {round_cap} and an epoch's of {epoch_cap}; the first is above 0 and the second not "
            "below the first",
        )
    if epoch_cap > EPOCH_CAP_LIMIT:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"an epoch's cap of {epoch_cap}; above {EPOCH_CAP_LIMIT} what waits for a hospital's address might not fit "
            "into the contract's 96 bits, and rounds couldn't end",
        )


def _check_bridge(current: BridgeTerms | None, proposed: BridgeTerms) -> None:
    _check_next("bridge terms", 0 if current is None else current.revision, proposed.revision)
    if not any(from_data(proposed.address)):
        raise Refused(RefusalCode.MALFORMED, "no contract has the address zero; name the bridge's")
    if current is not None and (current.chain_id, current.address) == (proposed.chain_id, proposed.address):
        raise Refused(
            RefusalCode.CONFLICTING, f"the bridge {current.address} on chain {current.chain_id} is in force already"
        )


def _check_decision(standing: Standing, proposed: BridgeDecision) -> None:
    if standing.bridge is None:
        raise Refused(RefusalCode.NOT_FOUND, _NO_BRIDGE)
    if proposed.bridge != standing.bridge.revision:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"a decision about the bridge of revision {proposed.bridge}; revision {standing.bridge.revision} of the "
            "bridge terms is in force",
        )
    _check_next("decisions about the bridge", len(standing.decisions), proposed.number)
    check_action(proposed.action, [each.action for each in standing.decisions], standing.hospitals)


def _check_next(what: str, last: int, number: int) -> None:
    if number != last + 1:
        raise Refused(RefusalCode.CONFLICTING, f"number {number} of the {what} can't follow; the next is {last + 1}")
