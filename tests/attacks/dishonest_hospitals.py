"""Hospitals that lie: an honest agent whose writes are changed, or go nowhere, on their way out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from attack_stage import CHEAT, Stage
from patience import is_untimely

from consilium_client.upload import AggregatorClient, UploadReport
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_peers.gateway import SubmitResult
from consilium_proto.canonical import Record
from consilium_proto.refusals import RefusalCode

Lie = Callable[[Federation, Any], Awaitable[SubmitResult]]
# What a withheld write seems to have become: the agent goes on as after a commit, looks again, and finds it missing.
_NOWHERE = SubmitResult(payload=b"", tx_id="nowhere", block=0, endorsers=(), latency=0.0)
_LOOKS_AGAIN_SECONDS = 0.5


class DishonestLedger(Federation):
    """The contract's functions, of which some are replaced.

    Remembers what the ledger refused of it for what it says. What was refused because it came too early or too late
    isn't noted: the agent tries again, and how often depends on the machine.
    """

    def __init__(self, stage: Stage, lies: Mapping[str, Lie], party: str = CHEAT) -> None:
        super().__init__(stage.parties[party].contract)
        self.refusals: list[RefusalCode | None] = []
        self._honest = stage.parties[party].client
        for name, lie in lies.items():
            assert hasattr(self._honest, name), name
            setattr(self, name, self._lying(lie))

    def _lying(self, lie: Lie) -> Callable[[Record], Awaitable[SubmitResult]]:
        async def write(record: Record) -> SubmitResult:
            try:
                return await lie(self._honest, record)
            except GatewayError as error:
                if not is_untimely(error):
                    self.refusals.append(error.refusal)
                await asyncio.sleep(_LOOKS_AGAIN_SECONDS)
                raise

        return write


async def withheld(honest: Federation, record: Record) -> SubmitResult:
    """Write nothing."""
    await asyncio.sleep(_LOOKS_AGAIN_SECONDS)
    return _NOWHERE


class SilentUploads(AggregatorClient):
    """An aggregators' client that says it has sent everything and sends nothing."""

    async def upload(self, *arguments: Any, **options: Any) -> UploadReport:
        return UploadReport(0, 0, 0, 0, ())


def deceive(stage: Stage, **lies: Lie) -> DishonestLedger:
    """Make the cheat of a stage tell these lies, each in place of the contract's function of that name."""
    ledger = DishonestLedger(stage, lies)
    stage.ledgers[CHEAT] = ledger
    return ledger
