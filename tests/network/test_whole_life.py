"""A second network, of three hospitals, through its whole life: isolation, stop, start, wrong states, down."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from consilium_network import supervision
from consilium_network.certificates import Authority, OrganizationalUnit
from consilium_network.errors import CertificateError, NetworkStateError, PortInUseError
from consilium_network.network import Network
from consilium_network.nodes import NodeSpecification, load_specifications
from consilium_network.operations import read_metrics
from consilium_network.organizations import users_of
from consilium_network.topology import Listener, Topology, packaged_topology
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile

pytestmark = pytest.mark.network

COMMAND_SECONDS = 180


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(make_network: Callable[[str, Topology], Awaitable[Network]]) -> AsyncIterator[Network]:
    made = await make_network("three-hospitals", packaged_topology(3))
    await made.up()
    yield made
    await made.stop()


async def command(network: Network, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consilium_command", "network", *words, "--directory", str(network.folder.root)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
    return process.returncode or 0, output.decode(), errors.decode()


async def consortium_revision(network: Network, organization: str = "cleveland", user: str = "client") -> int:
    async with Gateway.connect(Profile.load(network.profile(organization, user))) as gateway:
        return (await Federation(gateway.network().contract()).read_consortium()).revision


def specifications_of(network: Network, organization: str) -> list[NodeSpecification]:
    found = load_specifications(network.folder.supervisor).values()
    return [each for each in found if each.organization == organization]


def foreign(network: Network, organization: str) -> re.Pattern[bytes]:
    """Match the path of any other organisation's folder."""
    others = "|".join(each.name for each in network.topology.organizations if each.name != organization)
    return re.compile(rf"organizations/({others})(/|\b)".encode())


def open_paths(pid: int) -> Iterator[bytes]:
    """Yield every path through which a process can be seen to touch files."""
    for link in (*Path(f"/proc/{pid}/fd").iterdir(), Path(f"/proc/{pid}/cwd"), Path(f"/proc/{pid}/exe")):
        with contextlib.suppress(FileNotFoundError):
            yield os.fsencode(link.readlink())
    for name in ("cmdline", "environ", "maps"):
        yield Path(f"/proc/{pid}/{name}").read_bytes()


async def test_three_hospitals_work_with_the_regulators_orderer(small: Network) -> None:
    assert small.pid("orderer.regulator")
    assert await consortium_revision(small) == 1


async def test_no_process_has_another_organisations_folder(small: Network) -> None:
    for organization in small.topology.organizations:
        pattern = foreign(small, organization.name)
        own = f"organizations/{organization.name}/".encode()
        for specification in specifications_of(small, organization.name):
            paths = list(open_paths(small.pid(specification.name)))
            assert any(own in seen for seen in paths), "its own folder must show, or the search is blind"
            for seen in paths:
                assert not pattern.search(seen), f"{specification.name}: {seen[:200]!r}"


async def test_no_configuration_names_another_organisations_folder(small: Network) -> None:
    for organization in small.topology.organizations:
        pattern = foreign(small, organization.name)
        own = small.folder.organization(organization.name).root
        texts = [path for path in own.rglob("*") if path.suffix in (".yaml", ".json") and path.is_file()]
        assert len(texts) >= 2
        for path in (*texts, *(small.folder.supervisor.nodes.glob(f"*.{organization.name}.json"))):
            assert not pattern.search(path.read_bytes()), path
        assert not [path for path in own.rglob("*") if path.is_symlink()]


async def test_every_path_of_a_profile_stays_in_the_organisations_folder(small: Network) -> None:
    for organization in small.topology.organizations:
        own = small.folder.organization(organization.name).root
        for user in users_of(organization):
            profile = Profile.load(small.profile(organization.name, user))
            paths = [profile.identity.certificate, profile.identity.private_key, profile.tls.private_key]
            paths += [each.tls_roots for each in (*profile.gateways, *profile.aggregators, *profile.organizations)]
            assert all(path.resolve().is_relative_to(own) for path in paths)


