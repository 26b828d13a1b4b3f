"""An aggregator may be stopped, killed, damaged or replaced at any moment."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aggregator_world import (
    ALPHA,
    BETA,
    CHUNKS,
    GAMMA,
    HOSPITALS,
    STUDY,
    WAIT_SECONDS,
    World,
    chunk,
    cipher,
    context,
    encrypted_updates,
    manifest,
    slots_of,
    until,
)
from ledger_double import AGGREGATOR

from consilium_aggregator import round_sum
from consilium_aggregator.errors import StoreError
from consilium_aggregator.holdings import holdings
from consilium_aggregator.store.folder import look_into
from consilium_aggregator.summation import add_chunks
from consilium_proto.records import Publication


async def check_sum(world: World, publication: Publication) -> None:
    async with world.client(ALPHA) as client:
        fetched = await client.fetch_sum(context(AGGREGATOR, label="sum"), publication.root, CHUNKS)
    np.testing.assert_array_equal(cipher().decrypt(fetched.chunks), sum(slots_of(name) for name in HOSPITALS))


async def test_a_restarted_aggregator_asks_only_for_what_it_lacks(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA)
        async with world.stub(BETA) as stub:
            await stub.AnnounceManifest(manifest(BETA))
            await stub.UploadChunks(iter([chunk(BETA, 1), chunk(BETA, 4)]))
    async with world.aggregator():
        async with world.client(ALPHA) as client:
            assert (await client.upload(context(ALPHA), encrypted_updates()[ALPHA])).chunks_sent == 0
        async with world.client(BETA) as client:
            assert (await client.upload(context(BETA), encrypted_updates()[BETA])).chunks_sent == CHUNKS - 2
        await world.upload_all(GAMMA)
        await check_sum(world, await world.publication())


async def test_an_upload_lives_through_a_restart(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
    async with world.client(GAMMA) as client:
        upload = asyncio.create_task(client.upload(context(GAMMA), encrypted_updates()[GAMMA]))
        await asyncio.sleep(0.5)
        assert not upload.done()
        async with world.aggregator():
            assert (await upload).chunks_sent == CHUNKS
            await check_sum(world, await world.publication())


async def test_a_sum_is_finished_after_a_restart_without_any_upload(world: World) -> None:
    """Stopped between the last chunk and the publication: ledger and store are enough to go on."""
    world.start_round()
    async with world.aggregator() as running:
        running.engine.cancel()
        await world.upload_all()
    assert not world.ledger.round(STUDY, 1).publications
    async with world.aggregator():
        await check_sum(world, await world.publication())


async def test_what_was_added_up_isnt_added_again_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
        async with world.stub(GAMMA) as stub:
            await stub.AnnounceManifest(manifest(GAMMA))
            await stub.UploadChunks(iter([chunk(GAMMA, position) for position in range(CHUNKS - 1)]))
        await until(lambda: holdings(look_into(world.store))[0].summed == CHUNKS - 1)
    added = []

    def counted(*arguments: Any) -> bytes:
        added.append(arguments)
        return add_chunks(*arguments)

    monkeypatch.setattr(round_sum, "add_chunks", counted)
    async with world.aggregator():
        await world.upload_all(GAMMA)
        await check_sum(world, await world.publication())
    assert len(added) == 1


async def test_a_published_sum_is_served_after_a_restart(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        publication = await world.publication()
    async with world.aggregator():
        await check_sum(world, publication)
    assert [entry.publication for entry in world.ledger.round(STUDY, 1).publications] == [publication]


async def test_a_chunk_that_changed_on_disk_is_asked_for_again(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA)
        damaged = next(path for path in (world.store / "content").rglob("updates/*"))
        content = bytearray(damaged.read_bytes())
        content[1000] ^= 1
        damaged.write_bytes(content)
        await world.upload_all(BETA, GAMMA)
        await until(lambda: not damaged.exists())
        assert not world.ledger.round(STUDY, 1).publications
        async with world.client(ALPHA) as client:
            async with asyncio.timeout(WAIT_SECONDS):
                # The file goes a moment before the aggregator has noted the loss; agents announce again and again.
                while not (report := await client.upload(context(ALPHA), encrypted_updates()[ALPHA])).chunks_sent:
                    await asyncio.sleep(0.05)
            assert report.chunks_sent == 1
        await check_sum(world, await world.publication())


async def test_a_manifest_that_changed_on_disk_is_asked_for_again(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA)
    (place,) = (world.store / "manifests").rglob("*-update-*")
    place.write_bytes(bytes(32 * CHUNKS))
    async with world.aggregator():
        await world.upload_all()
        await check_sum(world, await world.publication())


async def test_an_empty_store_takes_over(world: World, tmp_path: Path) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
    world.store = tmp_path / "another"
    async with world.aggregator():
        await world.upload_all()
        await check_sum(world, await world.publication())


async def test_a_store_serves_one_aggregator(world: World) -> None:
    async with world.aggregator():
        with pytest.raises(StoreError, match="another aggregator runs"):
            async with world.aggregator():
                pass
    (world.store / "owner.json").write_text('{"organization": "OtherMSP", "channel": "consilium"}')
    with pytest.raises(StoreError, match="belongs to OtherMSP"):
        async with world.aggregator():
            pass


@asynccontextmanager
async def separate_process(world: World, ledger: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    program = Path(__file__).with_name("separate_aggregator.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, program, world.certificates.directory, ledger, world.store, world.address,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        world.address = line.decode().split()[-1]
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("moment", range(4))
async def test_a_round_is_finished_although_the_process_is_killed(world: World, tmp_path: Path, moment: int) -> None:
    """SIGKILL before, while and after the last hospital uploads; another process goes on with the same store."""
    world.start_round()
    async with separate_process(world, tmp_path / "ledger") as process:
        await world.upload_all(ALPHA, BETA)
        async with world.client(GAMMA) as client:
            upload = asyncio.create_task(client.upload(context(GAMMA), encrypted_updates()[GAMMA]))
            await asyncio.sleep(0.01 * moment)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            async with separate_process(world, tmp_path / "ledger"):
                await upload
                for hospital in HOSPITALS:  # agents announce again while the round is ANCHORED
                    async with world.client(hospital) as other:
                        report = await other.upload(context(hospital), encrypted_updates()[hospital])
                        assert report.already_held == CHUNKS
                await check_sum(world, await world.publication())
    async with world.aggregator():
        assert not list(world.store.rglob("*.part"))
        assert holdings(look_into(world.store))[0].summed == CHUNKS
