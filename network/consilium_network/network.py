"""A whole network as one object: bring it up, stop and start it, ask how it is, take it down."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from consilium_network import supervision
from consilium_network.certificates import check_validity
from consilium_network.chaincode_package import ChaincodeSource
from consilium_network.chaincode_services import deploy
from consilium_network.channel import make_genesis_block
from consilium_network.consortium import found_consortium
from consilium_network.errors import NetworkStateError, NodeError
from consilium_network.joining import join_orderer, join_peer
from consilium_network.layout import NetworkFolder, write_atomically
from consilium_network.nodes import NodeKind, NodeSpecification, load_specifications, write_orderer, write_peer
from consilium_network.operations import read_metrics
from consilium_network.organizations import (
    certificates_of,
    create_monitor,
    create_organization,
    exchange_public_parts,
)
from consilium_network.profiles import FEDERATION_CHAINCODE, write_profiles
from consilium_network.programs import Programs, find_or_build
from consilium_network.status import NodeStatus, network_status
from consilium_network.topology import Topology, load_topology, packaged_topology

FEDERATION_CONTRACT = "consilium_chaincode.federation.contract:FederationContract"
Progress = Callable[[str], None]
_GOSSIP_SECONDS = 60.0
_POLL_SECONDS = 0.1


def _silent(_: str) -> None:
    pass


class _Stage(msgspec.Struct, frozen=True):
    """What has been done once and for all."""

    joined: bool = False
    federation: bool = False


class Network:
    """The network in one folder. All methods may be called from different processes, one after the other."""

    def __init__(self, directory: Path | str, topology: Topology | None = None) -> None:
        self.folder = NetworkFolder(Path(directory).resolve())
        self._topology = topology

    @property
    def topology(self) -> Topology:
        """The topology that the network was made from, or will be: the packaged one unless another was given."""
        if self._topology is None:
            made = self.folder.topology.exists()
            self._topology = load_topology(self.folder.topology) if made else packaged_topology()
        return self._topology

    @property
    def _stage(self) -> _Stage:
        """How far the network has been set up."""
        if not self.folder.progress.exists():
            return _Stage()
        return msgspec.json.decode(self.folder.progress.read_bytes(), type=_Stage)

    def _record(self, **reached: bool) -> None:
        stage = msgspec.structs.replace(self._stage, **reached)
        write_atomically(self.folder.progress, msgspec.json.encode(stage))

    def _refuse_running(self) -> None:
        if self.is_running:
            raise NetworkStateError(f"the network in {self.folder.root} is running already")

    # ---- the life of a network

    async def up(self, progress: Progress = _silent, *, federation: bool = True) -> None:
        """Make the network and start it, deploy the federation contract and found the consortium.

        What was made before is kept: a network that was stopped is only started, and one that was interrupted goes on.

        Raises:
            NetworkError: a program is missing, a port is taken, a certificate has expired, a node doesn't start … The
                message says which and what to do. What had been started is stopped again.
        """
        self._refuse_running()
        if not self._stage.joined:
            programs = await find_or_build(progress)
            self._clear_remains()
            progress(f"Fabric {programs.release} ({programs.origin})")
            await self._create(programs, progress)
        self._check_certificates()
        async with self._stopped_on_failure():
            await self._start_processes(progress)
            if not self._stage.joined:
                await self._join(progress)
                self._record(joined=True)
            await self._wait_for_gossip()
            if federation and not self._stage.federation:
                await self.deploy_chaincode(FEDERATION_CHAINCODE, FEDERATION_CONTRACT, progress=progress)
                progress("founding the consortium")
                await found_consortium(self.topology, self.folder)
                self._record(federation=True)
        progress("the network is ready")

    async def start(self, progress: Progress = _silent) -> None:
        """Start a network that was stopped; its ledger is as it was.

        Raises:
            NetworkError: as `up`.
        """
        if not self._stage.joined:
            raise NetworkStateError(f"there is no network in {self.folder.root}: make one with `consilium network up`")
        self._refuse_running()
        self._check_certificates()
        async with self._stopped_on_failure():
            await self._start_processes(progress)
            await self._wait_for_gossip()
        progress("the network is ready")

    async def stop(self, progress: Progress = _silent) -> bool:
        """End every process of the network and keep its ledger; False when none ran."""
        progress("stopping the network")
        return await supervision.stop_supervisor(self.folder.supervisor)

    async def down(self, progress: Progress = _silent) -> None:
        """Stop the network and delete its folder: ledger, keys and all.

        Raises:
            NetworkStateError: the folder isn't a network's, so nothing is deleted.
        """
        if not self.exists:
            raise NetworkStateError(f"there is no network in {self.folder.root}")
        await self.stop(progress)
        await asyncio.to_thread(shutil.rmtree, self.folder.root)
        progress(f"deleted {self.folder.root}")

    @property
    def exists(self) -> bool:
        """True when the folder holds a network, whole or begun."""
        return self.folder.topology.exists() and self.folder.supervisor.root.is_dir()

    @property
    def is_running(self) -> bool:
        """True when the network's supervisor lives."""
        return supervision.running_pid(self.folder.supervisor) is not None

    # ---- what others need of it

    async def status(self) -> list[NodeStatus]:
        """Tell of every process whether it runs, its height, its last error and when its certificates expire."""
        return await network_status(self.topology, self.folder)

    async def deploy_chaincode(
        self, name: str, target: str, *, python_path: Sequence[Path] = (), progress: Progress = _silent
    ) -> None:
        """Run the contract `target` (`module:Class`) as chaincode `name` at every hospital; again: replace its code.

        `python_path` has folders besides the installed packages where Python finds the module.

        Raises:
            LifecycleError: the module can't be found, or a peer or the channel refuses.
            NodeError: a service doesn't start.
        """
        source = ChaincodeSource(name, target, tuple(python_path))
        await deploy(self.topology, self.folder, source, progress)

    def profile(self, organization: str, user: str = "client") -> Path:
        """Return the path of a user's profile: admin or client of an organisation (by name or MSP id).

        Raises:
            TopologyError: no such organisation.
            NetworkStateError: no such profile.
        """
        path = self.folder.organization(self.topology.organization(organization).name).profile(user)
        if not path.exists():
            raise NetworkStateError(f"{organization} has no profile {user!r} ({path})")
        return path

    def pid(self, node: str) -> int:
        """Return the process id of a running node: `peer.NAME`, `orderer.NAME`, `CHAINCODE.NAME`.

        Raises:
            NetworkStateError: no such node, or it isn't running at this moment.
        """
        state = supervision.read_state(self.folder.supervisor)
        process = state.processes.get(node) if state and self.is_running else None
        if process is None or process.pid is None:
            raise NetworkStateError(f"{node} is not running")
        return process.pid

    # ---- steps

    def _clear_remains(self) -> None:
        """Delete what a bring-up left that failed half-way; never a folder that isn't a network's."""
        root = self.folder.root
        if self.exists:
            shutil.rmtree(root)
        elif root.exists() and any(root.iterdir()):
            raise NetworkStateError(f"{root} is not empty and holds no network: name another --directory")

    async def _create(self, programs: Programs, progress: Progress) -> None:
        topology, folder = self.topology, self.folder
        folder.supervisor.nodes.mkdir(parents=True)
        write_atomically(folder.topology, topology.to_yaml())
        progress("making keys and certificates")
        for organization in topology.organizations:
            create_organization(organization, folder, topology.certificate_days)
        create_monitor(folder)
        exchange_public_parts(topology, folder)
        block = await make_genesis_block(topology, folder, programs)
        for organization in topology.organizations:
            write_atomically(folder.organization(organization.name).genesis_block, block)
            if organization.has_peer:
                write_peer(organization, folder, programs)
            if organization.has_orderer:
                write_orderer(organization, folder, programs)
        write_profiles(topology, folder)

    async def _start_processes(self, progress: Progress) -> None:
        specifications = list(load_specifications(self.folder.supervisor).values())
        supervision.check_ports_free(specifications)
        progress(f"starting {_summary(specifications)}")
        await supervision.start_supervisor(self.folder)
        await supervision.wait_until_listening(self.folder.supervisor, specifications)

    async def _join(self, progress: Progress) -> None:
        progress(f"joining the channel {self.topology.channel}")
        folder = self.folder
        block = (folder.channel / "genesis.block").read_bytes()
        orderers = [join_orderer(each, folder.organization(each.name), block) for each in self.topology.orderers]
        await asyncio.gather(*orderers)
        await asyncio.gather(*(join_peer(folder.organization(each.name), block) for each in self.topology.peers))

    async def _wait_for_gossip(self) -> None:
        """Wait until every peer sees every other: endorsement across organisations needs it."""
        deadline = time.monotonic() + _GOSSIP_SECONDS
        specifications = load_specifications(self.folder.supervisor).values()
        waiting = [each for each in specifications if each.kind is NodeKind.PEER]
        others = len(waiting) - 1
        while waiting:
            if time.monotonic() > deadline:
                names = ", ".join(each.name for each in waiting)
                raise NodeError(f"{names}: not all other peers seen after {_GOSSIP_SECONDS:.0f} seconds")
            known = await asyncio.gather(*(self._peers_known(each) for each in waiting))
            waiting = [each for each, count in zip(waiting, known, strict=True) if count < others]
            if waiting:
                await asyncio.sleep(_POLL_SECONDS)

    async def _peers_known(self, specification: NodeSpecification) -> int:
        if specification.operations is None:
            return 0
        monitor = self.folder.supervisor.monitor
        metrics = await read_metrics(specification.operations, monitor, self.topology.channel)
        return (metrics.peers_known or 0) if metrics else 0

    def _check_certificates(self) -> None:
        for organization in self.topology.organizations:
            own = self.folder.organization(organization.name)
            for owner, paths in certificates_of(organization, own).items():
                for path in paths:
                    check_validity(path, owner)

    @contextlib.asynccontextmanager
    async def _stopped_on_failure(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                await supervision.stop_supervisor(self.folder.supervisor)
            raise


def _summary(specifications: list[NodeSpecification]) -> str:
    counts = {kind: sum(each.kind is kind for each in specifications) for kind in NodeKind}
    words = {NodeKind.ORDERER: "orderers", NodeKind.PEER: "peers", NodeKind.CHAINCODE: "chaincode services"}
    return ", ".join(f"{count} {words[kind]}" for kind, count in counts.items() if count)
