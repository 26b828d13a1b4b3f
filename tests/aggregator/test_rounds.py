"""The whole way of a round through an aggregator, and what it does about rounds that end or move late."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from aggregator_world import (
    ALPHA,
    BETA,
    CHUNKS,
    GAMMA,
    HOSPITALS,
    SET,
    STUDY,
    World,
    chunk,
    cipher,
    context,
    encrypted_updates,
    manifest,
    slots_of,
    terms,
    until,
)
from ledger_double import AGGREGATOR, OTHER

from consilium_aggregator.holdings import holdings
from consilium_aggregator.store.folder import look_into
from consilium_aggregator.summation import add_chunks
from consilium_client.errors import RoundOverError, VectorWithheldError
from consilium_proto.chunk_tree import chunk_digest, tree_root
from consilium_proto.records import EventName, Publication, RoundPhase


async def test_what_the_hospitals_get_is_the_sum_of_what_they_sent(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        publication = await world.publication()
        for hospital in HOSPITALS:
            async with world.client(hospital) as client:
                fetched = await client.fetch_sum(context(AGGREGATOR, label="sum"), publication.root, CHUNKS)
            expected = [add_chunks(SET, 1, position) for position in zip(*encrypted_updates().values(), strict=True)]
            assert fetched.chunks == expected
            total = sum(slots_of(name) for name in HOSPITALS)
            np.testing.assert_array_equal(cipher().decrypt(fetched.chunks), total)
            assert fetched.bytes_received > sum(map(len, expected))


async def test_a_sum_is_published_when_everything_is_held_and_no_other_sum_is_being_checked(world: World) -> None:
    world.start_round(held=False)
    async with world.aggregator():
        await world.upload_all()
        await asyncio.sleep(0.5)
        assert not world.ledger.round(STUDY, 1).publications
        other = Publication(study=STUDY, round=1, attempt=0, root="ab" * 32, chunks=CHUNKS)
        world.ledger.publish_other(STUDY, 1, other)
        world.ledger.confirm(STUDY, 1)
        await asyncio.sleep(0.5)
        assert [entry.aggregator for entry in world.ledger.round(STUDY, 1).publications] == [OTHER]
        world.ledger.reject(STUDY, 1, OTHER)
        await until(lambda: len(world.ledger.round(STUDY, 1).publications) == 2)


async def test_a_rejected_aggregator_publishes_nothing_more_in_the_round(world: World) -> None:
    world.start_round()
    world.ledger.reject(STUDY, 1, AGGREGATOR)
    async with world.aggregator():
        await world.upload_all()
        await asyncio.sleep(0.5)
        assert not world.ledger.round(STUDY, 1).publications


async def test_the_published_root_binds_the_sum_to_the_aggregator(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        publication = await world.publication()
    expected = [add_chunks(SET, 1, position) for position in zip(*encrypted_updates().values(), strict=True)]
    assert publication.root == tree_root(context(AGGREGATOR, label="sum"), map(chunk_digest, expected))


async def test_a_chunk_is_summed_as_soon_as_every_hospital_has_sent_it(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
        async with world.stub(GAMMA) as stub:
            await stub.AnnounceManifest(manifest(GAMMA))
            await stub.UploadChunks(iter([chunk(GAMMA, 3)]))
            await until(lambda: holdings(look_into(world.store))[0].summed == 1)
        assert not world.ledger.round(STUDY, 1).publications


async def test_an_upload_waits_until_the_ledger_has_every_anchor(world: World) -> None:
    world.start_round(RoundPhase.SEALED)
    async with world.aggregator(), world.client(ALPHA) as client:
        upload = asyncio.create_task(client.upload(context(ALPHA), encrypted_updates()[ALPHA]))
        await asyncio.sleep(0.5)
        assert not upload.done()
        assert not list((world.store / "content").iterdir())
        world.ledger.move(STUDY, 1, RoundPhase.ANCHORED, EventName.UPDATES_ANCHORED)
        report = await upload
    assert report.chunks_sent == CHUNKS


async def test_an_event_starts_a_round_that_began_later(world: World) -> None:
    async with world.aggregator():
        world.start_round(RoundPhase.SEALED)
        world.ledger.move(STUDY, 1, RoundPhase.ANCHORED, EventName.UPDATES_ANCHORED)
        await world.upload_all()
        await world.publication()


async def test_a_sum_is_published_once_the_ledger_answers_again(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
        async with world.client(GAMMA) as client:
            async with world.stub(GAMMA) as stub:
                await stub.AnnounceManifest(manifest(GAMMA))
            world.ledger.down = True
            await client.upload(context(GAMMA), encrypted_updates()[GAMMA])
            await until(lambda: holdings(look_into(world.store))[0].summed == CHUNKS)
            await asyncio.sleep(0.3)
        world.ledger.down = False
        assert not world.ledger.round(STUDY, 1).publications
        await world.publication()


async def test_rounds_of_two_studies_go_on_side_by_side(world: World) -> None:
    world.ledger.start_study(terms("lung"))
    world.start_round()
    world.start_round(study="lung")
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
        await world.upload_all(study="lung")
        await world.publication(study="lung")
        assert not world.ledger.round(STUDY, 1).publications
        await world.upload_all(GAMMA)
        assert (await world.publication()).root != (await world.publication(study="lung")).root


async def test_a_final_round_leaves_its_sum_and_nothing_else(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        publication = await world.publication()
        world.ledger.move(STUDY, 1, RoundPhase.AGGREGATED, EventName.SUM_AGGREGATED)
        world.ledger.move(STUDY, 1, RoundPhase.FINAL, EventName.ROUND_FINAL)
        await until(lambda: not (world.store / "content" / STUDY / "1" / "updates").exists())
        async with world.client(BETA) as client:
            fetched = await client.fetch_sum(context(AGGREGATOR, label="sum"), publication.root, CHUNKS)
            assert len(fetched.chunks) == CHUNKS
            with pytest.raises(RoundOverError, match="decided"):
                await client.upload(context(BETA), encrypted_updates()[BETA])
    (held,) = holdings(look_into(world.store))
    assert (held.updates, held.summed) == ({}, CHUNKS)


async def test_a_void_round_leaves_nothing(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA, BETA)
        world.ledger.move(STUDY, 1, RoundPhase.VOID, EventName.ROUND_VOID)
        await until(lambda: not holdings(look_into(world.store)))
    assert not list((world.store / "content").iterdir())


async def test_a_round_that_ended_while_the_aggregator_was_down_is_cleared_at_the_next_start(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all(ALPHA)
    world.ledger.move(STUDY, 1, RoundPhase.EXPIRED)
    async with world.aggregator():
        await until(lambda: not holdings(look_into(world.store)))


async def test_only_the_newest_final_sums_are_kept_when_told_so(world: World) -> None:
    async with world.aggregator(keep_final=1):
        for number in (1, 2):
            world.start_round(RoundPhase.SEALED, number=number)
            world.ledger.move(STUDY, number, RoundPhase.ANCHORED, EventName.UPDATES_ANCHORED)
            await world.upload_all(number=number)
            publication = await world.publication(number)
            world.ledger.move(STUDY, number, RoundPhase.FINAL, EventName.ROUND_FINAL)
        await until(lambda: [held.round for held in holdings(look_into(world.store))] == [2])
        async with world.client(ALPHA) as client:
            await client.fetch_sum(context(AGGREGATOR, 2, label="sum"), publication.root, CHUNKS)
            with pytest.raises(VectorWithheldError):
                await client.fetch_sum(context(AGGREGATOR, label="sum"), publication.root, CHUNKS, patience=0.5)


async def test_nothing_but_ciphertexts_and_digests_is_on_disk(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        await world.publication()
    sums = [add_chunks(SET, 1, position) for position in zip(*encrypted_updates().values(), strict=True)]
    known = {chunk_digest(part).hex(): part for part in (*sums, *(c for u in encrypted_updates().values() for c in u))}
    digests = {bytes.fromhex(name) for name in known}
    for path in filter(Path.is_file, world.store.rglob("*")):
        content = path.read_bytes()
        if path.is_relative_to(world.store / "content"):
            assert known[path.name] == content
        elif path.is_relative_to(world.store / "manifests"):
            assert {content[at : at + 32] for at in range(0, len(content), 32)} <= digests
        else:
            assert path.name in {"owner.json", "lock", "events.json"}
            assert len(content) < 200
