"""Attestations for the bridge on a public chain: what was committed, in bytes that its contract reads.

Peers endorse an answer like any other, and the bridge verifies their endorsements. They endorse transactions too that
are never ordered, so these functions only read: what they answer, a majority of the hospitals decided or a closed epoch
holds. No other function of this chaincode answers bytes that begin like theirs: all others answer records, or nothing.
"""

from __future__ import annotations

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.bridge_decisions import registration
from consilium_chaincode.ethereum.contract_parts import EthereumPart
from consilium_chaincode.federation.contract_parts import answer, check_any_reader, check_empty, takes
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.shim.contract import query
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.ethereum.resolutions import BridgeDecision, BridgeDecisionReference, BridgeTerms
from consilium_proto.ethereum.rewards import ClosedEpoch, RewardEpochReference
from consilium_proto.ethereum.scalars import from_data, from_quantity
from consilium_proto.rewards.attestation import (
    DECISION_FUNCTION,
    EPOCH_FUNCTION,
    BridgeLocation,
    EpochRoot,
    encode_epoch,
)
from consilium_proto.rewards.attested_actions import attested_action
from consilium_proto.rewards.decisions import encode_decision


class BridgeFunctions(EthereumPart):
    """AttestEpoch, AttestDecision, ReadBridge."""

    @query(EPOCH_FUNCTION)
    @takes(RewardEpochReference)
    async def attest_epoch(self, stub: ChaincodeStub, reference: RewardEpochReference) -> bytes:
        """Attest a closed epoch for the bridge in force. Every byte that is read costs gas, so nothing else is."""
        # Who may: anyone in the channel; an attestation is public.
        check_any_reader(stub)
        # Read: where the bridge is, the epoch.
        terms = await _bridge_in_force(stub)
        key = state_keys.reward_epoch(reference.epoch)
        closed = await LedgerState(stub).require(ClosedEpoch, key, f"closed epoch {reference.epoch}")
        # Answer.
        total = from_quantity(closed.total)
        root = EpochRoot(closed.epoch, total, from_data(closed.root), len(closed.payouts))
        return encode_epoch(_location(stub, terms), root)

    @query(DECISION_FUNCTION)
    @takes(BridgeDecisionReference)
    async def attest_decision(self, stub: ChaincodeStub, reference: BridgeDecisionReference) -> bytes:
        """Attest a decision that was enacted about the bridge in force."""
        # Who may: anyone in the channel; an attestation is public.
        check_any_reader(stub)
        # Read: where the bridge is, the decision.
        terms = await _bridge_in_force(stub)
        key = state_keys.bridge_decision(terms.revision, reference.number)
        what = f"enacted decision {reference.number} about the bridge of revision {terms.revision}"
        decided = await LedgerState(stub).require(BridgeDecision, key, what)
        # Answer.
        return encode_decision(_location(stub, terms), decided.number, attested_action(decided.action, registration))

    @query("ReadBridge")
    async def read_bridge(self, stub: ChaincodeStub, argument: bytes = b"") -> bytes:
        """Return the bridge's terms in force."""
        check_empty(argument)
        return await answer(self._read_bridge(stub))

    async def _read_bridge(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        return encode(await _bridge_in_force(stub))


async def _bridge_in_force(stub: ChaincodeStub) -> BridgeTerms:
    return await LedgerState(stub).require(BridgeTerms, state_keys.bridge_terms(), "bridge")


def _location(stub: ChaincodeStub, terms: BridgeTerms) -> BridgeLocation:
    return BridgeLocation(stub.channel, terms.chain_id, from_data(terms.address))
