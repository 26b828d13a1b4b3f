"""Blocks from peers that the test plays: none is missed or repeated, whatever fails, hangs or lies."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing

import grpc
import pytest
import pytest_asyncio
from client_credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from played_delivery import Course, PlayedDelivery

from consilium_peers import connection, outage
from consilium_peers.blocks import reader
from consilium_peers.errors import BlocksError
from consilium_peers.gateway import Gateway

Both = tuple[PlayedDelivery, PlayedDelivery]
BROKEN = grpc.StatusCode.UNAVAILABLE


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(outage, "LONGEST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(reader, "BLOCK_SECONDS", 0.3)
    monkeypatch.setattr(connection, "REST_SECONDS", 0.3)


@pytest_asyncio.fixture
async def peers(credentials: Credentials) -> AsyncIterator[Both]:
    both = PlayedDelivery(), PlayedDelivery()
    for peer in both:
        await credentials.start(peer)  # type: ignore[arg-type]
    yield both
    for peer in both:
        await peer.stop()


@pytest_asyncio.fixture
async def gateway(credentials: Credentials, peers: Both) -> AsyncIterator[Gateway]:
    async with Gateway.connect(credentials.profile(*(f"127.0.0.1:{each.port}" for each in peers))) as connected:
        yield connected


async def take(gateway: Gateway, start: int, end: int | None, patience: float = 2) -> list[int]:
    async with asyncio.timeout(10), aclosing(gateway.network().blocks(start, end, patience=patience)) as blocks:
        return [block.number async for block in blocks]


async def test_the_request_is_signed_and_bound_to_the_connection(
    gateway: Gateway, peers: Both, credentials: Credentials
) -> None:
    peers[0].will(Course(range(3, 6), "SUCCESS"))
    assert await take(gateway, 3, 6) == [3, 4, 5]
    assert peers[0].asked == [(3, 5)]
    (envelope,), (header,) = peers[0].envelopes, peers[0].headers
    key = gateway.identity.certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(envelope.signature, envelope.payload, ec.ECDSA(hashes.SHA256()))
    shown = x509.load_pem_x509_certificate(credentials.pair("tls").certificate.read_bytes())
    assert header.tls_cert_hash == hashlib.sha256(shown.public_bytes(Encoding.DER)).digest()
    assert header.channel_id == "consilium"


@pytest.mark.parametrize("then", [BROKEN, None, "SERVICE_UNAVAILABLE", "NOT_FOUND"])
async def test_another_peer_goes_on_where_the_first_one_failed(
    gateway: Gateway, peers: Both, then: str | grpc.StatusCode | None
) -> None:
    peers[0].will(Course((0, 1), then))
    peers[1].will(Course((2, 3, 4), "SUCCESS"))
    assert await take(gateway, 0, 5) == [0, 1, 2, 3, 4]
    assert peers[1].asked == [(2, 4)]


@pytest.mark.parametrize("lie", [(0, 2), (1,), (0, 0)])
async def test_a_peer_that_skips_or_repeats_a_block_is_passed_over(
    gateway: Gateway, peers: Both, lie: tuple[int, ...]
) -> None:
    peers[0].will(Course(lie, "SUCCESS"))
    peers[1].will(Course((0, 1, 2) if lie[0] else (1, 2), "SUCCESS"))
    assert await take(gateway, 0, 3) == [0, 1, 2]


async def test_who_may_not_read_is_told_at_once(gateway: Gateway, peers: Both) -> None:
    peers[0].will(Course((), "FORBIDDEN"))
    with pytest.raises(BlocksError, match="Readers policy names who may") as caught:
        await take(gateway, 0, 3)
    assert not caught.value.transient
    assert peers[1].asked == []


async def test_patience_ends(gateway: Gateway, peers: Both) -> None:
    with pytest.raises(BlocksError, match="UNAVAILABLE"):
        await take(gateway, 0, 3, patience=0.5)
    assert len(peers[0].asked) + len(peers[1].asked) >= 2


async def test_a_quiet_stream_without_end_is_kept_as_long_as_its_peer_lives(
    gateway: Gateway, peers: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "IDLE_SECONDS", 0.1)
    peers[0].height = 9
    peers[0].will(Course((8,)))
    async with asyncio.timeout(10), aclosing(gateway.network().blocks(8)) as blocks:
        assert (await anext(blocks)).number == 8
        waiting = asyncio.ensure_future(anext(blocks))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        assert len(peers[0].asked) == 1
        # Now it is frozen, and doesn't say how many blocks it has.
        peers[0].height = 0
        peers[1].will(Course((9,)))
        assert (await waiting).number == 9
    assert peers[1].asked[0][0] == 9


async def test_the_height_is_asked_of_the_next_peer_when_one_hangs(gateway: Gateway, peers: Both) -> None:
    peers[1].height = 12
    assert await gateway.network().height(timeout=0.3) == 12
