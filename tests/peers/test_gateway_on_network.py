"""The client on the real network: commits, conflicts, policies, events, killed and frozen peers, strangers."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from client_credentials import Credentials
from patience import SETTLING_SECONDS

from consilium_chaincode.shim.endorsement_policies import quorum_of
from consilium_network.errors import NetworkStateError
from consilium_network.network import Network
from consilium_peers.checkpoint import FileCheckpoint
from consilium_peers.errors import CommitError, EndorseError, EvaluateError, GatewayError
from consilium_peers.events import ChaincodeEvent
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.gateway import Network as Channel
from consilium_peers.profile import KeyPairFiles, Profile

pytestmark = pytest.mark.network

# What a query may take while the own peer is frozen: the first part of it is the frozen peer's.
PASSED_OVER_SECONDS = 9


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


@pytest.fixture
def key() -> bytes:
    return uuid.uuid4().hex[:12].encode()


async def until_level(network: Network, killed: int | None = None) -> None:
    """Wait until another process has taken the killed peer's place and all ledgers have the same number of blocks."""
    deadline = time.monotonic() + 180
    while True:
        statuses = await network.status()
        heights = {each.height for each in statuses if each.kind != "chaincode"}
        replaced = killed not in {each.pid for each in statuses}
        if replaced and all(each.running for each in statuses) and len(heights) == 1 and None not in heights:
            return
        assert time.monotonic() < deadline, f"not level within 180 seconds: {statuses}"
        await asyncio.sleep(0.25)


async def test_what_was_submitted_is_read_at_another_hospital(network: Network, contract: Contract, key: bytes) -> None:
    result = await contract.submit("Put", key, b"\x00value")
    assert result.payload == b"written"
    assert len(set(result.endorsers)) >= network.topology.endorsement_quorum
    assert result.block > 0
    async with Gateway.connect(Profile.load(network.profile("longbeach"))) as gateway:
        other = gateway.network().contract(contract.chaincode)
        deadline = time.monotonic() + SETTLING_SECONDS
        while await other.evaluate("Get", key) != b"\x00value":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_step_by_step(contract: Contract, key: bytes) -> None:
    proposal = contract.propose("Put", key, b"value")
    transaction = await proposal.endorse()
    assert transaction.result.payload == b"written"
    commit = await transaction.submit()
    again = await transaction.submit()  # the same envelope once more changes nothing
    status = await commit.status()
    assert (status.code, status.valid, status.tx_id) == ("VALID", True, proposal.tx_id)
    assert await again.status() == status


async def test_concurrent_increments_all_count_once(contract: Contract, key: bytes) -> None:
    results = await asyncio.gather(*(contract.submit("Increment", key) for _ in range(6)))
    assert sorted(int(result.payload) for result in results) == [1, 2, 3, 4, 5, 6]
    assert await contract.evaluate("Get", key) == b"6"


async def test_a_refusal_names_the_peer_that_refused(profile: Profile, contract: Contract) -> None:
    with pytest.raises(EndorseError) as caught:
        await contract.submit("Reject", b"WRONG_PHASE: not now")
    assert [detail.organization for detail in caught.value.details] == ["ClevelandMSP"]
    assert caught.value.details[0].address == profile.gateways[0].address
    assert caught.value.refusal == "WRONG_PHASE"
    assert not caught.value.transient


async def test_a_keys_own_policy_is_enforced(contract: Contract, key: bytes) -> None:
    everyone = [f"{name}MSP" for name in ("Cleveland", "Hungary", "Switzerland", "LongBeach")]
    await contract.submit("PutWithPolicy", key, b"1", quorum_of(4, everyone))
    with pytest.raises(CommitError) as caught:
        await contract.submit("Put", key, b"2", endorsing_organizations=everyone[:3])
    assert caught.value.status == "ENDORSEMENT_POLICY_FAILURE"
    result = await contract.submit("Put", key, b"3")  # left alone, the gateway asks all four
    assert set(result.endorsers) == set(everyone)
    assert await contract.evaluate("Get", key) == b"3"


async def read(events: AsyncIterator[ChaincodeEvent], count: int) -> list[ChaincodeEvent]:
    found: list[ChaincodeEvent] = []
    async with asyncio.timeout(SETTLING_SECONDS), contextlib.aclosing(events):  # type: ignore[type-var]
        async for event in events:
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_events_go_on_in_the_middle_of_a_block_without_gap_or_repeat(
    profile: Profile, channel: Channel, contract: Contract, tmp_path: Path
) -> None:
    proposals = [contract.propose("Emit", b"Happened", str(number).encode()) for number in range(8)]
    transactions = await asyncio.gather(*(proposal.endorse() for proposal in proposals))
    commits = await asyncio.gather(*(transaction.submit() for transaction in transactions))
    statuses = await asyncio.gather(*(commit.status() for commit in commits))
    first = min(status.block for status in statuses)
    expected = await read(channel.chaincode_events(contract.chaincode, start_block=first), 8)
    assert {event.tx_id for event in expected} == {proposal.tx_id for proposal in proposals}
    assert {(event.name, event.chaincode) for event in expected} == {("Happened", contract.chaincode)}
    assert len({event.block for event in expected}) < 8, "several events share a block"

    found: list[ChaincodeEvent] = []
    for count in (1, 2, 5):  # each time another process that knows the file only
        checkpoint = FileCheckpoint(tmp_path / "checkpoint")
        async with Gateway.connect(profile) as gateway:
            events = gateway.network().chaincode_events(contract.chaincode, checkpoint=checkpoint, start_block=first)
            part = await read(events, count)
        checkpoint.record(part[-1].block, part[-1].tx_id)
        found += part
    assert found == expected


