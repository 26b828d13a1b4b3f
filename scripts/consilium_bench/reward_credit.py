"""How long a transaction that credits twenty hospitals takes, beside one that writes one value.

Both go through the same chaincode on the same network, in turns, and are timed from the proposal to the commit. What is
credited is a round as the federation's `Advance` credits it; that Advance writes five small values more.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from consilium_bench import crediting_contract
from consilium_bench.parties import persistently
from consilium_network.network import Network
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.ethereum.resolutions import EvmTerms, ResolutionArgument, RewardLedgerTerms
from consilium_proto.ethereum.rewards import Contribution, RewardShare, RoundCredit
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, as_quantity

HOSPITALS = tuple(f"Hospital{number:02}MSP" for number in range(20))
REPETITIONS = 15
VALUE_BYTES = 300
POT = 10**20
_TERMS = EvmTerms(
    revision=1,
    chain_id=90_210,
    gas_cap=16_000_000,
    clock_tolerance=60,
    block_tolerance=100,
    rewards=RewardLedgerTerms(
        token_name="Bench Reward", token_symbol="BENCH", round_cap=as_quantity(POT), epoch_cap=as_quantity(POT * 1000)
    ),
)

Say = Callable[[str], None]


async def measure(network: Network, say: Say) -> dict[str, Any]:
    """Deploy the bench's chaincode on a running network and return the medians of both transactions' seconds.

    Raises:
        NetworkError: the chaincode can't be deployed.
        GatewayError: a transaction is refused.
    """
    say("reward_credit: chaincode evm, twenty hospitals' addresses")
    await network.deploy_chaincode(EVM_CHAINCODE, f"{crediting_contract.__name__}:CreditingEthereum")
    await _found(network)
    name = network.topology.hospitals[0].name
    async with Gateway.connect(Profile.load(network.profile(name))) as gateway:
        contract = gateway.network().contract(EVM_CHAINCODE)
        for number, hospital in enumerate(HOSPITALS, start=1):
            share = RewardShare(hospital=hospital, account=as_data(bytes([number]) * 20), amount="0x0")
            await persistently(partial(contract.submit, "NameAddress", canonical.encode(share)))
        plain, credited = await _timed(contract)
    say(f"reward_credit: {credited:.3f} s beside {plain:.3f} s")
    return {
        "plain_seconds": plain,
        "credit_seconds": credited,
        "hospitals": len(HOSPITALS),
        "repetitions": REPETITIONS,
    }


async def _found(network: Network) -> None:
    argument = canonical.encode(ResolutionArgument(resolution=_TERMS))
    hospitals = [hospital.name for hospital in network.topology.hospitals]
    for function, names in (("Approve", hospitals), ("Enact", hospitals[:1])):
        for name in names:
            async with Gateway.connect(Profile.load(network.profile(name, "admin"))) as gateway:
                contract = gateway.network().contract(EVM_CHAINCODE)
                await persistently(partial(contract.submit, function, argument))


async def _timed(contract: Contract) -> tuple[float, float]:
    """Return the medians of a plain write and of a credit; the first of each warms up and doesn't count."""
    plain, credited = [], []
    for number in range(1, REPETITIONS + 2):
        began = time.perf_counter()
        await contract.submit("WritePlainly", f"plain-{number}".encode(), os.urandom(VALUE_BYTES))
        between = time.perf_counter()
        await contract.submit("CreditRound", canonical.encode(_credit(number)))
        plain.append(between - began)
        credited.append(time.perf_counter() - between)
    return statistics.median(plain[1:]), statistics.median(credited[1:])


def _credit(number: int) -> RoundCredit:
    contributions = tuple(
        Contribution(hospital=hospital, weight=100 + place) for place, hospital in enumerate(HOSPITALS)
    )
    return RoundCredit(
        study="bench", round=number, pot=as_quantity(POT), weight_cap=10_000, contributions=contributions
    )
