"""A bridge on a chain, whose endorsers are the peers of a running Fabric network with rewards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from anvil_chain import AnvilChain, Deployed
from bridge_stage import DELAY_SECONDS, registration_tuple
from patience import persistently

from consilium_bench.ledger_round import SET, Vectors, connected
from consilium_bench.parties import begin_study
from consilium_bench.played_round import PlayedRound
from consilium_network.bring_up import wait_until_level
from consilium_network.network import Network
from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.bridge.exporting import export_decision, export_epoch
from consilium_peers.ethereum.bridge.gathering import gather_endorsements
from consilium_peers.ethereum.bridge.peer_identities import endorsing_peers
from consilium_peers.ethereum.bridge.public_bridge import PublicBridge
from consilium_peers.ethereum.endorsed_answer import BridgeArguments, EndorsedAnswer
from consilium_peers.ethereum.endorsers import EndorserKey
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.gateway import Gateway
from consilium_peers.gateway import Network as Channel
from consilium_peers.profile import Profile
from consilium_peers.rewards import Rewards
from consilium_proto.contracts import REWARD_BRIDGE
from consilium_proto.ethereum.amounts import amount_of_tokens
from consilium_proto.ethereum.resolutions import BridgeAction, BridgeDecision, BridgeTerms, Resolution
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data
from consilium_proto.records import RewardTerms, RoundPhase
from consilium_trail.roots import TrustedRoots

HOSPITALS = {
    "ClevelandMSP": "cleveland",
    "HungaryMSP": "hungary",
    "LongBeachMSP": "longbeach",
    "SwitzerlandMSP": "switzerland",
}
THRESHOLD = 3
MAJORITY = list(HOSPITALS.values())[:THRESHOLD]


@dataclass
class RealBridge:
    """The network, and the bridge that is in force on its ledger."""

    network: Network
    chain: AnvilChain
    keys: list[EndorserKey]
    bridge: Deployed
    terms: list[BridgeTerms] = field(default_factory=list)
    decisions: int = 0

    @classmethod
    async def set_up(cls, network: Network, chain: AnvilChain) -> RealBridge:
        """Deploy a bridge for the peers that endorse now, and put it in force."""
        async with level_channel_of(network) as channel:
            roots = TrustedRoots.load(network.folder.organization("cleveland").trusted_roots)
            keys = await endorsing_peers(channel, list(HOSPITALS), roots)
        made = cls(network, chain, keys, deploy(network, chain, keys))
        await made.name_bridge()
        return made

    async def name_bridge(self, chain_id: int | None = None) -> None:
        """Let the hospitals resolve where their bridge is; on another chain if one is named."""
        chosen = chain_id or self.chain.node.chain_id()
        terms = BridgeTerms(revision=len(self.terms) + 1, chain_id=chosen, address=as_data(self.bridge.address))
        await resolve(self.network, terms)
        self.terms.append(terms)
        self.decisions = 0

    async def decide(self, action: BridgeAction) -> Carried:
        """Let the hospitals decide about the bridge; return what is carried there."""
        self.decisions += 1
        decision = BridgeDecision(bridge=self.terms[-1].revision, number=self.decisions, action=action)
        await resolve(self.network, decision)
        async with level_channel_of(self.network) as channel:
            return await export_decision(channel, self.decisions)

    async def export(self, epoch: int) -> Carried:
        async with level_channel_of(self.network) as channel:
            return await export_epoch(channel, epoch, len(HOSPITALS))

    async def endorsed(
        self, function: str, argument: bytes, chaincode: str = EVM_CHAINCODE, organizations: Sequence[str] = ()
    ) -> EndorsedAnswer:
        """Have the hospitals' peers endorse anything."""
        async with level_channel_of(self.network) as channel:
            asked = organizations or list(HOSPITALS)
            return await gather_endorsements(channel.contract(chaincode), function, argument, asked, THRESHOLD)

    @property
    def public(self) -> PublicBridge:
        return PublicBridge(self.chain.node, self.bridge.address)

    @property
    def functions(self) -> Any:
        return self.bridge.contract.functions

    def arguments(self, answer: EndorsedAnswer, organizations: Sequence[str] = MAJORITY) -> BridgeArguments:
        """Assemble what our own program wouldn't, where the answer isn't an attestation."""
        numbers = {key.msp_id: number for number, key in enumerate(self.keys)}
        signatures = {each.endorser.msp_id: each.signature for each in answer.endorsements}
        wanted = [msp_id for msp_id, name in HOSPITALS.items() if name in organizations]
        packed = b"".join(packed_signature(numbers[each], signatures[each]) for each in wanted)
        return BridgeArguments(
            answer.payload, answer.channel_header, answer.signature_header, answer.proposal_payload, packed
        )

    def refusal(self, arguments: BridgeArguments, bridge: Deployed | None = None) -> str:
        """Return the name of the error with which a bridge refuses an epoch; empty if it would take it."""
        at = bridge or self.bridge
        return at.refusal(at.contract.functions.submitEpoch(arguments.as_tuple()))