async def test_a_rejected_or_invalid_transaction_emits_nothing(channel: Channel, contract: Contract) -> None:
    start = (await contract.submit("Emit", b"Before", b"")).block
    with pytest.raises(EndorseError):
        await contract.submit("Reject", b"no")
    with pytest.raises(CommitError):
        await contract.submit("Emit", b"Invalid", b"", endorsing_organizations=["ClevelandMSP", "HungaryMSP"])
    await contract.submit("Emit", b"After", b"")
    names = [event.name for event in await read(channel.chaincode_events(contract.chaincode, start_block=start), 2)]
    assert names == ["Before", "After"]


async def test_everything_commits_once_though_the_own_peer_is_killed(
    network: Network, channel: Channel, contract: Contract, key: bytes
) -> None:
    start = (await contract.submit("Emit", b"Start", b"")).block
    reading = asyncio.create_task(read(channel.chaincode_events(contract.chaincode, start_block=start), 9))
    numbers = [str(number).encode() for number in range(8)]
    writing = [asyncio.create_task(contract.submit("Emit", b"E", number, timeout=120)) for number in numbers[:4]]
    await asyncio.sleep(0.05)  # some are being endorsed or ordered now
    killed = network.pid("peer.cleveland")
    os.kill(killed, signal.SIGKILL)
    writing += [asyncio.create_task(contract.submit("Emit", b"E", number, timeout=120)) for number in numbers[4:]]
    results = await asyncio.gather(*writing)
    events = await reading
    assert [event.name for event in events] == ["Start"] + ["E"] * 8
    assert sorted(event.payload for event in events[1:]) == numbers
    assert {event.tx_id for event in events[1:]} == {result.tx_id for result in results}
    await until_level(network, killed)
    assert await contract.evaluate("Echo", b"back") == b"back"


async def test_a_transaction_that_was_handed_over_commits_though_the_peer_dies(
    network: Network, contract: Contract, key: bytes
) -> None:
    transaction = await contract.propose("Put", key, b"value").endorse()
    commit = await transaction.submit()
    killed = network.pid("peer.cleveland")
    os.kill(killed, signal.SIGKILL)
    assert (await commit.status(120)).valid
    await until_level(network, killed)


async def test_a_frozen_own_peer_is_passed_over(network: Network, contract: Contract) -> None:
    frozen = network.pid("peer.cleveland")
    os.kill(frozen, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert await contract.evaluate("Echo", b"x", timeout=PASSED_OVER_SECONDS) == b"x"
        assert time.monotonic() - began < PASSED_OVER_SECONDS
    finally:
        with contextlib.suppress(NetworkStateError, ProcessLookupError):
            os.kill(frozen, signal.SIGCONT)
    await until_level(network)


async def test_a_strangers_certificate_is_refused(profile: Profile, probe: str, tmp_path: Path) -> None:
    stranger = Credentials.create(tmp_path)
    pair = stranger.pair("identity")
    posing = dataclasses.replace(profile, identity=KeyPairFiles(pair.certificate, pair.private_key))
    async with Gateway.connect(posing) as gateway:  # its TLS certificate is right, its signature is not
        with pytest.raises(EvaluateError, match=r"(?i)creator|access denied|identity"):
            await gateway.network().contract(probe).evaluate("Echo", b"x")
        with pytest.raises(EndorseError):
            await gateway.network().contract(probe).submit("Put", b"stranger", b"was here", timeout=10)
        with pytest.raises(GatewayError):
            await read(gateway.network().chaincode_events(probe, start_block=0), 1)


async def test_a_stranger_gets_no_connection(profile: Profile, probe: str, tmp_path: Path) -> None:
    pair = Credentials.create(tmp_path).pair("tls")
    foreign = dataclasses.replace(profile, tls=KeyPairFiles(pair.certificate, pair.private_key))
    async with Gateway.connect(foreign) as gateway:
        with pytest.raises(EvaluateError) as caught:
            await gateway.network().contract(probe).evaluate("Echo", b"x", timeout=5)
    assert caught.value.status == "UNAVAILABLE"


async def test_another_hospitals_client_cannot_pose_as_ours(network: Network, profile: Profile, probe: str) -> None:
    """Hungary's client with its own key and certificate, but the MSP id of Cleveland."""
    other = Profile.load(network.profile("hungary"))
    posing = dataclasses.replace(profile, identity=other.identity)
    async with Gateway.connect(posing) as gateway:
        with pytest.raises(EndorseError):
            await gateway.network().contract(probe).submit("Put", b"stranger", b"was here", timeout=10)