async def test_an_organisation_runs_with_all_other_folders_gone(small: Network) -> None:
    """Its peer, orderer and chaincode start and answer while no other organisation's folder is there at all."""
    await small.stop()
    organizations = small.folder.root / "organizations"
    others = [each.name for each in small.topology.organizations if each.name != "cleveland"]
    for name in others:
        (organizations / name).rename(organizations / f"{name}.away")
    try:
        await supervision.start_supervisor(small.folder)
        own = specifications_of(small, "cleveland")
        await supervision.wait_until_listening(small.folder.supervisor, own)
        for specification in own:
            assert small.pid(specification.name)
            if specification.operations:
                metrics = await read_metrics(
                    specification.operations, small.folder.supervisor.monitor, small.topology.channel
                )
                assert metrics is not None
                assert (metrics.height or 0) > 1
        assert await consortium_revision(small) == 1
    finally:
        await small.stop()
        for name in others:
            (organizations / f"{name}.away").rename(organizations / name)
        await small.start()


async def test_stop_and_start_keep_the_ledger(small: Network) -> None:
    before = {each.name: each.height for each in await small.status() if each.height}
    assert await small.stop()
    assert not small.is_running
    assert all(not each.running for each in await small.status())
    assert not await small.stop()
    await small.start()
    assert await consortium_revision(small, "regulator", "auditor") == 1
    after = {each.name: each.height for each in await small.status() if each.height}
    assert after.keys() == before.keys()
    assert all(after[name] >= height for name, height in before.items())


async def test_up_again_only_starts_what_was_made_before(small: Network) -> None:
    key = small.folder.organization("cleveland").user("admin").identity.private_key.read_bytes()
    await small.stop()
    steps: list[str] = []
    await Network(small.folder.root).up(steps.append)
    assert small.folder.organization("cleveland").user("admin").identity.private_key.read_bytes() == key
    assert not [step for step in steps if "certificates" in step or "deploying" in step]


async def test_the_status_command_prints_a_table_and_json(small: Network) -> None:
    code, table, _ = await command(small, "status")
    assert code == 0
    assert table.splitlines()[0].split()[:3] == ["process", "running", "blocks"]
    code, text, _ = await command(small, "status", "--json")
    assert code == 0
    names = {each["name"]: each for each in json.loads(text)}
    assert names["peer.cleveland"]["running"]
    assert names["peer.cleveland"]["height"] > 1


CONTRACT = """
from consilium_chaincode.shim.contract import Contract, query, transaction


class Greeter(Contract):
    name = "greeter"

    @query("Greet")
    async def greet(self, stub):
        return b"{greeting}"

    @transaction("Keep")
    async def keep(self, stub, value):
        await stub.put_state("kept", value)
        return b""

    @query("Kept")
    async def kept(self, stub):
        return await stub.get_state("kept") or b""
"""


async def test_a_contract_is_deployed_and_its_code_replaced(small: Network, tmp_path: Path) -> None:
    """The same name again replaces the code at every hospital, the same code again nothing; what it wrote stays."""
    module = tmp_path / "greeter.py"
    for greeting in ("first", "first", "second", "second", "first"):
        module.write_text(CONTRACT.replace("{greeting}", greeting))
        await small.deploy_chaincode("greeter", "greeter:Greeter", python_path=[tmp_path])
        async with Gateway.connect(Profile.load(small.profile("cleveland"))) as gateway:
            contract = gateway.network().contract("greeter")
            assert await contract.evaluate("Greet") == greeting.encode()
            if not await contract.evaluate("Kept"):
                await contract.submit("Keep", b"value")
            assert await contract.evaluate("Kept") == b"value"
    for specification in load_specifications(small.folder.supervisor).values():
        if specification.name.startswith("greeter."):
            (small.folder.supervisor.nodes / f"{specification.name}.json").unlink()
    await supervision.reload_supervisor(small.folder.supervisor)


