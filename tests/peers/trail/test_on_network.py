"""Real peers and the verifier agree on every transaction, whatever a contract or a member can bring about."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from crafted import CRAFTED, OTHER_ID, change_the_id, crafted
from patience import SETTLING_SECONDS, is_behind

from consilium_bench.ledger_round import SET, connected
from consilium_bench.parties import begin_study
from consilium_chaincode.shim.endorsement_policies import quorum_of
from consilium_network.network import Network
from consilium_peers.commit import Transaction
from consilium_peers.errors import GatewayError
from consilium_peers.gateway import Contract, Gateway, Proposal
from consilium_peers.identity import Identity
from consilium_peers.profile import Profile
from consilium_proto.canonical import encode
from consilium_proto.records import StudyReference
from consilium_trail.archive.writing import write_trail
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.blocks.transactions import indexed_id
from consilium_trail.roots import TrustedRoots
from consilium_trail.validation_codes import code_name
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

pytestmark = pytest.mark.network

HOSPITALS = ("ClevelandMSP", "HungaryMSP", "LongBeachMSP", "SwitzerlandMSP")
COLLECTION = "_implicit_org_ClevelandMSP"
MANY = 60
"""More keys than a range read lists one by one: peers keep a Merkle summary of them."""


async def chain_of(gateway: Gateway, channel: str) -> list[Block]:
    system, own = gateway.network().contract("qscc"), [gateway.profile.organization]

    async def blocks() -> AsyncIterator[Block]:
        for number in range(100_000):
            try:
                raw = await system.evaluate(
                    "GetBlockByNumber", channel.encode(), str(number).encode(), organizations=own
                )
            except GatewayError:
                return
            yield decode_block(raw)

    return [block async for block in blocks()]


async def together(contract: Contract, *calls: tuple[str, ...]) -> list[str]:
    """Endorse all on the same state, then commit them in a row."""
    proposals = [contract.propose(name, *(word.encode() for word in words)) for name, *words in calls]
    endorsed = [await endorsed_by_level_peers(proposal) for proposal in proposals]
    return [(await (await each.submit()).status()).code for each in endorsed]


async def endorsed_by_level_peers(proposal: Proposal) -> Transaction:
    """Have it endorsed once all peers have the block before, which they get one after the other."""
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            try:
                return await proposal.endorse()
            except GatewayError as error:
                if not is_behind(error):
                    raise
                await asyncio.sleep(0.1)


async def use_every_feature(contract: Contract, key: str) -> None:
    """Public and private writes, deletions, ranges, policies of keys, and each kind of conflict."""
    await contract.submit("Put", f"{key}/1".encode(), b"1", f"{key}/2".encode(), b"2")
    assert "MVCC_READ_CONFLICT" in await together(contract, ("Increment", f"{key}/1"), ("Increment", f"{key}/1"))
    found = await together(contract, ("Put", f"{key}/3", "3"), ("CountInto", f"{key}/", f"{key}0", f"{key}-count"))
    assert "PHANTOM_READ_CONFLICT" in found
    await contract.submit("Delete", f"{key}/2".encode())
    await contract.submit("PutMany", f"{key}-many/".encode(), str(MANY).encode())
    await contract.submit("CountInto", f"{key}-many/".encode(), f"{key}-many0".encode(), f"{key}-counted".encode())
    await contract.submit("PutComposite", b"1", b"kind", key.encode())
    transient = {"value": b"private"}
    await contract.submit("PutPrivate", COLLECTION.encode(), key.encode(), transient=transient)
    await contract.submit("Purge", COLLECTION.encode(), key.encode())
    everyone = quorum_of(4, HOSPITALS)
    await contract.submit("PutWithPolicy", f"{key}/own".encode(), b"1", everyone)
    await contract.submit("Put", f"{key}/own".encode(), b"2")
    await contract.submit("SetPolicy", f"{key}/own".encode(), quorum_of(1, HOSPITALS))
    await contract.submit("Put", f"{key}/own".encode(), b"3")
    await contract.submit("Emit", b"Event", b"payload")


async def craft(contract: Contract, client: Identity, key: str) -> dict[str, tuple[str, ...]]:
    """Send what no honest client sends; return by transaction id how peers must mark it."""
    expected: dict[str, tuple[str, ...]] = {}
    for number, (change, codes) in enumerate(CRAFTED.items()):
        endorsed = await contract.propose("Put", f"{key}/crafted/{number}".encode(), b"1").endorse()
        await crafted(endorsed, client, change).submit()
        expected[OTHER_ID if change is change_the_id else endorsed.tx_id] = codes
    twice = await contract.propose("Put", f"{key}/twice".encode(), b"1").endorse()
    await (await twice.submit()).status()
    return expected


async def test_real_peers_and_the_verifier_agree_on_every_transaction(
    network: Network, probe: str, tmp_path: Path
) -> None:
    pair = network.folder.organization("cleveland").user("client").identity
    client = Identity.load("ClevelandMSP", pair.certificate, pair.private_key)
    key = uuid.uuid4().hex[:12]
    async with Gateway.connect(Profile.load(network.profile("cleveland"))) as gateway:
        contract = gateway.network().contract(probe)
        await use_every_feature(contract, key)
        expected = await craft(contract, client, key)
        async with connected(network) as parties:
            study = await begin_study(network.topology.channel, parties, SET, SET.values_per_chunk, 1)
        # Queries sent as transactions: they are ordered, and change nothing.
        federation = gateway.network().contract()
        await federation.submit("ListStudies", b"")
        await federation.submit("ReadStudy", encode(StudyReference(study=study.name)))
        await asyncio.sleep(2)
        blocks = await chain_of(gateway, network.topology.channel)
    trail = tmp_path / "trail.zip"
    await asyncio.to_thread(write_trail, trail, blocks, network.topology.channel, study.name, client)
    pem = b"".join(
        path.read_bytes()
        for organization in network.topology.organizations
        for path in (network.folder.public(organization.name).msp / "cacerts").iterdir()
    )
    found = await asyncio.to_thread(verify_trail, trail, TrustedRoots.parse(pem))
    assert found.verdict is Verdict.SOUND, found.finding
    marked = marks(blocks, expected)
    assert marked.keys() == expected.keys()
    assert not {tx_id: mark for tx_id, mark in marked.items() if mark not in expected[tx_id]}


def marks(blocks: list[Block], wanted: Mapping[str, object]) -> dict[str, str]:
    """Return how peers marked transactions."""
    found = {}
    for block in blocks:
        for raw, flag in zip(block.envelopes, block.flags, strict=True):
            tx_id = indexed_id(raw)
            if tx_id in wanted:
                found[tx_id] = code_name(flag)
    return found
