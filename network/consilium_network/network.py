"""A whole network as one object: bring it up, stop and start it, ask how it is, take it down."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from consilium_network import bring_up, supervision
from consilium_network.chaincode_package import ChaincodeSource
from consilium_network.chaincode_services import deploy, is_deployed, start_services
from consilium_network.consortium import found_consortium
from consilium_network.errors import EvmTermsError, NetworkStateError
from consilium_network.evm import EVM, enact_first_terms, packaged_terms
from consilium_network.layout import NetworkFolder
from consilium_network.profiles import FEDERATION_CHAINCODE
from consilium_network.programs import find_or_build
from consilium_network.status import NodeStatus, network_status
from consilium_network.topology import Topology, load_topology, packaged_topology
from consilium_peers.durable import write_atomically
from consilium_proto.canonical import digest
from consilium_proto.ethereum.resolutions import EvmTerms

FEDERATION = ChaincodeSource(FEDERATION_CHAINCODE, "consilium_chaincode.federation.contract:FederationContract")

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    pass


class _Stage(msgspec.Struct, frozen=True):
    """What has been done once and for all."""

    joined: bool = False
    federation: bool = False
    evm: str = ""
    """The digest of the EVM's first terms; empty where there is no EVM."""


class Network:
    """The network in one folder. Any process may use it, but only one at a time brings it up, stops or deletes it."""

    def __init__(self, directory: Path | str, topology: Topology | None = None) -> None:
        """Name a network's folder, and what is to be made there (otherwise the packaged topology).

        Raises:
            NetworkStateError: there is a network already, made from another topology.
        """
        self.folder = NetworkFolder(Path(directory).resolve())
        if topology is not None and self._stage.joined and load_topology(self.folder.topology) != topology:
            raise NetworkStateError(
                f"the network in {self.folder.root} was made from another topology: leave yours out, or delete the "
                "network first with `consilium network down`"
            )
        self._topology = topology

    @property
    def topology(self) -> Topology:
        """The topology that the network was made from, or will be: the packaged one unless another was given."""
        if self._topology is None:
            made = self.folder.topology.exists()
            self._topology = load_topology(self.folder.topology) if made else packaged_topology()
        return self._topology

    # ---- the life of a network

    async def up(
        self,
        progress: Progress = _silent,
        *,
        federation: bool = True,
        evm: bool = False,
        evm_terms: EvmTerms | None = None,
    ) -> None:
        """Make the network and start it, deploy the federation contract and found the consortium.

        `evm` also deploys the chaincode that runs the EVM, and puts its first terms into force: the packaged ones
        unless others are given. It can be added to a network that was made without it, also to one that runs.

        What was made before is kept: a network that was stopped is only started, and one that was interrupted goes on.

        Raises:
            NetworkError: a program is missing, a port is taken, a certificate has expired, a node doesn't start … The
                message says which and what to do. What had been started is stopped again.
            EvmTermsError: the EVM has other first terms already.
        """
        terms = self._first_terms(evm_terms) if evm else None
        with self._alone():
            if terms is not None and self._stage.federation and not self._stage.evm and self.is_running:
                await self._run_contracts(progress, terms)
                await bring_up.wait_until_level(self.topology, self.folder)
                progress("the network has an EVM")
                return
            self._refuse_running()
            if not self._stage.joined:
                await self._make(progress)
            await self._run(progress, federation=federation or evm or self._stage.federation, terms=terms)

    async def start(self, progress: Progress = _silent) -> None:
        """Start a network that was stopped; its ledger is as it was.

        Raises:
            NetworkError: as `up`.
        """
        if not self._stage.joined:
            raise NetworkStateError(f"there is no network in {self.folder.root}: make one with `consilium network up`")
        with self._alone():
            self._refuse_running()
            await self._run(progress, federation=self._stage.federation, terms=None)

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
        with self._alone():
            await self.stop(progress)
            await asyncio.to_thread(shutil.rmtree, self.folder.root)
        progress(f"deleted {self.folder.root}")

    @property
    def exists(self) -> bool:
        """True when the folder holds a network, whole or begun."""
        return self.folder.supervisor.nodes.is_dir()

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
        await deploy(self.topology, self.folder, [source], progress)

    def profile(self, organization: str, user: str = "client") -> Path:
        """Return the path of a user's profile, such as admin, client or auditor of an organisation (name or MSP id).

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

    # ---- how far it is

    @property
    def _stage(self) -> _Stage:
        if not self.folder.progress.exists():
            return _Stage()
        return msgspec.json.decode(self.folder.progress.read_bytes(), type=_Stage)

    def _record(self, **reached: bool | str) -> None:
        stage = msgspec.structs.replace(self._stage, **reached)
        write_atomically(self.folder.progress, msgspec.json.encode(stage))

    def _refuse_running(self) -> None:
        if self.is_running:
            raise NetworkStateError(f"the network in {self.folder.root} is running already")

    async def _make(self, progress: Progress) -> None:
        programs = await find_or_build(progress)
        progress(f"Fabric {programs.release} ({programs.origin})")
        topology = self.topology
        self._clear_remains()
        progress("making keys and certificates")
        await bring_up.create_files(topology, self.folder, programs)

    async def _run(self, progress: Progress, *, federation: bool, terms: EvmTerms | None) -> None:
        bring_up.check_certificates(self.topology, self.folder)
        async with self._stopped_on_failure():
            await bring_up.start_processes(self.topology, self.folder, progress)
            if not self._stage.joined:
                progress(f"joining the channel {self.topology.channel}")
                # Python takes seconds to load contracts; peers that wait for each other leave it the processors.
                await start_services(self.topology, self.folder, list(self._contracts(terms)) if federation else [])
                await bring_up.join_channel(self.topology, self.folder)
                self._record(joined=True)
            await bring_up.wait_for_gossip(self.topology, self.folder)
            if federation:
                await self._run_contracts(progress, terms)
            await bring_up.wait_until_level(self.topology, self.folder)
        progress(f"the network is ready; profiles lie in {self.folder.root}/organizations/NAME/profiles")

    def _contracts(self, terms: EvmTerms | None) -> dict[ChaincodeSource, bool]:
        """Return the contracts that are to run, and whether they were put on the channel before.

        `terms` are the EVM's first; None where it isn't asked for now, and runs only if it was before.
        """
        stage = self._stage
        wanted = {FEDERATION: stage.federation}
        if terms is not None or stage.evm:
            wanted[EVM] = bool(stage.evm)
        return wanted

    async def _run_contracts(self, progress: Progress, terms: EvmTerms | None) -> None:
        """Deploy the contracts where they aren't yet, or aren't the code that is installed here, and found on them."""
        stage, wanted = self._stage, self._contracts(terms)
        lacking = [
            each for each, done in wanted.items() if not (done and is_deployed(self.topology, self.folder, each))
        ]
        if lacking:
            await deploy(self.topology, self.folder, lacking, progress)
        if not stage.federation:
            progress("founding the consortium")
            await found_consortium(self.topology, self.folder)
            self._record(federation=True)
        if terms is not None and not stage.evm:
            progress("putting the EVM's terms into force")
            await enact_first_terms(self.topology, self.folder, terms)
            self._record(evm=digest(terms))

    def _first_terms(self, given: EvmTerms | None) -> EvmTerms:
        made = self._stage.evm
        if given is not None and made and made != digest(given):
            raise EvmTermsError(
                "the EVM of this network has other first terms already; change them with `consilium evm terms approve`"
            )
        return given or packaged_terms()

    # ---- care

    def _clear_remains(self) -> None:
        """Delete what a bring-up left that failed half-way; never what isn't a network's."""
        root = self.folder.root
        if not self.exists and any(root.iterdir()):
            raise NetworkStateError(f"{root} is not empty and holds no network: name another --directory")
        for path in root.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder, so that no two commands make, start or delete one network at once."""
        root = self.folder.root
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, root)
            yield
        finally:
            os.close(descriptor)

    @contextlib.asynccontextmanager
    async def _stopped_on_failure(self) -> AsyncIterator[None]:
        try:
            yield
            _raise_if_interrupted()
        except BaseException:
            with contextlib.suppress(Exception):
                await supervision.stop_supervisor(self.folder.supervisor)
            raise


def _raise_if_interrupted() -> None:
    """Raise what an interruption raised that some library swallowed: an answer may come at the very same moment."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _lock(descriptor: int, root: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NetworkStateError(f"another command is at work on the network in {root}: wait for it") from None
