"""How every process of a network is: running or not, how many blocks, what went wrong last, certificates' expiry."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Mapping
from pathlib import Path

import msgspec

from consilium_network import supervision
from consilium_network.certificates import expiry
from consilium_network.layout import NetworkFolder
from consilium_network.node_logs import last_error
from consilium_network.nodes import NodeKind, NodeSpecification, load_specifications
from consilium_network.operations import Metrics, read_metrics
from consilium_network.organizations import certificates_of
from consilium_network.supervised_process import ProcessState
from consilium_network.topology import Topology

EXPIRY_WARNING = datetime.timedelta(days=30)


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the network.

    `listening`: it runs and has opened all its ports, so it has finished starting.
    `height` is the number of blocks (None: not running, not answering, or a chaincode service, which has none).
    `running_since` and `certificate_expires` are in UTC; the latter is the first of its certificates to expire.
    """

    name: str
    organization: str
    kind: NodeKind
    running: bool
    listening: bool
    pid: int | None
    addresses: tuple[str, ...]
    height: int | None
    restarts: int
    running_since: datetime.datetime | None
    last_error: str | None
    certificate_expires: datetime.datetime


async def network_status(topology: Topology, folder: NetworkFolder) -> list[NodeStatus]:
    """Ask every process of a network how it is. Works for a stopped network too."""
    specifications = load_specifications(folder.supervisor)
    alive = supervision.running_pid(folder.supervisor) is not None
    state = supervision.read_state(folder.supervisor)
    processes = state.processes if state else {}
    expiries = _expiries(topology, folder)

    async def one(specification: NodeSpecification) -> NodeStatus:
        process = processes.get(specification.name) or ProcessState(name=specification.name)
        running = alive and process.pid is not None
        metrics = await _metrics(specification, folder, topology.channel) if running else None
        return NodeStatus(
            name=specification.name,
            organization=specification.organization,
            kind=specification.kind,
            running=running,
            listening=running and all(supervision.is_listening(each) for each in specification.addresses),
            pid=process.pid if running else None,
            addresses=specification.addresses,
            height=metrics.height if metrics else None,
            restarts=process.restarts,
            running_since=datetime.datetime.fromtimestamp(process.since, datetime.UTC) if running else None,
            last_error=process.last_failure or last_error(Path(specification.log)),
            certificate_expires=expiries[specification.name],
        )

    return list(await asyncio.gather(*(one(each) for each in specifications.values())))


async def _metrics(specification: NodeSpecification, folder: NetworkFolder, channel: str) -> Metrics | None:
    if specification.operations is None:
        return None
    return await read_metrics(specification.operations, folder.supervisor.monitor, channel)


def _expiries(topology: Topology, folder: NetworkFolder) -> Mapping[str, datetime.datetime]:
    found = {}
    for organization in topology.organizations:
        for owner, paths in certificates_of(organization, folder.organization(organization.name)).items():
            found[owner] = min(expiry(path) for path in paths)
    return found


def status_table(statuses: list[NodeStatus], now: datetime.datetime) -> str:
    """Return the table that `consilium network status` prints."""
    rows = [("process", "running", "blocks", "restarts", "certificate until", "last error")]
    for each in statuses:
        expires = f"{each.certificate_expires:%Y-%m-%d}" + _expiry_note(each.certificate_expires - now)
        height = "-" if each.height is None else str(each.height)
        rows.append((each.name, _running(each), height, str(each.restarts), expires, each.last_error or "-"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    return "\n".join(lines)


def _running(each: NodeStatus) -> str:
    if not each.running:
        return "no"
    return f"process {each.pid}" if each.listening else f"starting ({each.pid})"


def _expiry_note(left: datetime.timedelta) -> str:
    if left <= datetime.timedelta():
        return " (expired)"
    return f" ({left.days} days left)" if left < EXPIRY_WARNING else ""