async def test_another_topology_is_refused(small: Network) -> None:
    with pytest.raises(NetworkStateError, match="was made from another topology"):
        Network(small.folder.root, packaged_topology(4))


async def test_programs_that_moved_are_found_again(small: Network) -> None:
    await small.stop()
    for specification in specifications_of(small, "hungary"):
        if specification.name == "peer.hungary":
            moved = ("/nowhere/peer", *specification.command[1:])
            msgspec.structs.replace(specification, command=moved).save(small.folder.supervisor)
    await small.start()
    assert small.pid("peer.hungary")


async def test_an_interrupted_up_leaves_nothing_running_and_goes_on_later(
    make_network: Callable[[str, Topology], Awaitable[Network]],
) -> None:
    network = await make_network("interrupted", packaged_topology(3))
    first_port = str(network.topology.organizations[0].first_port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consilium_command", "network", "up", "--hospitals", "3", "--first-port", first_port),
        *("--directory", str(network.folder.root)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while b"joining" not in (line := await asyncio.wait_for(process.stderr.readline(), COMMAND_SECONDS)):
        assert line, "it ended before it joined the channel"
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), COMMAND_SECONDS) == 130
    assert not network.is_running
    await network.up(federation=False)
    assert all(each.running for each in await network.status())
    await network.down()


async def test_a_running_network_is_not_started_twice(small: Network) -> None:
    for word in ("up", "start"):
        code, _, errors = await command(small, word)
        assert code == 1
        assert "running already" in errors.splitlines()[-1]
        assert "Traceback" not in errors


async def test_down_asks_before_it_deletes(small: Network) -> None:
    code, _, errors = await command(small, "down")
    assert (code, errors.strip()) == (1, "error: down deletes the ledger and all keys: confirm with --yes")
    assert small.is_running


async def test_a_taken_port_is_one_clear_line_and_leaves_nothing_running(small: Network) -> None:
    await small.stop()
    address = small.topology.organization("hungary").port(Listener.PEER)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", address)
    async with server:
        with pytest.raises(PortInUseError, match=rf"peer\.hungary should listen on 127\.0\.0\.1:{address}"):
            await small.start()
    assert not small.is_running


async def test_an_expired_certificate_is_one_clear_line(small: Network) -> None:
    own = small.folder.organization("hungary")
    pair = own.node("peer").identity
    valid = pair.certificate.read_bytes(), pair.private_key.read_bytes()
    Authority.load(own.authority).identity("peer.hungary", OrganizationalUnit.PEER, -1).save(pair)
    try:
        with pytest.raises(CertificateError, match=r"the certificate of peer\.hungary expired on"):
            await small.start()
        code, _, errors = await command(small, "start")
        assert code == 1
        assert errors.startswith("error: the certificate of peer.hungary expired on")
        assert len(errors.strip().splitlines()) == 1
        code, table, _ = await command(small, "status")
        assert code == 1
        assert "(expired)" in table
    finally:
        pair.certificate.write_bytes(valid[0])
        pair.private_key.write_bytes(valid[1])


async def test_a_folder_that_is_no_network_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    network = Network(tmp_path)
    with pytest.raises(NetworkStateError, match="is not empty and holds no network"):
        await network.up()
    with pytest.raises(NetworkStateError, match="there is no network"):
        await network.down()
    code, _, errors = await command(network, "down", "--yes")
    assert code == 1
    assert "there is no network" in errors
    assert (tmp_path / "thesis.txt").exists()


async def test_down_deletes_the_folder_and_ends_every_process(small: Network) -> None:
    """The last test of this file: nothing of the network is left."""
    await small.start()
    pids = [small.pid(each) for each in load_specifications(small.folder.supervisor)]
    code, _, errors = await command(small, "down", "--yes")
    assert code == 0, errors
    assert not small.folder.root.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
