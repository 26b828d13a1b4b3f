"""The real network: everyone reads the ledger, three of four hospitals write, and what is killed comes back."""

import asyncio
import contextlib
import datetime
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from consilium_network.errors import LifecycleError, NetworkStateError, TopologyError
from consilium_network.network import Network
from consilium_peers.errors import CommitError, GatewayError
from consilium_peers.federation import Federation
from consilium_peers.gateway import Contract, Gateway, SubmitResult
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.records import HospitalKey

pytestmark = pytest.mark.network

# A valid X25519 public key: the base point's u-coordinate, 9 (RFC 7748).
KEY = canonical.encode(HospitalKey(wrapping_key="09" + "00" * 31))


@contextlib.asynccontextmanager
async def contract(network: Network, organization: str = "cleveland", user: str = "client"):
    async with Gateway.connect(Profile.load(network.profile(organization, user))) as gateway:
        yield gateway.network().contract()


async def write(found: Contract) -> SubmitResult:
    return await found.submit("RegisterHospitalKey", KEY, timeout=120)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} seconds"
        await asyncio.sleep(0.25)


async def recovered(network: Network, found: Contract, seconds: float = 240) -> None:
    """Wait until every process runs and all have the same blocks.

    Writes meanwhile: an orderer that missed a block learns of it from the next ones.
    """
    deadline = time.monotonic() + seconds
    while not await level(network):
        assert time.monotonic() < deadline, f"not recovered within {seconds} seconds"
        await write(found)
        await asyncio.sleep(1)


async def level(network: Network) -> bool:
    """Tell whether every process runs and all have the same number of blocks."""
    statuses = await network.status()
    heights = {each.height for each in statuses if each.kind != "chaincode"}
    return all(each.listening for each in statuses) and len(heights) == 1 and None not in heights


async def test_status_tells_of_every_process(network: Network) -> None:
    await until(lambda: level(network), 240)
    statuses = {each.name: each for each in await network.status()}
    hospitals = [each.name for each in network.topology.hospitals]
    expected = {f"{kind}.{name}" for name in hospitals for kind in ("peer", "orderer", "federation")}
    assert expected | {"peer.regulator"} <= set(statuses)
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=800)
    assert all(each.certificate_expires > soon for each in statuses.values())
    assert all(each.pid == network.pid(name) for name, each in statuses.items())


@pytest.mark.parametrize(
    ("name", "user"),
    [("cleveland", "client"), ("longbeach", "auditor"), ("regulator", "auditor"), ("aggregator", "client")],
)
async def test_every_organisation_reads_the_consortium(network: Network, name: str, user: str) -> None:
    async with contract(network, name, user) as found:
        consortium = await Federation(found).read_consortium()
    assert set(consortium.hospitals) == {each.msp_id for each in network.topology.hospitals}
    assert set(consortium.aggregators) == {each.msp_id for each in network.topology.aggregators}


async def test_a_write_is_endorsed_by_two_thirds_of_the_hospitals(network: Network) -> None:
    async with contract(network) as found:
        result = await write(found)
    assert len(set(result.endorsers)) >= network.topology.endorsement_quorum
    assert set(result.endorsers) <= {each.msp_id for each in network.topology.hospitals}


async def test_two_of_four_hospitals_cannot_write(network: Network) -> None:
    async with contract(network) as found:
        with pytest.raises(CommitError) as caught:
            await found.submit("RegisterHospitalKey", KEY, endorsing_organizations=["ClevelandMSP", "HungaryMSP"])
    assert caught.value.status == "ENDORSEMENT_POLICY_FAILURE"


async def test_the_regulator_endorses_nothing(network: Network) -> None:
    async with contract(network) as found:
        with pytest.raises(GatewayError):
            await found.submit("RegisterHospitalKey", KEY, endorsing_organizations=["RegulatorMSP"], timeout=5)


@pytest.mark.parametrize("node", ["peer.hungary", "orderer.hungary", "orderer.cleveland", "federation.hungary"])
async def test_what_is_killed_comes_back_and_nothing_is_lost(network: Network, node: str) -> None:
    killed = network.pid(node)
    async with contract(network) as found:
        os.kill(killed, signal.SIGKILL)
        await write(found)
        await recovered(network, found)
        assert network.pid(node) != killed
        assert next(each for each in await network.status() if each.name == node).restarts >= 1


async def test_the_own_peer_serves_again_after_a_kill(network: Network) -> None:
    os.kill(network.pid("peer.cleveland"), signal.SIGKILL)
    async with contract(network) as found:
        await Federation(found).read_consortium()  # another hospital's gateway answers meanwhile
        await recovered(network, found)


async def test_an_orderer_that_hangs_is_restarted(network: Network) -> None:
    frozen = network.pid("orderer.switzerland")
    os.kill(frozen, signal.SIGSTOP)
    async with contract(network) as found:
        await write(found)  # three of four orderers go on

    async def replaced() -> bool:
        with contextlib.suppress(NetworkStateError):
            return network.pid("orderer.switzerland") != frozen
        return False

    await until(replaced, 240)
    async with contract(network) as found:
        await recovered(network, found)


async def test_a_chaincode_that_cannot_be_is_refused_before_anything_happens(network: Network) -> None:
    before = {each.name for each in await network.status()}
    for name, target, expected in [
        ("Bad Name", "json:JSONDecoder", "no chaincode name"),
        ("peer", "json:JSONDecoder", "name other processes"),
        ("fine", "json", "module:Class"),
        ("fine", "no_such_module_anywhere:Contract", "no Python module"),
    ]:
        with pytest.raises(LifecycleError, match=expected):
            await network.deploy_chaincode(name, target)
    assert {each.name for each in await network.status()} == before


async def test_unknown_names_are_answered_clearly(network: Network) -> None:
    with pytest.raises(TopologyError, match="no organisation 'utopia'"):
        network.profile("utopia")
    with pytest.raises(NetworkStateError, match="no profile 'root'"):
        network.profile("cleveland", "root")
    with pytest.raises(NetworkStateError, match=r"peer\.utopia is not running"):
        network.pid("peer.utopia")
    with pytest.raises(NetworkStateError, match="running already"):
        await network.up()
