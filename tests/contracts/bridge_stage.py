"""A bridge on a chain, the consortium that it pays for, and what is carried over."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from anvil_chain import AnvilChain, Deployed
from fabric_consortium import CHAINCODE, CHANNEL, Consortium, action_of, payload_of
from web3 import Web3

from consilium_peers.ethereum.bridge.public_bridge import PublicBridge
from consilium_peers.ethereum.endorsed_answer import BridgeArguments, EndorsedAnswer
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.identity import Identity
from consilium_proto.contracts import REWARD_BRIDGE
from consilium_proto.rewards.attestation import (
    DECISION_FUNCTION,
    EPOCH_FUNCTION,
    BridgeLocation,
    EpochRoot,
    encode_epoch,
)
from consilium_proto.rewards.decisions import Decision, encode_decision
from consilium_proto.rewards.payout_tree import Payout, payout_proof, payout_root

DELAY_SECONDS = 3600
THRESHOLD = 3
ORGANIZATIONS = 4


@dataclass(frozen=True)
class PaidEpoch:
    """An epoch's payouts and what is attested of them."""

    number: int
    payouts: tuple[Payout, ...]

    @property
    def root(self) -> EpochRoot:
        total = sum(payout.amount for payout in self.payouts)
        return EpochRoot(self.number, total, payout_root(self.payouts), len(self.payouts))


def random_epoch(number: int, payouts: int = 16) -> PaidEpoch:
    return PaidEpoch(number, tuple(Payout(os.urandom(20), 10**18 + i) for i in range(payouts)))


@dataclass
class BridgeStage:
    """Everything that a test of the bridge needs."""

    chain: AnvilChain
    consortium: Consortium
    bridge: Deployed
    decisions: int = 0
    numbers: dict[bytes, int] = field(default_factory=dict)

    @classmethod
    def set_up(
        cls, chain: AnvilChain, consortium: Consortium, threshold: int = THRESHOLD, organizations: int = ORGANIZATIONS
    ) -> BridgeStage:
        keys = consortium.keys[:organizations]
        bridge = chain.deploy(REWARD_BRIDGE, terms(threshold), [registration_tuple(key) for key in keys])
        return cls(chain, consortium, bridge, numbers={key.identity_hash: i for i, key in enumerate(keys)})

    @property
    def location(self) -> BridgeLocation:
        return BridgeLocation(CHANNEL, self.chain.web3.eth.chain_id, self.bridge.address)

    @property
    def bridge_at_node(self) -> PublicBridge:
        """The same bridge as the project's own client sees it."""
        return PublicBridge(self.chain.node, self.bridge.address)

    @property
    def functions(self) -> Any:
        return self.bridge.contract.functions

    def endorsed(
        self,
        function: str,
        answer: bytes,
        peers: Sequence[Identity] | None = None,
        channel: str = CHANNEL,
        chaincode: str = CHAINCODE,
    ) -> EndorsedAnswer:
        """Have an answer endorsed, by three peers if none are named."""
        question = self.consortium.question(function, channel, chaincode)
        payload = payload_of(question.hash, action_of(answer, chaincode).SerializeToString())
        endorsers = self.consortium.peers[:THRESHOLD] if peers is None else peers
        return EndorsedAnswer.of_prepared(self.consortium.envelope(question, payload, endorsers))

    def epoch_arguments(self, epoch: PaidEpoch, peers: Sequence[Identity] | None = None) -> BridgeArguments:
        answer = self.endorsed(EPOCH_FUNCTION, encode_epoch(self.location, epoch.root), peers)
        return answer.arguments(self.numbers, THRESHOLD)

    def submit(self, epoch: PaidEpoch) -> int:
        """Carry an epoch over; return the gas that it took."""
        return self.chain.transact(self.submission(self.epoch_arguments(epoch)))["gasUsed"]

    def submission(self, arguments: BridgeArguments) -> Any:
        return self.functions.submitEpoch(arguments.as_tuple())

    def decision(self, decision: Decision, peers: Sequence[Identity] | None = None, number: int | None = None) -> Any:
        content = encode_decision(self.location, self.decisions + 1 if number is None else number, decision)
        answer = self.endorsed(DECISION_FUNCTION, content, peers)
        threshold = self.functions.threshold().call()
        return self.functions.carryOut(answer.arguments(self.numbers, threshold).as_tuple())

    def decide(self, decision: Decision, peers: Sequence[Identity] | None = None) -> None:
        self.chain.transact(self.decision(decision, peers))
        self.decisions += 1

    def add_endorser_number(self, key: EndorserKey) -> None:
        place = self.functions.endorserPlace(key.identity_hash).call()
        self.numbers[key.identity_hash] = place - 1

    def claim(self, epoch: PaidEpoch, index: int) -> Any:
        payout = epoch.payouts[index]
        return self.functions.claim(
            epoch.number, index, as_address(payout.account), payout.amount, payout_proof(epoch.payouts, index)
        )

    def wait_for_claims(self) -> None:
        self.chain.pass_time(DELAY_SECONDS)

    def balance(self, account: bytes) -> int:
        return int(self.functions.balanceOf(as_address(account)).call())


def terms(threshold: int, delay: int = DELAY_SECONDS) -> tuple[str, str, str, str, int, int]:
    return ("Consilium Reward", "CSR", CHANNEL, CHAINCODE, threshold, delay)


def registration_tuple(key: EndorserKey) -> tuple[bytes, bytes, bytes, bytes]:
    added = key.registration()
    return (added.qx.to_bytes(32, "big"), added.qy.to_bytes(32, "big"), added.msp_id.encode(), added.certificate)


def as_address(account: bytes) -> Any:
    return Web3.to_checksum_address(account)
