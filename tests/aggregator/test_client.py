"""The hospital's side against aggregators that are dead, slow, lazy or lying."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from aggregator_world import (
    ALPHA,
    BETA,
    CHUNKS,
    Certificates,
    World,
    context,
    encrypted_updates,
)
from ledger_double import AGGREGATOR, LedgerDouble

from consilium_client.errors import AggregatorUnavailableError, VectorMismatchError, VectorWithheldError
from consilium_client.upload import AggregatorClient, FetchedVector
from consilium_proto.chunk_tree import chunk_digest, tree_root
from consilium_proto.chunks import LARGEST_CHUNK
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.generated import aggregator_pb2_grpc

DEAD = "127.0.0.1:9"
SUM = context(AGGREGATOR, label="sum")
WITNESSED = context(BETA)
CONTENTS = [bytes([number]) * 100 for number in range(CHUNKS)]
DIGESTS = [chunk_digest(content) for content in CONTENTS]
ROOT = tree_root(SUM, DIGESTS)


class Lying(aggregator_pb2_grpc.AggregatorServicer):
    """Serves `digests` and `contents` as its sum, `limit` chunks a call."""

    def __init__(self, contents: Sequence[bytes] = CONTENTS) -> None:
        self.contents = list(contents)
        self.digests = [chunk_digest(content) for content in contents]
        self.position_of: Callable[[int], int] = lambda position: position
        self.limit = CHUNKS
        self.broken_calls = 0
        self.withheld: set[int] = set()
        self.pause = 0.0
        self.status: grpc.StatusCode | None = None
        self.served: list[int] = []

    async def FetchManifest(self, request: Any, context: Any) -> Any:  # noqa: N802
        if self.status is not None:
            await context.abort(self.status, "no")
        return messages.Manifest(vector=request, digests=self.digests)

    async def FetchChunks(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        for count, position in enumerate(request.positions):
            if count == self.limit:
                if self.broken_calls:
                    self.broken_calls -= 1
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "cut off")
                return
            if position in self.withheld:
                return
            await asyncio.sleep(self.pause)
            self.served.append(position)
            yield messages.Chunk(
                vector=request.vector, position=self.position_of(position), content=self.contents[position]
            )


@asynccontextmanager
async def serving(certificates: Certificates, servicer: Lying) -> AsyncIterator[str]:
    server = grpc.aio.server()
    aggregator_pb2_grpc.add_AggregatorServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    pair = certificates.pair(AGGREGATOR)
    key = [(pair.private_key.read_bytes(), pair.certificate.read_bytes())]
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(key))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def fetching(
    certificates: Certificates, servicer: Lying, root: str = ROOT
) -> AsyncIterator[Callable[..., Awaitable[FetchedVector]]]:
    async with (
        serving(certificates, servicer) as address,
        AggregatorClient.connect(certificates.profile(ALPHA, address)) as client,
    ):
        yield partial(client.fetch_sum, SUM, root, CHUNKS, patience=1)


async def test_an_honest_sum_is_taken(certificates: Certificates) -> None:
    async with fetching(certificates, Lying()) as fetch:
        fetched: FetchedVector = await fetch()
    assert fetched.chunks == CONTENTS
    assert fetched.bytes_received > sum(map(len, CONTENTS))


def _swap_digests(server: Lying) -> None:
    server.digests[0], server.digests[1] = server.digests[1], server.digests[0]


def _drop_digest(server: Lying) -> None:
    server.digests.pop()


def _cut_digest(server: Lying) -> None:
    server.digests[2] = server.digests[2][:-1]


def _alter_chunk(server: Lying) -> None:
    server.contents[3] = b"x" + server.contents[3][1:]


def _misplace_chunks(server: Lying) -> None:
    server.position_of = lambda position: (position + 1) % CHUNKS


@pytest.mark.parametrize("lie", [_swap_digests, _drop_digest, _cut_digest, _alter_chunk, _misplace_chunks])
async def test_a_sum_that_isnt_the_published_one_is_refused(
    certificates: Certificates, lie: Callable[[Lying], None]
) -> None:
    server = Lying()
    lie(server)
    async with fetching(certificates, server) as fetch:
        with pytest.raises(VectorMismatchError, match=AGGREGATOR):
            await fetch()


async def test_a_sum_that_comes_only_in_part_is_withheld(certificates: Certificates) -> None:
    server = Lying()
    server.withheld = {3}
    async with fetching(certificates, server) as fetch, asyncio.timeout(10):
        with pytest.raises(VectorWithheldError, match="only a part"):
            await fetch()


async def test_a_sum_that_drips_is_given_up_in_time(certificates: Certificates) -> None:
    """Each chunk is progress, so patience never ends; the time in all does."""
    server = Lying()
    server.pause = 0.4
    async with fetching(certificates, server) as fetch, asyncio.timeout(2):
        with pytest.raises(VectorWithheldError, match="DEADLINE_EXCEEDED"):
            await fetch(timeout=1.0)


async def test_a_chunk_that_nobody_could_be_shown_isnt_taken(certificates: Certificates) -> None:
    """Any bytes may lie under a published root; chaincode wouldn't look at so many."""
    contents = [*CONTENTS[:-1], bytes(LARGEST_CHUNK + 1)]
    digests = [chunk_digest(content) for content in contents]
    server = Lying(contents)
    async with fetching(certificates, server, tree_root(SUM, digests)) as fetch:
        with pytest.raises(VectorMismatchError, match=f"{LARGEST_CHUNK + 1} bytes"):
            await fetch()


