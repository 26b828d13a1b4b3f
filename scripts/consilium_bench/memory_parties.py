"""Parties that call the federation contract on a ledger in memory: its own time, without a network's."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

from consilium_bench.parties import Party
from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import MemoryLedger, Simulation
from consilium_chaincode.shim.stub import Creator
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_proto.records import Consortium


class MemoryContract:
    """One identity's calls, each in a block of its own."""

    def __init__(self, ledger: MemoryLedger, organization: str, role: str) -> None:
        self._ledger = ledger
        self._contract = FederationContract()
        self._creator = Creator(msp_id=organization, certificate=b"", role=role, attributes={})

    async def submit(self, function: str, argument: bytes) -> None:
        """Commit what a function writes.

        Raises:
            GatewayError: the contract refuses, or what was read isn't the state any more.
        """
        codes = self._ledger.commit([await self.simulate(function, argument)])
        if codes != ["VALID"]:
            raise GatewayError("", codes[0], f"{function} isn't valid")

    async def evaluate(self, function: str, argument: bytes, organizations: Sequence[str] = ()) -> bytes:  # noqa: ARG002
        """Return what a function answers; the one ledger answers, whoever is named."""
        return (await self.simulate(function, argument)).result

    async def simulate(self, function: str, argument: bytes) -> Simulation:
        """Run a function and commit nothing."""
        now = time.time_ns() // 1_000_000
        try:
            return await self._ledger.simulate(self._contract, function, argument, creator=self._creator, timestamp=now)
        except ChaincodeError as error:
            raise GatewayError("", "ABORTED", str(error)) from None


async def founded(ledger: MemoryLedger, hospitals: tuple[str, ...], aggregator: str) -> tuple[tuple[Party, ...], Party]:
    """Found a consortium and return its hospitals and its aggregator."""
    parties = tuple(_party(ledger, name) for name in hospitals)
    consortium = Consortium(hospitals=hospitals, aggregators=(aggregator,), revision=1)
    for each in parties:
        await each.admin.approve_consortium(consortium)
    await parties[0].admin.enact_consortium(consortium)
    return parties, _party(ledger, aggregator)


def _party(ledger: MemoryLedger, organization: str) -> Party:
    # `Federation` needs no more of its contract than `submit` and `evaluate`.
    client, admin = (Federation(cast(Any, MemoryContract(ledger, organization, role))) for role in ("client", "admin"))
    return Party(organization, client, admin)
