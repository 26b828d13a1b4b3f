"""Ciphertext vectors that a hospital stores: what was changed on its disk is fetched again, never fingerprinted."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from consilium_client.errors import JournalError
from consilium_client.journal import StudyJournal
from consilium_client.site import Site
from consilium_client.upload import AggregatorClient, FetchedVector
from consilium_client.vectors import check_unchanged, own_vector, published_sum, vector_context, witnessed_vector
from consilium_peers.federation import Federation
from consilium_proto.chunk_tree import VectorContext, chunk_digest, tree_root
from consilium_proto.records import Anchor, AnchoredHospital, Publication, PublishedSum, Round, RoundPhase, RoundView

OWN, OTHER, AGGREGATOR = "AMSP", "BMSP", "SumMSP"
CHUNKS = [b"one", b"two", b"three"]


class Serving:
    """An aggregator that serves every vector, and counts how often."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    async def fetch_update(self, vector: VectorContext, *_: object, **__: object) -> FetchedVector:
        self.fetched.append(vector.owner)
        return FetchedVector(CHUNKS, 1, 1)

    fetch_sum = fetch_update


@pytest.fixture
def serving() -> Serving:
    return Serving()


@pytest.fixture
def site(tmp_path: Path, serving: Serving) -> Site:
    parts: dict[str, Any] = dict.fromkeys(("keystore", "rule", "study", "training"))
    return Site(
        hospital=OWN,
        channel="c",
        federation=cast(Federation, None),
        aggregators=cast(AggregatorClient, serving),
        journal=StudyJournal(tmp_path, "s"),
        **parts,
    )


@pytest.fixture
def view(site: Site) -> RoundView:
    state = Round(
        study="s",
        round=1,
        phase=RoundPhase.CHALLENGED,
        base="ab" * 32,
        epoch=1,
        attempt=0,
        participants=(OWN, OTHER),
        missing=(),
        publication=1,
        publisher=AGGREGATOR,
        model=None,
        attested_by=(),
        entered=0,
        deadline=1,
    )
    digests = [chunk_digest(chunk) for chunk in CHUNKS]
    roots = {name: tree_root(vector_context(site, state, name), digests) for name in (OWN, OTHER)}
    summed = tree_root(vector_context(site, state, AGGREGATOR, "sum"), digests)
    published = Publication(study="s", round=1, attempt=0, root=summed, chunks=3)
    return RoundView(
        round=state,
        joins=(),
        anchors=tuple(
            AnchoredHospital(
                hospital=name, anchor=Anchor(study="s", round=1, attempt=0, root=root, chunks=3, privacy=None)
            )
            for name, root in roots.items()
        ),
        publications=(PublishedSum(aggregator=AGGREGATOR, publication=published),),
        attestations=(),
        next_phase=None,
    )


@pytest.mark.parametrize("label", ["update", "sum"])
async def test_a_fetched_copy_that_was_changed_is_fetched_again(
    site: Site, view: RoundView, serving: Serving, label: str
) -> None:
    async def get() -> Any:
        if label == "sum":
            return await published_sum(site, view, patience=1, timeout=1)
        return await witnessed_vector(site, view, OTHER, patience=1, timeout=1)

    first = await get()
    assert list(await get()) == list(first) == CHUNKS
    assert len(serving.fetched) == 1
    first.paths[1].write_bytes(b"twa")
    assert list(await get()) == CHUNKS
    assert len(serving.fetched) == 2


async def test_an_own_vector_that_was_changed_is_never_fingerprinted(site: Site, view: RoundView) -> None:
    site.journal.round(1).save_chunks(0, CHUNKS)
    vector = own_vector(site, view.round)
    check_unchanged(view, vector)
    vector.paths[0].write_bytes(b"onf")
    with pytest.raises(JournalError, match="was changed"):
        check_unchanged(view, vector)
    with pytest.raises(JournalError, match="gone from"):
        own_vector(site, replace(view.round, attempt=1))
