"""Runs an aggregator: the gRPC server with mutual TLS, and the engine beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from consilium_aggregator.admission import Admission
from consilium_aggregator.callers import Callers
from consilium_aggregator.engine import Engine
from consilium_aggregator.errors import ServerError
from consilium_aggregator.ledger import FederationCalls, LedgerReader
from consilium_aggregator.service import AggregatorService
from consilium_aggregator.store.files import FileStore
from consilium_aggregator.vectors import Manifests
from consilium_peers.checkpoint import FileCheckpoint
from consilium_peers.events import ChaincodeEvent
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import KeyPairFiles, Profile
from consilium_proto.generated import aggregator_pb2_grpc

log = logging.getLogger("consilium.aggregator")

# A chunk is at most 64 KB and a manifest 32 bytes a chunk; this leaves room for models of half a billion parameters.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
STOP_SECONDS = 3.0

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
]


@dataclass(frozen=True)
class AggregatorParts:
    """What an aggregator consists of, put together over one state folder."""

    store: FileStore
    manifests: Manifests
    engine: Engine
    service: AggregatorService
    callers: Callers


def assemble(profile: Profile, federation: FederationCalls, state: Path) -> AggregatorParts:
    """Put an aggregator together. `state` holds its store and manifests; nothing in it is secret or readable."""
    store, manifests = FileStore(state / "chunks"), Manifests(state / "vectors")
    callers = Callers(profile.organizations)
    engine = Engine(profile.organization, profile.channel, federation, store, manifests)
    admission = Admission(profile.channel, LedgerReader(federation))
    service = AggregatorService(profile.organization, callers, admission, store, manifests, engine)
    return AggregatorParts(store, manifests, engine, service, callers)


@asynccontextmanager
async def serving(parts: AggregatorParts, address: str, tls: KeyPairFiles) -> AsyncIterator[str]:
    """Serve at `address` (`host:port`) for the length of the block; yields the address with the actual port.

    Raises:
        ServerError: the address can't be bound, or the TLS files can't be read.
    """
    server = grpc.aio.server(options=_OPTIONS)
    aggregator_pb2_grpc.add_AggregatorServicer_to_server(parts.service, server)  # type: ignore[no-untyped-call]
    try:
        pair = [(tls.private_key.read_bytes(), tls.certificate.read_bytes())]
        credentials = grpc.ssl_server_credentials(pair, parts.callers.trusted_roots, require_client_auth=True)
        port = server.add_secure_port(address, credentials)
    except OSError as error:
        raise ServerError(f"TLS files of the aggregator: {error}") from None
    except RuntimeError:
        raise ServerError(f"can't listen on {address}: it is in use, or not an address of this machine") from None
    await server.start()
    try:
        yield f"{address.rpartition(':')[0]}:{port}"
    finally:
        await server.stop(STOP_SECONDS)


async def run_aggregator(profile: Profile, state: Path, address: str | None = None) -> None:
    """Serve and sum until cancelled.

    Raises:
        ServerError: the profile has no server part, or the server can't start.
    """
    if profile.server_tls is None or profile.server_address is None:
        raise ServerError(f"the profile of {profile.organization} has no server part; use the aggregator's own profile")
    checkpoint = FileCheckpoint(state / "checkpoint.json")

    def handled(event: ChaincodeEvent) -> None:
        checkpoint.record(event.block, event.tx_id)

    async with Gateway.connect(profile) as gateway:
        network = gateway.network()
        parts = assemble(profile, Federation(network.contract()), state)
        async with serving(parts, address or profile.server_address, profile.server_tls) as bound:
            log.info("serving", extra={"address": bound, "organization": profile.organization})
            await parts.engine.run(lambda: network.chaincode_events(checkpoint=checkpoint), handled)
    await asyncio.sleep(0)
