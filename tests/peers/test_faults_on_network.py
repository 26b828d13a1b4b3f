"""Faults on the real network: chaincode services killed, peers frozen under a stream, certificates that expire."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from patience import SETTLING_SECONDS

from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_network.errors import NetworkStateError
from consilium_network.layout import KeyPair
from consilium_network.network import Network
from consilium_network.supervision import running_pid
from consilium_peers import events, identity
from consilium_peers.chain_info import ledger_height
from consilium_peers.checkpoint import FileCheckpoint
from consilium_peers.errors import CheckpointError, EndorseError, EvaluateError, IdentityError
from consilium_peers.events import ChaincodeEvent
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.gateway import Network as Channel
from consilium_peers.profile import KeyPairFiles, Profile

pytestmark = pytest.mark.network

# Far below what it takes with the usual pauses, which are forty seconds.
NOTICED_SECONDS = 15
# How long a certificate lasts that is to expire: long enough for one write.
BRIEF_SECONDS = 10


@pytest.fixture
def profile(network: Network) -> Profile:
    return Profile.load(network.profile("cleveland"))


@pytest_asyncio.fixture
async def channel(profile: Profile) -> AsyncIterator[Channel]:
    async with Gateway.connect(profile) as gateway:
        yield gateway.network()


@pytest.fixture
def contract(channel: Channel, probe: str) -> Contract:
    return channel.contract(probe)


@contextlib.contextmanager
def frozen(network: Network, node: str) -> Iterator[None]:
    process = network.pid(node)
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(NetworkStateError, ProcessLookupError):
            os.kill(process, signal.SIGCONT)


async def until_running(network: Network, node: str, killed: int) -> None:
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            with contextlib.suppress(NetworkStateError):
                if network.pid(node) != killed:
                    return
            await asyncio.sleep(0.1)


# ---- chaincode services


async def test_writing_goes_on_while_the_own_chaincode_service_is_away(
    network: Network, contract: Contract, probe: str
) -> None:
    key = uuid.uuid4().hex.encode()
    killed = network.pid(f"{probe}.cleveland")
    os.kill(killed, signal.SIGKILL)
    for number in range(3):
        await contract.submit("Put", key, str(number).encode(), timeout=120)
    await until_running(network, f"{probe}.cleveland", killed)


async def test_a_query_is_answered_elsewhere_unless_it_is_kept_at_home(
    network: Network, contract: Contract, profile: Profile, probe: str
) -> None:
    """While the own chaincode service is away the gateway asks another hospital's peer, whose word is only its own."""
    own = [profile.organization]
    with service_away(network, f"{probe}.cleveland") as killed:
        assert await contract.evaluate("Echo", b"x") == b"x"
        with pytest.raises(EvaluateError) as caught:
            await contract.evaluate("Echo", b"x", organizations=own, timeout=20)
        assert {detail.organization for detail in caught.value.details} == {profile.organization}
    await until_running(network, f"{probe}.cleveland", killed)
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            with contextlib.suppress(EvaluateError):
                assert await contract.evaluate("Echo", b"x", organizations=own) == b"x"
                return
            await asyncio.sleep(0.2)


@contextlib.contextmanager
def service_away(network: Network, node: str) -> Iterator[int]:
    """Kill a service, and keep the supervisor from starting another one as long as the block lasts."""
    process, supervisor = network.pid(node), running_pid(network.folder.supervisor)
    assert supervisor is not None
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(process, signal.SIGKILL)
        yield process
    finally:
        os.kill(supervisor, signal.SIGCONT)


# ---- events