def packed_signature(number: int, signature: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(signature)
    return number.to_bytes(2, "big") + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def deploy(
    network: Network,
    chain: AnvilChain,
    keys: Sequence[EndorserKey],
    channel: str = "",
    chaincode: str = EVM_CHAINCODE,
) -> Deployed:
    """Deploy a bridge; for this network's channel unless another is named."""
    terms = (
        "Consilium Reward",
        "CSR",
        channel or network.topology.channel,
        chaincode,
        len(keys) // 2 + 1,
        DELAY_SECONDS,
    )
    return chain.deploy(REWARD_BRIDGE, terms, [registration_tuple(key) for key in keys])


@asynccontextmanager
async def channel_of(network: Network, name: str = "cleveland", user: str = "client") -> AsyncIterator[Channel]:
    async with Gateway.connect(Profile.load(network.profile(name, user))) as gateway:
        yield gateway.network()


@asynccontextmanager
async def level_channel_of(network: Network, name: str = "cleveland", user: str = "client") -> AsyncIterator[Channel]:
    """Reach the channel once all peers have the newest block, so that they endorse alike."""
    await wait_until_level(network.topology, network.folder)
    async with channel_of(network, name, user) as channel:
        yield channel


async def resolve(network: Network, resolution: Resolution) -> None:
    """Let a majority of the hospitals approve a resolution, and one enact it."""
    for name in MAJORITY:
        async with level_channel_of(network, name, "admin") as channel:
            await Resolutions(channel.contract(EVM_CHAINCODE)).approve(resolution)
    async with level_channel_of(network) as channel:
        resolutions = Resolutions(channel.contract(EVM_CHAINCODE))
        await persistently(lambda: resolutions.enact(resolution))


async def earn(network: Network, accounts: Sequence[str]) -> None:
    """Let the hospitals name addresses and play a rewarded study of one round to its end."""
    for name, account in zip(HOSPITALS.values(), accounts, strict=True):
        async with level_channel_of(network, name, "admin") as channel:
            await Rewards(channel.contract(EVM_CHAINCODE)).set_payout_address(account)
    await play(network)


async def play(network: Network) -> None:
    """Play a rewarded study of one round to its end."""
    async with connected(network) as parties:
        reward = RewardTerms(pot=amount_of_tokens("100"), weight_cap=1000)
        study = await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, 1, reward=reward)
        vectors = Vectors(study)
        round_ = PlayedRound(study, 1, vectors.digests)
        for step in (round_.open, round_.join, round_.anchor, round_.hold_and_publish, round_.reveal):
            await step()
        await round_.fingerprint(vectors.values(await round_.challenge()), RoundPhase.VERIFIED)
        await round_.attest()


async def close_epoch(network: Network, epoch: int) -> None:
    async with level_channel_of(network) as channel:
        rewards = Rewards(channel.contract(EVM_CHAINCODE))
        await persistently(lambda: rewards.close_epoch(epoch))
