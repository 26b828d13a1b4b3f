"""An agent's replay of its peer's blocks: it answers what the contract would, and goes on where it was kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from delivered import as_delivered
from fabric_protos.common import common_pb2

from consilium_proto import canonical
from consilium_proto.records import RoundPhase, RoundReference, RoundView, StudyList
from consilium_trail.archive.reading import TrailReader
from consilium_trail.errors import MalformedBlockError
from consilium_trail.verification.findings import UnsoundError
from consilium_trail.verification.followed_blocks import FollowedBlocks, RefusedQueryError

CHANNEL = "consilium"


@pytest.fixture(scope="module")
def blocks(good: Path) -> list[bytes]:
    with TrailReader(good) as trail:
        return [as_delivered(block) for block in trail.blocks()]


@pytest.fixture(scope="module")
def auditor(good: Path) -> bytes:
    """The certificate of whoever made the first transaction of a client: good enough to ask with."""
    from consilium_trail.blocks.transactions import decode_transaction

    with TrailReader(good) as trail:
        for block in trail.blocks():
            for envelope in block.envelopes:
                creator = decode_transaction(envelope).envelope.creator
                if creator is not None and creator.msp_id == "ClevelandMSP":
                    return creator.certificate
    raise AssertionError("no transaction of a hospital")


def asked(followed: FollowedBlocks, certificate: bytes, function: str, *arguments: bytes) -> bytes:
    return followed.ask(function, arguments, "ClevelandMSP", certificate, 1_800_000_000_000)


def taken(blocks: list[bytes], followed: FollowedBlocks | None = None) -> FollowedBlocks:
    followed = followed or FollowedBlocks(CHANNEL)
    for block in blocks:
        followed.take(block)
    return followed


def test_it_answers_queries_from_what_it_replayed(blocks: list[bytes], auditor: bytes) -> None:
    followed = taken(blocks)
    (study,) = canonical.decode(StudyList, asked(followed, auditor, "ListStudies", b"")).studies
    reference = canonical.encode(RoundReference(study=study, round=2))
    view = canonical.decode(RoundView, asked(followed, auditor, "ReadRound", reference))
    assert view.round.phase is RoundPhase.FINAL
    assert view.round.barred
    with pytest.raises(RefusedQueryError, match="NOT_FOUND"):
        asked(followed, auditor, "ReadRound", canonical.encode(RoundReference(study=study, round=9)))


def test_it_goes_on_where_it_was_kept(blocks: list[bytes]) -> None:
    half = len(blocks) // 2
    kept = taken(blocks[:half]).kept()
    assert kept is not None
    again = FollowedBlocks.restored(CHANNEL, kept)
    assert again.height == half
    assert taken(blocks[half:], again).kept() == taken(blocks).kept()


def test_a_kept_state_of_something_else_is_refused(blocks: list[bytes]) -> None:
    kept = taken(blocks[:3]).kept()
    assert kept is not None
    with pytest.raises(MalformedBlockError, match="'consilium'"):
        FollowedBlocks.restored("other", kept)
    with pytest.raises(MalformedBlockError, match="not a replayed ledger"):
        FollowedBlocks.restored(CHANNEL, kept[:-1])


def test_a_block_that_doesnt_follow_is_refused(blocks: list[bytes]) -> None:
    with pytest.raises(MalformedBlockError, match="block 4 doesn't follow the 3 blocks"):
        taken([*blocks[:3], blocks[4]])


def test_a_state_that_blocks_dont_lead_to_is_noticed_and_never_kept(blocks: list[bytes]) -> None:
    """What a transaction read isn't what the replay has: here, because a block's writes were left out."""
    written = next(number for number, block in enumerate(blocks) if b"EnactConsortium" in block)
    message: Any = common_pb2.Block.FromString(blocks[written])
    message.metadata.metadata[2] = bytes([11] * len(message.data.data))
    followed = taken(blocks[:written])
    followed.take(message.SerializeToString())
    with pytest.raises(UnsoundError, match="endorsed by ClevelandMSP, "):
        taken(blocks[written + 1 :], followed)
    assert followed.kept() is None
