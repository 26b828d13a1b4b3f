"""What an aggregator doesn't take, and from whom."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from aggregator_world import (
    ALPHA,
    BETA,
    CHUNKS,
    GAMMA,
    HOSPITALS,
    OUTSIDER,
    SET,
    STUDY,
    World,
    chunk,
    context,
    encrypted_updates,
    manifest,
    reference,
    refusal,
    until,
)
from ledger_double import AGGREGATOR

from consilium_aggregator.callers import Callers
from consilium_aggregator.errors import StrangerError
from consilium_aggregator.holdings import holdings
from consilium_aggregator.service import BATCH_SECONDS
from consilium_aggregator.store.folder import look_into
from consilium_client.errors import AggregatorRefusalError, AggregatorUnavailableError
from consilium_client.upload import AggregatorClient
from consilium_network.certificates import Authority
from consilium_proto.chunk_tree import chunk_digest
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.records import RoundPhase

Code = grpc.StatusCode


# ---- callers


async def test_a_certificate_of_an_unknown_authority_gets_no_connection(world: World) -> None:
    world.certificates.save("stranger", Authority.create("tlsca", ALPHA).tls("user", ["127.0.0.1"], 1))
    world.start_round()
    async with world.aggregator():
        profile = dataclasses.replace(
            world.certificates.profile(ALPHA, world.address), tls=world.certificates.pair("stranger")
        )
        async with AggregatorClient.connect(profile) as client:
            with pytest.raises(AggregatorUnavailableError, match="UNAVAILABLE"):
                await client.upload(context(ALPHA), encrypted_updates()[ALPHA], patience=1)


async def test_a_members_authority_cant_vouch_for_another_member(world: World) -> None:
    authority = world.certificates.authorities[BETA]
    # As Beta's operator would: its authority signs a certificate whose subject names Alpha.
    posing = Authority(dataclasses.replace(authority.issued))
    posing._msp_id = lambda: ALPHA  # type: ignore[method-assign]
    issued = posing.tls("user", ["127.0.0.1"], 1)
    assert ALPHA in issued.certificate.subject.rfc4514_string()
    world.certificates.save("posing", issued)
    world.start_round()
    async with world.aggregator(), world.stub("posing") as stub:
        code, message = await refusal(stub.AnnounceManifest(manifest(ALPHA)))
    assert code is Code.UNAUTHENTICATED
    assert "no TLS root of that organisation signed it" in message


def test_an_expired_certificate_names_nobody(world: World) -> None:
    callers = Callers.load(world.certificates.profile(AGGREGATOR).organizations)
    authority = world.certificates.authorities[ALPHA]
    assert callers.organization(authority.tls("user", [], 1).certificate_pem()) == ALPHA
    with pytest.raises(StrangerError, match="valid from"):
        callers.organization(authority.tls("user", [], -1).certificate_pem())
    with pytest.raises(StrangerError, match="can't be read"):
        callers.organization(b"nonsense")
    with pytest.raises(StrangerError, match="no TLS client certificate"):
        callers.of_call({})


async def test_nobody_uploads_for_another_hospital(world: World) -> None:
    world.start_round()
    async with world.aggregator(), world.stub(BETA) as stub:
        code, message = await refusal(stub.AnnounceManifest(manifest(ALPHA)))
        assert (code, "BetaMSP can't upload a vector of AlphaMSP" in message) == (Code.PERMISSION_DENIED, True)
        await stub.AnnounceManifest(manifest(BETA))
        code, _ = await refusal(stub.UploadChunks(iter([chunk(ALPHA, 0)])))
        assert code is Code.PERMISSION_DENIED


async def test_a_member_outside_the_study_neither_uploads_nor_fetches(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        await world.publication()
        async with world.stub(OUTSIDER) as stub:
            announced = messages.Manifest(vector=reference(OUTSIDER), digests=manifest(ALPHA).digests)
            assert (await refusal(stub.AnnounceManifest(announced)))[0] is Code.PERMISSION_DENIED
            for vector in (sum_of(AGGREGATOR), reference(ALPHA)):
                assert (await refusal(stub.FetchManifest(vector)))[0] is Code.PERMISSION_DENIED
                request = messages.ChunkRequest(vector=vector, positions=[0])
                assert (await refusal(anext(aiter(stub.FetchChunks(request)))))[0] is Code.PERMISSION_DENIED


async def test_only_owner_and_witness_fetch_a_hospitals_update(world: World) -> None:
    """Every holder of a ciphertext is one more party whom a holder of the key could collude with."""
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        for hospital, allowed in ((ALPHA, True), (BETA, True), (GAMMA, False)):
            async with world.stub(hospital) as stub:
                request = messages.ChunkRequest(vector=reference(ALPHA), positions=[1])
                if allowed:
                    assert (await stub.FetchManifest(reference(ALPHA))).digests == manifest(ALPHA).digests
                    assert (await anext(aiter(stub.FetchChunks(request)))).content == encrypted_updates()[ALPHA][1]
                else:
                    code, said = await refusal(stub.FetchManifest(reference(ALPHA)))
                    assert (code, "doesn't witness" in said) == (Code.PERMISSION_DENIED, True)
                    assert (await refusal(anext(aiter(stub.FetchChunks(request)))))[0] is Code.PERMISSION_DENIED


async def test_an_update_is_served_whole_and_a_sum_once_it_is_published(world: World) -> None:
    world.start_round()
    async with world.aggregator(), world.stub(BETA) as stub:
        code, said = await refusal(stub.FetchManifest(reference(ALPHA)))
        assert (code, f"{CHUNKS} of {CHUNKS} chunks" in said) == (Code.FAILED_PRECONDITION, True)
        await world.upload_all(ALPHA)
        assert (await stub.FetchManifest(reference(ALPHA))).digests == manifest(ALPHA).digests
        for vector in (sum_of(AGGREGATOR), reference(AGGREGATOR), reference(ALPHA, attempt=1), sum_of(ALPHA)):
            assert (await refusal(stub.FetchManifest(vector)))[0] is Code.NOT_FOUND
        odd = reference(ALPHA, label="noise")
        assert (await refusal(stub.FetchManifest(odd)))[0] is Code.INVALID_ARGUMENT


def sum_of(owner: str, **changes: Any) -> messages.VectorReference:
    return reference(owner, **{"label": "sum", **changes})


async def test_a_sum_has_the_attempt_of_its_publication(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        await world.upload_all()
        await world.publication()
        async with world.stub(BETA) as stub:
            assert len((await stub.FetchManifest(sum_of(AGGREGATOR))).digests) == CHUNKS
            code, message = await refusal(stub.FetchManifest(sum_of(AGGREGATOR, attempt=1)))
    assert (code, "attempt 1 is published" in message) == (Code.NOT_FOUND, True)


# ---- manifests


@pytest.mark.parametrize("phase", [RoundPhase.OPEN, RoundPhase.SEALED])
async def test_nothing_is_taken_before_every_update_is_anchored(world: World, phase: RoundPhase) -> None:
    world.start_round(phase)
    async with world.aggregator(), world.stub(ALPHA) as stub:
        code, message = await refusal(stub.AnnounceManifest(manifest(ALPHA)))
        assert (code, phase.value in message) == (Code.FAILED_PRECONDITION, True)
        assert (await refusal(stub.UploadChunks(iter([chunk(ALPHA, 0)]))))[0] is Code.FAILED_PRECONDITION
    assert holdings(look_into(world.store)) == []


@pytest.mark.parametrize("phase", [RoundPhase.FINAL, RoundPhase.EXPIRED, RoundPhase.VOID])
async def test_nothing_is_taken_once_a_round_is_decided(world: World, phase: RoundPhase) -> None:
    world.start_round(phase)
    async with world.aggregator(), world.stub(ALPHA) as stub:
        assert (await refusal(stub.AnnounceManifest(manifest(ALPHA))))[0] is Code.ABORTED


async def test_a_manifest_must_be_under_the_anchored_root(world: World) -> None:
    digests = [chunk_digest(content) for content in encrypted_updates()[ALPHA]]
    bad = {
        "swapped": [digests[1], digests[0], *digests[2:]],
        "another's": [chunk_digest(content) for content in encrypted_updates()[BETA]],
        "shorter": digests[:-1],
        "longer": [*digests, digests[0]],
        "cut digest": [digests[0][:-1], *digests[1:]],
        "empty": [],
    }
    world.start_round()
    async with world.aggregator(), world.stub(ALPHA) as stub:
        for defect, listed in bad.items():
            announced = messages.Manifest(vector=reference(ALPHA), digests=listed)
            assert (await refusal(stub.AnnounceManifest(announced)))[0] is Code.INVALID_ARGUMENT, defect
        await stub.AnnounceManifest(manifest(ALPHA))
        announced = messages.Manifest(vector=reference(ALPHA), digests=bad["swapped"])
        assert (await refusal(stub.AnnounceManifest(announced)))[0] is Code.INVALID_ARGUMENT


async def test_names_that_no_round_can_have(world: World) -> None:
    world.start_round()
    async with world.aggregator(), world.stub(ALPHA) as stub:
        for changes, expected in (
            ({"attempt": 1}, Code.INVALID_ARGUMENT),
            ({"protocol": 2}, Code.INVALID_ARGUMENT),
            ({"study": "../../etc"}, Code.INVALID_ARGUMENT),
            ({"round": 0}, Code.INVALID_ARGUMENT),
            ({"round": 7}, Code.NOT_FOUND),
            ({"study": "unknown"}, Code.NOT_FOUND),
        ):
            vector = reference(ALPHA, **changes)
            announced = messages.Manifest(vector=vector, digests=manifest(ALPHA).digests)
            assert (await refusal(stub.AnnounceManifest(announced)))[0] is expected, changes


# ---- chunks


async def test_chunks_that_arent_the_announced_ones(world: World) -> None:
    content = encrypted_updates()[ALPHA][0]
    world.start_round()
    async with world.aggregator(), world.stub(ALPHA) as stub:
        code, message = await refusal(stub.UploadChunks(iter([chunk(ALPHA, 0)])))
        assert (code, "announce it first" in message) == (Code.FAILED_PRECONDITION, True)
        await stub.AnnounceManifest(manifest(ALPHA))
        for bad, said in (
            (chunk(ALPHA, 0, content[:-1]), "chunk 0 is truncated: 32895 bytes instead of 32896"),
            (chunk(ALPHA, 0, b""), "chunk 0 is truncated"),
            (chunk(ALPHA, 0, content + b"x"), "chunk 0 is oversized"),
            (chunk(ALPHA, 0, content * 300), "chunk 0 is oversized"),
            (chunk(ALPHA, 0, encrypted_updates()[ALPHA][1]), "chunk 0 isn't the one"),
            (chunk(ALPHA, CHUNKS, content), "there is no chunk 5"),
        ):
            code, message = await refusal(stub.UploadChunks(iter([bad])))
            assert (code, said in message) == (Code.INVALID_ARGUMENT, True), message
        assert list((await stub.AnnounceManifest(manifest(ALPHA))).positions) == list(range(CHUNKS))


def malformed(kind: str) -> bytes:
    content = bytearray(encrypted_updates()[ALPHA][2])
    if kind == "word":
        content[64:72] = SET.modulus.to_bytes(8, "little")
    elif kind == "magic":
        content[0] ^= 1
    elif kind == "truncated":
        del content[-8:]
    return bytes(content)


@pytest.mark.parametrize("kind", ["word", "magic", "truncated"])
async def test_a_malformed_chunk_is_refused_even_if_anchored(world: World, kind: str) -> None:
    """Its hospital gets a clear error; what it sent before stays, and so do the others' uploads."""
    chunks = (*encrypted_updates()[ALPHA][:2], malformed(kind), *encrypted_updates()[ALPHA][3:])
    world.start_round(instead={ALPHA: chunks})
    async with world.aggregator():
        async with world.client(ALPHA) as client:
            with pytest.raises(AggregatorRefusalError, match="chunk 2"):
                await client.upload(context(ALPHA), chunks)
        await world.upload_all(BETA)
        assert holdings(look_into(world.store))[0].updates[BETA] == CHUNKS
    assert not world.ledger.round(STUDY, 1).publications


