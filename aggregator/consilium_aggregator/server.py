"""Runs an aggregator: the store, the engine, and the gRPC server with mutual TLS in front of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from consilium_aggregator.callers import Callers
from consilium_aggregator.configuration import AggregatorConfiguration
from consilium_aggregator.engine import Engine
from consilium_aggregator.errors import ConfigurationError, ServerError
from consilium_aggregator.ledger import EventStream, Ledger
from consilium_aggregator.open_rounds import OpenRounds
from consilium_aggregator.published import PublishedSums
from consilium_aggregator.retention import Retention
from consilium_aggregator.service import AggregatorService
from consilium_aggregator.store.folder import StoreFolder, open_store
from consilium_aggregator.witnessed import WitnessedUpdates
from consilium_peers.checkpoint import FileCheckpoint
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.generated import aggregator_pb2_grpc

log = logging.getLogger("consilium.aggregator")

# A manifest of 900,000 digests fits. Chunks are far smaller; their size is checked one by one.
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
MAX_CALLS = 256
STOP_SECONDS = 5.0

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),
]


@dataclass(frozen=True)
class RunningAggregator:
    """An aggregator that serves at `address`. `engine` ends only with the aggregator, or with a defect."""

    address: str
    engine: asyncio.Task[None]


@asynccontextmanager
async def running_aggregator(
    configuration: AggregatorConfiguration, *, ledger: Ledger | None = None, events: EventStream | None = None
) -> AsyncIterator[RunningAggregator]:
    """Run an aggregator as long as the `async with` block lasts; calls in progress get a while to end.

    Without `ledger` and `events` it reads them from the profile's gateways.

    Raises:
        AggregatorError: the store, the certificates or the address can't be used.
    """
    profile = configuration.profile
    async with AsyncExitStack() as stack:
        store = stack.enter_context(open_store(configuration.store, profile.organization, profile.channel))
        checkpoint = FileCheckpoint(store.checkpoint)
        if ledger is None or events is None:
            gateway = await stack.enter_async_context(Gateway.connect(profile))
            network = gateway.network()
            ledger = Federation(network.contract())
            # Without a checkpoint the channel's whole history is read once: nothing can fall between two reads.
            events = lambda: network.chaincode_events(checkpoint=checkpoint, start_block=0)  # noqa: E731
        rounds = OpenRounds(ledger, store, profile.channel, profile.organization)
        # One thread: SEAL holds the interpreter's lock, so a second one would add nothing.
        executor = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="sum"))
        server, address = await _start_server(configuration, rounds, store)
        stack.push_async_callback(server.stop, STOP_SECONDS)
        engine = Engine(
            ledger=ledger,
            events=events,
            checkpoint=checkpoint,
            rounds=rounds,
            retention=Retention(store, profile.organization, configuration.keep_final),
            organization=profile.organization,
            executor=executor,
        )
        running = asyncio.create_task(engine.run())
        stack.push_async_callback(_cancelled, running)
        log.info("serving", extra={"address": address, "organization": profile.organization})
        yield RunningAggregator(address, running)


async def run_aggregator(profile: Profile, state: Path, address: str | None = None) -> None:
    """Run an aggregator until cancelled. `state` is its folder, `address` replaces the profile's.

    Raises:
        AggregatorError: see `running_aggregator`; or the profile isn't an aggregator's server's.
    """
    configuration = AggregatorConfiguration.from_profile(profile, store=state, address=address)
    async with running_aggregator(configuration) as aggregator:
        await aggregator.engine


async def _start_server(
    configuration: AggregatorConfiguration, rounds: OpenRounds, store: StoreFolder
) -> tuple[grpc.aio.Server, str]:
    profile = configuration.profile
    sums = PublishedSums(rounds, store, profile.channel, profile.organization)
    service = AggregatorService(Callers.load(profile.organizations), rounds, sums, WitnessedUpdates(rounds, store))
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MAX_CALLS)
    aggregator_pb2_grpc.add_AggregatorServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    try:
        port = server.add_secure_port(configuration.address, _credentials(configuration))
    except RuntimeError:
        raise ServerError(
            f"can't listen on {configuration.address}: it is in use, no address of this machine, or the certificate in "
            f"{configuration.tls.certificate} doesn't fit its key"
        ) from None
    await server.start()
    return server, f"{configuration.address.rpartition(':')[0]}:{port}"


def _credentials(configuration: AggregatorConfiguration) -> grpc.ServerCredentials:
    try:
        key = configuration.tls.private_key.read_bytes()
        certificate = configuration.tls.certificate.read_bytes()
        roots = b"\n".join(entry.tls_roots.read_bytes() for entry in configuration.profile.organizations)
    except OSError as error:
        raise ConfigurationError(f"TLS files: can't read {error.filename}: {error.strerror}") from None
    return grpc.ssl_server_credentials([(key, certificate)], roots, require_client_auth=True)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