@pytest.mark.parametrize("fault", ["lies", "refuses", "drips", "says the round is over"])
async def test_no_aggregator_keeps_a_hospital_from_the_next_one(certificates: Certificates, fault: str) -> None:
    """Witnessed vectors are at several; what comes from a false one is refused, and asked of the next."""
    first, second = Lying(), Lying()
    match fault:
        case "lies":
            first.contents[0] = b"x"
        case "refuses":
            first.status = grpc.StatusCode.PERMISSION_DENIED
        case "drips":
            first.pause = 0.3
        case _:
            first.status = grpc.StatusCode.ABORTED
    async with (
        serving(certificates, first) as one,
        serving(certificates, second) as two,
        AggregatorClient.connect(certificates.profile(ALPHA, one, two)) as client,
        asyncio.timeout(3),
    ):
        fetched = await client.fetch_update(WITNESSED, tree_root(WITNESSED, DIGESTS), CHUNKS, timeout=2)
    assert fetched.chunks == CONTENTS
    assert second.served


async def test_a_fetch_goes_on_where_it_was_cut_off(certificates: Certificates) -> None:
    server = Lying()
    server.limit, server.broken_calls = 2, 9
    async with fetching(certificates, server) as fetch:
        assert (await fetch()).chunks == CONTENTS
    assert server.served == list(range(CHUNKS))


async def test_waiting_for_a_sum_ends(world: World) -> None:
    world.start_round()
    async with world.aggregator(), world.client(ALPHA) as client:
        async with asyncio.timeout(5):
            with pytest.raises(VectorWithheldError, match="NOT_FOUND"):
                await client.fetch_sum(SUM, ROOT, CHUNKS, patience=0.5)
        other = context("OtherMSP", label="sum")
        with pytest.raises(VectorWithheldError, match="no aggregator of OtherMSP"):
            await client.fetch_sum(other, ROOT, CHUNKS)


async def test_waiting_for_an_aggregator_ends(certificates: Certificates) -> None:
    async with AggregatorClient.connect(certificates.profile(ALPHA, DEAD)) as client, asyncio.timeout(5):
        with pytest.raises(AggregatorUnavailableError, match=DEAD):
            await client.upload(context(ALPHA), encrypted_updates()[ALPHA], patience=0.5)
        with pytest.raises(AggregatorUnavailableError):
            await client.upload(context(ALPHA), encrypted_updates()[ALPHA], timeout=0.5)
    async with AggregatorClient.connect(certificates.profile(ALPHA)) as client:
        with pytest.raises(AggregatorUnavailableError, match="names no aggregator"):
            await client.upload(context(ALPHA), encrypted_updates()[ALPHA])


async def test_another_aggregator_takes_what_the_first_cant(world: World) -> None:
    world.start_round()
    async with world.aggregator(), world.client(ALPHA, DEAD) as client:
        report = await client.upload(context(ALPHA), encrypted_updates()[ALPHA])
    assert report.aggregators == (world.address,)
    assert report.chunks_sent == CHUNKS


async def test_a_refusal_isnt_the_last_word_while_another_aggregator_may_come_back(certificates: Certificates) -> None:
    refusing = Lying()
    refusing.status = grpc.StatusCode.PERMISSION_DENIED
    async with serving(certificates, refusing) as address:
        for endpoints in ((DEAD, address), (address, DEAD)):
            async with AggregatorClient.connect(certificates.profile(ALPHA, *endpoints)) as client:
                with pytest.raises(VectorWithheldError, match=DEAD):
                    await client.fetch_update(WITNESSED, ROOT, CHUNKS, patience=0.3)


async def test_files_are_sent_as_well_as_bytes(world: World, tmp_path: Path) -> None:
    paths = []
    for number, content in enumerate(encrypted_updates()[ALPHA]):
        paths.append(tmp_path / f"chunk-{number}")
        paths[-1].write_bytes(content)
    world.start_round()
    async with world.aggregator(), world.client(ALPHA) as client:
        report = await client.upload(context(ALPHA), paths)
    assert report.chunks_sent == CHUNKS
    assert (
        sum(map(len, encrypted_updates()[ALPHA])) < report.bytes_sent < 1.02 * sum(map(len, encrypted_updates()[ALPHA]))
    )


async def test_the_next_aggregator_gets_what_the_first_sits_on(world: World, tmp_path: Path) -> None:
    second = World(world.certificates, LedgerDouble(tmp_path / "ledger"), tmp_path / "second")
    world.start_round()
    async with world.aggregator(), second.aggregator(), world.client(ALPHA, second.address) as client:
        first = await client.upload(context(ALPHA), encrypted_updates()[ALPHA])
        again = await client.upload(context(ALPHA), encrypted_updates()[ALPHA])
        assert first.aggregators == again.aggregators == (second.address,)
        spread = await client.upload(context(ALPHA), encrypted_updates()[ALPHA], spread=0.0)
    assert spread.aggregators == (second.address, world.address)
    assert spread.chunks_sent == CHUNKS