async def test_a_repeated_chunk_is_counted_and_not_stored_again(world: World) -> None:
    world.start_round()
    async with world.aggregator():
        async with world.stub(ALPHA) as stub:
            await stub.AnnounceManifest(manifest(ALPHA))
            twice = [chunk(ALPHA, 0), chunk(ALPHA, 1)]
            summary = await stub.UploadChunks(iter(twice))
            assert (summary.accepted, summary.already_held) == (2, 0)
            summary = await stub.UploadChunks(iter([*twice, chunk(ALPHA, 2)]))
            assert (summary.accepted, summary.already_held) == (1, 2)
        async with world.client(ALPHA) as client:
            report = await client.upload(context(ALPHA), encrypted_updates()[ALPHA])
            assert (report.chunks_sent, report.already_held) == (CHUNKS - 3, 3)
            again = await client.upload(context(ALPHA), encrypted_updates()[ALPHA])
            assert (again.chunks_sent, again.already_held) == (0, CHUNKS)
            assert again.bytes_sent < 1000


async def test_an_upload_goes_on_where_its_connection_broke(world: World) -> None:
    """What was acknowledged, and what lay on the aggregator for a moment, isn't sent again."""
    world.start_round()

    async def hanging() -> AsyncIterator[messages.Chunk]:
        yield chunk(ALPHA, 0)
        await asyncio.sleep(2 * BATCH_SECONDS)
        yield chunk(ALPHA, 1)
        await asyncio.sleep(60)

    async with world.aggregator():
        async with world.stub(ALPHA) as stub:
            await stub.AnnounceManifest(manifest(ALPHA))
            await stub.UploadChunks(iter([chunk(ALPHA, 4)]))
            call = stub.UploadChunks(hanging())
            await until(lambda: holdings(look_into(world.store))[0].updates[ALPHA] >= 2)
            call.cancel()
        async with world.client(ALPHA) as client:
            report = await client.upload(context(ALPHA), encrypted_updates()[ALPHA])
        assert report.chunks_sent <= CHUNKS - 2
        await world.upload_all(*HOSPITALS[1:])
        await world.publication()
