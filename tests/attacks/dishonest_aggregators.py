"""Aggregators that lie: the product's own, with other sums, other publications, or deaf ears. One trick per study."""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consilium_aggregator import engine, published, sessions
from consilium_aggregator.configuration import AggregatorConfiguration
from consilium_aggregator.errors import UnknownVectorError
from consilium_aggregator.round_sum import RoundSum
from consilium_aggregator.server import running_aggregator
from consilium_aggregator.sessions import RoundSession
from consilium_network.network import Network
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_proto.chunk_tree import chunk_digest
from consilium_proto.chunks import decode_sum, encode_sum
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.records import Publication

LIAR, STANDBY = "AggregatorMSP", "StandbyMSP"
_caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="")

Words = NDArray[np.uint64]


@dataclass
class Trick:
    """What an aggregator does differently in one study.

    Attributes:
        read: the chunks to add at a position, from a function that reads them as they are.
        change: the words of the sum's chunk at a position, uint64[2, degree], as they are published.
        publish: how a publication is written.
        withheld_from: who gets no second chunk of the sum.
        careless: takes chunks of any content, as long as the anchored root covers them.
        publications: everything it tried to write.
    """

    read: Callable[[int, Callable[[int], list[bytes]]], list[bytes]] | None = None
    change: Callable[[int, Words], Words] | None = None
    publish: Callable[[Federation, Publication], Awaitable[Any]] | None = None
    withheld_from: frozenset[str] = frozenset()
    careless: bool = False
    publications: list[Publication] = field(default_factory=list)


TRICKS: dict[str, Trick] = {}
"""By the study's name."""
HELD: dict[bytes, bytes] = {}
"""Every chunk that any aggregator was ever sent, by its digest."""
MANIFESTS: dict[tuple[str, int, int, str], list[bytes]] = {}
"""The digests of every vector that was announced to any aggregator, by study, round, attempt and hospital."""


class DishonestSum(RoundSum):
    """A round's sum that plays its study's trick when it is the liar's."""

    @property
    def _trick(self) -> Trick:
        return TRICKS.get(self._session.state.study, _HONEST) if self._organization == LIAR else _HONEST

    def _read(self, position: int, gone: list[tuple[str, int]]) -> Iterator[bytes]:
        if self._trick.read is None:
            return super()._read(position, gone)
        return iter(self._trick.read(position, lambda place: list(super(DishonestSum, self)._read(place, gone))))

    def _add_chunks(self, position: int, chunks: Iterable[bytes]) -> bytes:
        content = super()._add_chunks(position, chunks)
        if self._trick.change is None:
            return content
        parameter_set, epoch = self._session.parameter_set, self._session.state.epoch
        words = self._trick.change(position, decode_sum(parameter_set, epoch, content).copy())
        return encode_sum(parameter_set, epoch, words)


_HONEST = Trick()


class DishonestPublisher(Federation):
    """The liar's ledger: notes what it publishes, and writes it as its study's trick says."""

    async def publish(self, publication: Publication) -> Any:
        trick = TRICKS.get(publication.study, _HONEST)
        trick.publications.append(publication)
        if trick.publish is not None:
            return await trick.publish(Federation(self._contract), publication)
        return await super().publish(publication)


class DishonestSums(published.PublishedSums):
    """Published sums of which a chunk is withheld from some."""

    async def manifest(self, caller: str, name: Any) -> Any:
        _caller.set(caller)
        return await super().manifest(caller, name)

    async def chunk(self, name: Any, digests: Any, position: int) -> bytes:
        trick = TRICKS.get(name.study, _HONEST)
        if self._organization == LIAR and position == 1 and _caller.get() in trick.withheld_from:
            raise UnknownVectorError("chunk 1 isn't here")
        return await super().chunk(name, digests, position)


@asynccontextmanager
async def aggregators(network: Network, folder: Path) -> AsyncIterator[None]:
    """Run the liar and the honest standby for all studies of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "RoundSum", DishonestSum)
        patch.setattr("consilium_aggregator.server.PublishedSums", DishonestSums)
        _listen(patch)
        async with AsyncExitStack() as stack:
            for name in ("aggregator", "standby"):
                profile = Profile.load(network.profile(name, "aggregator"))
                configuration = AggregatorConfiguration.from_profile(profile, store=folder / name)
                gateway = await stack.enter_async_context(Gateway.connect(profile))
                channel = gateway.network()
                ledger = (DishonestPublisher if name == "aggregator" else Federation)(channel.contract())
                events = lambda channel=channel: channel.chaincode_events()  # noqa: E731
                await stack.enter_async_context(running_aggregator(configuration, ledger=ledger, events=events))
            yield


def _listen(patch: pytest.MonkeyPatch) -> None:
    """Keep whatever comes in, and let a careless liar take chunks that no sum can be made of."""
    check, announce = sessions.decode_update, RoundSession.announce

    def kept(parameter_set: ParameterSet, epoch: int, content: bytes) -> Any:
        HELD[chunk_digest(content)] = content
        careless = any(trick.careless for trick in TRICKS.values())
        return None if careless else check(parameter_set, epoch, content)

    async def announced(self: RoundSession, hospital: str, attempt: int, digests: Sequence[bytes]) -> list[int]:
        missing = await announce(self, hospital, attempt, digests)
        MANIFESTS[self.state.study, self.state.round, attempt, hospital] = list(digests)
        return missing

    patch.setattr(sessions, "decode_update", kept)
    patch.setattr(RoundSession, "announce", announced)
