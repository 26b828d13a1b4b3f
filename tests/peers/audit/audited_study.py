"""A study of two rounds on the real network, played as honest hospitals and an aggregator would."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from poisoned_argument import poison

from consilium_bench import ledger_round
from consilium_bench.ledger_round import timed_round
from consilium_bench.parties import Party, begin_study
from consilium_network.network import Network
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile

ROUNDS = 2


@dataclass(frozen=True)
class AuditedStudy:
    """A study whose rounds are final, and the network that it ran on."""

    network: Network
    name: str

    def profile(self, organization: str, user: str) -> Profile:
        return Profile.load(self.network.profile(organization, user))


async def play_study(network: Network) -> AuditedStudy:
    """Run the study to its end."""
    async with AsyncExitStack() as stack:
        hospitals = [await _party(stack, network, each.name) for each in network.topology.hospitals]
        parties = hospitals, await _party(stack, network, network.topology.aggregators[0].name)
        chosen = ledger_round.SET
        study = await begin_study(network.topology.channel, parties, chosen, chosen.values_per_chunk, ROUNDS)
        await timed_round(study, 1, lambda _: None)
        # Every question, export and verification from here on meets it.
        poisoned = await poison(Profile.load(network.profile(network.topology.aggregators[0].name)))
        assert not poisoned.valid
        await timed_round(study, 2, lambda _: None)
    return AuditedStudy(network, study.name)


async def _party(stack: AsyncExitStack, network: Network, name: str) -> Party:
    client = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name))))
    admin = await stack.enter_async_context(Gateway.connect(Profile.load(network.profile(name, "admin"))))
    return Party(
        client.profile.organization, Federation(client.network().contract()), Federation(admin.network().contract())
    )
