"""How a bridge stands: what it holds itself, and, beside the ledger, whether both agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilium_peers.ethereum.bridge.public_bridge import Deployment, PublicBridge, RegisteredEndorser
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.errors import BridgeProofError, BridgeRefusedError
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.ethereum.rewards import ClosedEpoch
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, as_quantity, from_data
from consilium_proto.rewards.addresses import with_checksum
from consilium_proto.rewards.keccak import keccak256


@dataclass(frozen=True, slots=True)
class EndorserState:
    """An endorser at the bridge. `signs_now`: whether its organisation's peer signs as it; None where nobody asked."""

    number: int
    organization: str
    identity: str
    counts: bool
    signs_now: bool | None


@dataclass(frozen=True, slots=True)
class EpochState:
    """An epoch that is closed on the ledger: its total, and how it stands at the bridge; amounts in tokens."""

    epoch: int
    total: str
    state: str
    claimable_from: int | None
    unpaid: str


@dataclass(frozen=True, slots=True)
class BridgeState:
    """A bridge. `doubts` says what isn't as the ledger has it; none is given where nobody compared."""

    address: str
    chain_id: int
    token: str
    supply: str
    threshold: int
    organizations: int
    challenge_delay: int
    paused: bool
    decisions_carried_out: int
    decisions_enacted: int | None
    endorsers: tuple[EndorserState, ...]
    epochs: tuple[EpochState, ...]
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LedgerSide:
    """What the ledger says of its bridge: the channel, the peers that endorse now, closed epochs, enacted decisions."""

    channel: str
    peers: tuple[EndorserKey, ...]
    epochs: tuple[ClosedEpoch, ...]
    decisions: int


def bridge_state(bridge: PublicBridge, ledger: LedgerSide | None) -> BridgeState:
    """Read how a bridge stands.

    Raises:
        ChainError: it can't be asked, or there is no bridge.
    """
    registered = bridge.endorsers()
    signing = None if ledger is None else {key.identity_hash for key in ledger.peers}
    return BridgeState(
        address=with_checksum(as_data(bridge.address)),
        chain_id=bridge.node.chain_id(),
        token=bridge.ask("symbol"),
        supply=_tokens(bridge.ask("totalSupply")),
        threshold=bridge.ask("threshold"),
        organizations=bridge.ask("activeOrganizations"),
        challenge_delay=bridge.ask("challengeDelay"),
        paused=bridge.ask("paused"),
        decisions_carried_out=bridge.ask("decisions"),
        decisions_enacted=None if ledger is None else ledger.decisions,
        endorsers=tuple(
            EndorserState(
                number=each.number,
                organization=each.key.msp_id,
                identity=as_data(each.key.identity_hash),
                counts=each.counts,
                signs_now=None if signing is None else each.key.identity_hash in signing,
            )
            for each in registered
        ),
        epochs=() if ledger is None else tuple(_epoch(bridge, each) for each in ledger.epochs),
        doubts=() if ledger is None else tuple(_doubts(bridge, ledger, registered)),
    )


def _epoch(bridge: PublicBridge, closed: ClosedEpoch) -> EpochState:
    total = tokens_of_amount(closed.total)
    found = bridge.epoch(closed.epoch)
    if found is None:
        voided = bridge.ask("voided", closed.epoch, from_data(closed.root))
        return EpochState(closed.epoch, total, "voided" if voided else "not submitted", None, total)
    if found.root != from_data(closed.root):
        return EpochState(closed.epoch, total, "accepted under another root", None, _tokens(found.unpaid))
    claimable_from = found.accepted_at + bridge.ask("challengeDelay")
    state = "claimable" if bridge.node.time() >= claimable_from else "open to challenge"
    if found.unpaid == 0:
        state = "paid"
    return EpochState(closed.epoch, total, state, claimable_from, _tokens(found.unpaid))


def _doubts(bridge: PublicBridge, ledger: LedgerSide, registered: Sequence[RegisteredEndorser]) -> list[str]:
    doubts = []
    if bridge.ask("channelHash") != keccak256(ledger.channel.encode()):
        doubts.append(f"it was deployed for another channel than {ledger.channel}")
    if bridge.ask("chaincodeHash") != keccak256(EVM_CHAINCODE.encode()):
        doubts.append(f"it was deployed for another chaincode than {EVM_CHAINCODE}")
    counting = {each.key.identity_hash for each in registered if each.counts}
    signing = {key.identity_hash: key.msp_id for key in ledger.peers}
    unknown = sorted(msp_id for identity, msp_id in signing.items() if identity not in counting)
    if unknown:
        doubts.append(f"the peers that endorse now for {', '.join(unknown)} don't count")
    gone = [each.number for each in registered if each.counts and each.key.identity_hash not in signing]
    if gone:
        doubts.append(f"endorsers {', '.join(map(str, gone))} count, and no peer signs as them now")
    if not doubts:
        doubts += _of_the_code(bridge, ledger)
    return doubts


def _of_the_code(bridge: PublicBridge, ledger: LedgerSide) -> list[str]:
    delay, organizations = bridge.ask("challengeDelay"), len(ledger.peers)
    terms = Deployment("", "", ledger.channel, EVM_CHAINCODE, organizations // 2 + 1, delay)
    try:
        bridge.check_code(terms, ledger.peers)
    except (BridgeProofError, BridgeRefusedError) as error:
        return [str(error)]
    return []


def _tokens(units: int) -> str:
    return tokens_of_amount(as_quantity(units))
