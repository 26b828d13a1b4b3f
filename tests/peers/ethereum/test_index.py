"""The index of blocks, fed with blocks that a real network's peers delivered: federation and EVM on one channel."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from delivered import as_delivered

from consilium_peers.blocks.reader import RawBlock
from consilium_peers.errors import BlocksError
from consilium_peers.ethereum.rpc.block_contents import BlockContents, read_block
from consilium_peers.ethereum.rpc.channel_blocks import ChannelBlocks
from consilium_peers.ethereum.rpc.errors import StateError
from consilium_peers.ethereum.rpc.formats import receipt_object, transaction_object
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.log_criteria import LogCriteria
from consilium_peers.ethereum.rpc.pool_journal import PoolJournal
from consilium_peers.ethereum.rpc.state_folder import open_state
from consilium_trail.archive.reading import TrailReader

RECORDED = Path(__file__).parents[1] / "trail" / "format-1-rewards" / "cleveland.zip"


@pytest.fixture(scope="module")
def recorded() -> list[RawBlock]:
    with TrailReader(RECORDED) as trail:
        return [RawBlock(each.number, as_delivered(each)) for each in trail.blocks()]


@dataclass
class PlayedBlocks:
    """A channel whose first `height` blocks are there; `failures` come before what is asked for."""

    raws: list[RawBlock]
    height_now: int
    asked: list[int] = field(default_factory=list)
    failures: list[BlocksError] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def height(self) -> int:
        return self.height_now

    async def blocks(self, start: int = 0, end: int | None = None) -> AsyncGenerator[RawBlock, None]:
        if self.failures:
            raise self.failures.pop()
        number = start
        while end is None or number < end:
            while number >= self.height_now:
                await self.more.wait()
            self.asked.append(number)
            yield self.raws[number]
            number += 1

    def grow(self, height: int) -> None:
        self.height_now = height
        self.more.set()
        self.more = asyncio.Event()


@contextlib.asynccontextmanager
async def indexed(path: Path, channel: PlayedBlocks) -> AsyncIterator[ChannelBlocks]:
    network: Any = channel
    with contextlib.closing(BlockIndex(path)) as index:
        blocks = ChannelBlocks(network, index)
        await blocks.catch_up(lambda done, height: None)
        yield blocks


async def test_every_receipt_of_a_valid_transaction_is_a_transaction(tmp_path: Path, recorded: list[RawBlock]) -> None:
    """Those of clients, and those that the ledger itself executed for a round or for a resolution."""
    async with indexed(tmp_path / "index", PlayedBlocks(recorded, len(recorded))) as blocks:
        index = blocks.index
        found = [each for number in range(index.height) for each in index.transactions(number)]
        assert index.height == len(recorded)
        assert len({each.record.hash for each in found}) == len(found) >= 4
        assert len({each.record.sender for each in found}) >= 2
        for each in found:
            assert index.transaction(each.record.hash) == each
            assert index.transaction_at(each.block, each.position) == each
            assert transaction_object(each)["hash"] == receipt_object(each)["transactionHash"]
        logs = index.logs(0, index.height, LogCriteria())
        assert [each.log for each in logs] == [log for each in found for log in each.record.logs]
        assert index.newest_change == found[-1].block
        caps = [index.block(number).gas_limit for number in (0, index.height - 1)]  # type: ignore[union-attr]
        assert caps[0] == 0 < caps[1]


async def test_headers_chain_and_times_never_go_back(tmp_path: Path, recorded: list[RawBlock]) -> None:
    async with indexed(tmp_path / "index", PlayedBlocks(recorded, len(recorded))) as blocks:
        found = blocks.index.blocks(0, len(recorded))
        assert [each.number for each in found] == list(range(len(recorded)))
        assert found[0].parent_hash == bytes(32)
        for before, after in itertools.pairwise(found):
            assert after.parent_hash == before.hash
            assert after.timestamp >= before.timestamp > 1_700_000_000
        assert blocks.index.block_by_hash("0x" + found[3].hash.hex()) == found[3]


async def test_a_restart_reads_what_is_new(tmp_path: Path, recorded: list[RawBlock]) -> None:
    channel = PlayedBlocks(recorded, 5)
    async with indexed(tmp_path / "index", channel) as blocks:
        assert blocks.index.height == 5
    channel.asked.clear()
    channel.grow(9)
    async with indexed(tmp_path / "index", channel) as blocks:
        # The newest one is compared with the channel's.
        assert channel.asked == [4, 5, 6, 7, 8]
        assert blocks.index.height == 9


async def test_blocks_are_followed_through_outages_and_a_bad_listener(
    tmp_path: Path, recorded: list[RawBlock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consilium_peers.ethereum.rpc.channel_blocks.RETRY_SECONDS", 0.01)
    channel, heard = PlayedBlocks(recorded, 3), []

    def broken(block: BlockContents) -> None:
        raise ZeroDivisionError

    async with indexed(tmp_path / "index", channel) as blocks:
        blocks.listeners += [broken, lambda block: heard.append(block.number)]
        channel.failures.append(BlocksError("", "UNAVAILABLE", "no peer"))
        following = asyncio.create_task(blocks.follow())
        channel.grow(6)
        async with asyncio.timeout(5):
            while blocks.index.height < 6:
                await blocks.grown(0.1)
        following.cancel()
    assert heard == [3, 4, 5]


def other(raw: RawBlock) -> RawBlock:
    """Return a block that holds something else: its header doesn't fit, or doesn't follow."""
    return RawBlock(raw.number, raw.content.replace(b"federation", b"somewhatel"))


async def test_another_ledgers_index_is_refused(tmp_path: Path, recorded: list[RawBlock]) -> None:
    async with indexed(tmp_path / "index", PlayedBlocks(recorded, 5)):
        pass
    with pytest.raises(StateError, match="has 5 blocks and the peer 3"):
        async with indexed(tmp_path / "index", PlayedBlocks(recorded, 3)):
            pass
    with contextlib.closing(BlockIndex(tmp_path / "other")) as index:
        contents = [read_block(each) for each in recorded[:5]]
        index.add([*contents[:4], replace(contents[4], hash=bytes(32))])
    with pytest.raises(StateError, match="is of another ledger: its block 4"):
        async with indexed(tmp_path / "other", PlayedBlocks(recorded, 6)):
            pass
    with contextlib.closing(BlockIndex(tmp_path / "index")) as index:
        for wrong in (contents[4], replace(read_block(recorded[5]), parent_hash=bytes(32))):
            with pytest.raises(StateError, match="is of another ledger"):
                index.add([wrong])
        assert index.height == 5
        index.add([read_block(recorded[5])])


def test_a_block_that_isnt_what_its_header_says_is_refused(recorded: list[RawBlock]) -> None:
    with pytest.raises(StateError, match="doesn't hold what its header says"):
        read_block(other(recorded[6]))
    with pytest.raises(StateError, match="can't be read"):
        read_block(RawBlock(6, b"\xff"))


@pytest.mark.parametrize("opened", [BlockIndex, PoolJournal])
def test_a_file_of_something_else_is_one_sentence(tmp_path: Path, opened: Callable[[Path], Any]) -> None:
    (tmp_path / "file").write_bytes(b"not a database" * 100)
    with pytest.raises(StateError, match="remove it to begin anew"):
        opened(tmp_path / "file")


def test_a_folder_is_one_servers(tmp_path: Path) -> None:
    with open_state(tmp_path / "state"):
        with pytest.raises(StateError, match="another server uses"), open_state(tmp_path / "state"):
            pass
        assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    with open_state(tmp_path / "state"), open_state(None), open_state(None):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="can't be used"), open_state(tmp_path / "file"):
        pass
