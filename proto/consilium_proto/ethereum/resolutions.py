"""What the hospitals decide about the EVM and the bridge: each is approved by a majority of them, then enacted.

A resolution names its place in its own series (`revision` or `number`, from 1), so that none is enacted twice or out of
order.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.ethereum.scalars import Address, Amount, Data, Hash
from consilium_proto.records.scalars import PROTOCOL_VERSION, MspId, Organizations, ProtocolVersion, Seconds

Revision = Annotated[int, Meta(ge=1, le=1_000_000)]
ChainId = Annotated[int, Meta(ge=1, le=2**53)]


class RewardLedgerTerms(Record, frozen=True, kw_only=True):
    """The ledger of rewards: fixed when its contract is created, which enacting these terms does."""

    token_name: Annotated[str, Meta(min_length=1, max_length=64)]
    token_symbol: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9]{0,15}\Z")]
    round_cap: Amount
    epoch_cap: Amount


class EvmTerms(Record, frozen=True, kw_only=True, tag="evm-terms"):
    """How the EVM runs on this channel.

    `chain_id` and, once there are any, `rewards` stay what the first revision that had them said. `gas_cap` bounds a
    transaction. `clock_tolerance` (seconds) and `block_tolerance` (blocks) bound what a transaction may claim about its
    time and its block.
    """

    revision: Revision
    chain_id: ChainId
    gas_cap: Annotated[int, Meta(ge=21_000, le=16_777_216)]
    clock_tolerance: Seconds
    block_tolerance: Annotated[int, Meta(ge=1, le=10_000)]
    rewards: RewardLedgerTerms | None


class BridgeTerms(Record, frozen=True, kw_only=True, tag="bridge-terms"):
    """The bridge that attestations are for: the contract's address on the public chain. A new revision: another one."""

    revision: Revision
    chain_id: ChainId
    address: Address


class EndorserAddition(Record, frozen=True, kw_only=True, tag="add-endorser"):
    """A peer whose endorsements the bridge counts from now on: MSP id and certificate (PEM, as the peer signs)."""

    msp_id: MspId
    certificate: Data


class EndorserRevocation(Record, frozen=True, kw_only=True, tag="revoke-endorser"):
    """A peer whose endorsements never count again, by keccak256 of its SerializedIdentity."""

    identity: Hash


class ThresholdChange(Record, frozen=True, kw_only=True, tag="set-threshold"):
    """How many organisations must endorse from now on."""

    threshold: Annotated[int, Meta(ge=1, le=65_535)]


class Pausing(Record, frozen=True, kw_only=True, tag="pause"):
    """Neither epochs nor claims until the bridge is resumed."""


class Resumption(Record, frozen=True, kw_only=True, tag="resume"):
    """Epochs and claims again."""


class EpochVoiding(Record, frozen=True, kw_only=True, tag="void-epoch"):
    """An epoch's root that is never paid (again)."""

    epoch: Revision
    root: Hash


BridgeAction = EndorserAddition | EndorserRevocation | ThresholdChange | Pausing | Resumption | EpochVoiding


class BridgeDecision(Record, frozen=True, kw_only=True, tag="bridge-decision"):
    """A decision that the bridge carries out, in the order of the numbers, once it is attested.

    `bridge` is the revision of the terms that name it: every bridge counts its decisions from 1, so what was approved
    for one isn't approved for its successor.
    """

    bridge: Revision
    number: Revision
    action: BridgeAction


class BridgeDecisionReference(Record, frozen=True, kw_only=True):
    """`AttestDecision`: names an enacted decision about the bridge in force."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    number: Revision


Resolution = EvmTerms | BridgeTerms | BridgeDecision


class ResolutionArgument(Record, frozen=True, kw_only=True):
    """`Approve` and `Enact`: the resolution in full."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    resolution: Resolution


class ResolutionApproval(Record, frozen=True, kw_only=True):
    """One hospital's approval of one resolution, in full: the others read there what waits for their approval."""

    resolution: Resolution


class PendingResolution(Record, frozen=True, kw_only=True):
    """A resolution that could be enacted next, and who approved it, in the order of the MSP ids.

    Whether that is a majority, the federation's consortium says.
    """

    resolution: Resolution
    approved_by: Organizations


class ResolutionsView(Record, frozen=True, kw_only=True):
    """The answer to `ReadResolutions`: what is in force, what its bridge was told, and what is pending."""

    terms: EvmTerms | None
    bridge: BridgeTerms | None
    decisions: tuple[BridgeDecision, ...]
    pending: tuple[PendingResolution, ...]