async def test_a_frozen_peer_under_a_quiet_stream_is_noticed(
    network: Network, channel: Channel, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(events, "ANSWER_SECONDS", 1.0)
    first = await contract.submit("Emit", b"First", b"")
    stream = channel.chaincode_events(contract.chaincode, start_block=first.block)
    while (await asyncio.wait_for(next_of(stream), SETTLING_SECONDS)).tx_id != first.tx_id:
        pass
    reading = asyncio.create_task(next_of(stream))
    async with Gateway.connect(Profile.load(network.profile("hungary"))) as other:
        with frozen(network, "peer.cleveland"):
            # Without the frozen peer's endorsement: waiting for that would take longer than what is measured.
            awake = [each.msp_id for each in network.topology.hospitals if each.name != "cleveland"]
            writing = other.network().contract(contract.chaincode)
            result = await writing.submit("Emit", b"Late", b"", endorsing_organizations=awake)
            began = time.monotonic()
            event = await asyncio.wait_for(reading, SETTLING_SECONDS)
            noticed = time.monotonic() - began
    await stream.aclose()
    assert (event.name, event.tx_id) == ("Late", result.tx_id)
    assert noticed < NOTICED_SECONDS


async def next_of(stream: AsyncIterator[ChaincodeEvent]) -> ChaincodeEvent:
    return await anext(stream)


async def test_the_next_block_is_the_one_after_the_ledgers_height(
    channel: Channel, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (await contract.submit("Emit", b"Before", b"")).block
    height = await height_after(channel, before)
    begun = asyncio.Event()

    async def asked(*arguments: Any) -> int:
        found = await ledger_height(*arguments)
        begun.set()
        return found

    monkeypatch.setattr(events, "ledger_height", asked)
    stream = channel.chaincode_events(contract.chaincode)
    reading = asyncio.create_task(next_of(stream))
    await asyncio.wait_for(begun.wait(), SETTLING_SECONDS)
    result = await contract.submit("Emit", b"After", b"")
    assert (await asyncio.wait_for(reading, SETTLING_SECONDS)).tx_id == result.tx_id
    # Blocks in between, such as one with an envelope that was sent twice, are nobody's mistake.
    assert before < height <= result.block
    await stream.aclose()


async def height_after(channel: Channel, block: int) -> int:
    """Return the own peer's height once it has a block whose commit another peer may have told of."""
    gateway = channel.gateway
    endpoint = gateway.profile.gateways[0]
    async with asyncio.timeout(SETTLING_SECONDS):
        while True:
            height = await ledger_height(
                gateway.connections, gateway.identity, channel.channel, endpoint, EvaluateError, 5
            )
            if height > block:
                return height
            await asyncio.sleep(0.1)


async def test_a_checkpoint_of_another_ledger_is_named(channel: Channel, contract: Contract, tmp_path: Path) -> None:
    block = (await contract.submit("Emit", b"Here", b"")).block
    checkpoint = FileCheckpoint(tmp_path / "checkpoint")
    checkpoint.record(block, "0" * 64)
    stream = channel.chaincode_events(contract.chaincode, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="another ledger's"):
        await asyncio.wait_for(next_of(stream), SETTLING_SECONDS)


# ---- certificates


async def test_an_expired_certificate_is_refused_here_and_by_peers(
    network: Network, profile: Profile, probe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate of the hospital's own authority that expires while the client is connected."""
    authority = Authority.load(network.folder.organization("cleveland").authority)
    pair = KeyPair.within(tmp_path)
    authority.identity("brief", OrganizationalUnit.CLIENT, BRIEF_SECONDS / 86400).save(pair)
    brief = dataclasses.replace(profile, identity=KeyPairFiles(pair.certificate, pair.private_key))
    async with Gateway.connect(brief) as gateway:
        contract = gateway.network().contract(probe)
        await contract.submit("Put", b"brief", b"1")
        last = gateway.identity.certificate.not_valid_after_utc.timestamp()
        await asyncio.sleep(max(0.0, last - time.time()) + 1.1)
        with pytest.raises(IdentityError, match="renew it"):
            await contract.submit("Put", b"brief", b"2")
        with pytest.raises(IdentityError, match="renew it"):
            await contract.evaluate("Get", b"brief")
        monkeypatch.setattr(identity.Identity, "check_period", lambda self: None)  # a client that doesn't look
        with pytest.raises(EndorseError) as caught:
            await contract.submit("Put", b"brief", b"2", timeout=10)
        assert "expired" in str(caught.value) or "access denied" in str(caught.value)
    async with Gateway.connect(profile) as gateway:
        assert await gateway.network().contract(probe).evaluate("Get", b"brief") == b"1"
