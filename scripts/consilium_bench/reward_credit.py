"""How long a transaction that credits twenty hospitals takes, beside one that writes one value.

Both are the federation's, on the same network, in turns, timed from the proposal to the commit. The first calls
chaincode `evm` as the `Advance` does that ends a round of twenty hospitals; every hospital has an address, so the
contract writes two slots for each.
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
from consilium_network.evm import enact_first_terms
from consilium_network.network import Network
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.profile import Profile
from consilium_proto import canonical
from consilium_proto.ethereum.resolutions import EvmTerms, RewardLedgerTerms
from consilium_proto.ethereum.rewards import Contribution, PayoutAddressRecord, RoundCredit
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, as_quantity

HOSPITALS = tuple(f"Hospital{number:02}MSP" for number in range(20))
REPETITIONS = 15
VALUE_BYTES = 300
POT = 10**20
TERMS = EvmTerms(
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
        NetworkError: a chaincode can't be deployed, or the EVM's terms can't be put into force.
        GatewayError: a transaction is refused.
    """
    say("reward_credit: the bench's chaincodes, twenty hospitals' addresses")
    source = crediting_contract.__name__
    await network.deploy_chaincode(EVM_CHAINCODE, f"{source}:NamingEthereum")
    await network.deploy_chaincode("federation", f"{source}:CreditingFederation")
    await enact_first_terms(network.topology, network.folder, TERMS)
    name = network.topology.hospitals[0].name
    async with Gateway.connect(Profile.load(network.profile(name))) as gateway:
        await name_addresses(gateway.network().contract(EVM_CHAINCODE))
        plain, credited = await timed(gateway.network().contract("federation"))
    say(f"reward_credit: {credited:.3f} s beside {plain:.3f} s")
    return {
        "plain_seconds": plain,
        "credit_seconds": credited,
        "hospitals": len(HOSPITALS),
        "repetitions": REPETITIONS,
    }


async def name_addresses(contract: Contract) -> None:
    """Name an address for each of the twenty hospitals."""
    for number, hospital in enumerate(HOSPITALS, start=1):
        account = as_data(bytes([number]) * 20)
        named = PayoutAddressRecord(hospital=hospital, account=account, assigned="0x0", epoch=1, named_at=0)
        await persistently(partial(contract.submit, "NameAddress", canonical.encode(named)))


async def timed(contract: Contract) -> tuple[float, float]:
    """Return the medians of a plain write and of a credit; the first of each warms up and doesn't count."""
    plain, credited = [], []
    for number in range(1, REPETITIONS + 2):
        began = time.perf_counter()
        await contract.submit("WritePlainly", f"plain-{number}".encode(), os.urandom(VALUE_BYTES))
        between = time.perf_counter()
        await contract.submit("Credit", canonical.encode(credit_of(number)))
        plain.append(between - began)
        credited.append(time.perf_counter() - between)
    return statistics.median(plain[1:]), statistics.median(credited[1:])


def credit_of(number: int) -> RoundCredit:
    """Return what a round of twenty hospitals is credited."""
    contributions = tuple(
        Contribution(hospital=hospital, weight=100 + place) for place, hospital in enumerate(HOSPITALS)
    )
    return RoundCredit(
        study="bench", round=number, pot=as_quantity(POT), weight_cap=10_000, contributions=contributions
    )
