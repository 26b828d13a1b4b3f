"""The EVM on the real network: it comes up with it or later, and hospitals decide about its terms by command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consilium_network.bring_up import wait_until_level
from consilium_network.errors import EvmTermsError
from consilium_network.evm import packaged_terms
from consilium_network.network import Network
from consilium_network.topology import Topology, packaged_topology
from consilium_peers.errors import CommitError, GatewayError
from consilium_peers.ethereum.resolutions import Resolutions
from consilium_peers.gateway import Contract, Gateway
from consilium_peers.profile import Profile
from consilium_proto.canonical import decode, digest, encode
from consilium_proto.ethereum.resolutions import EvmTerms, ResolutionArgument
from consilium_proto.ethereum.rewards import RewardLedgerView
from consilium_proto.refusals import RefusalCode

pytestmark = pytest.mark.network

MakeNetwork = Callable[[str, Topology], Awaitable[Network]]


@asynccontextmanager
async def chaincode(
    network: Network, name: str = "evm", organization: str = "cleveland", user: str = "client"
) -> AsyncIterator[Contract]:
    await wait_until_level(network.topology, network.folder)
    async with Gateway.connect(Profile.load(network.profile(organization, user))) as gateway:
        yield gateway.network().contract(name)


async def terms_of(network: Network, organization: str = "cleveland", user: str = "client") -> EvmTerms:
    async with chaincode(network, "evm", organization, user) as contract:
        return await Resolutions(contract).terms()


async def reward_ledger_of(network: Network) -> RewardLedgerView:
    async with chaincode(network) as contract:
        return decode(RewardLedgerView, await contract.evaluate("ReadRewardLedger", b""))


async def command(network: Network, organization: str, user: str, *words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consilium_command", "evm", "terms", *words),
        *("--profile", str(network.profile(organization, user))),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode(), errors.decode()


async def succeed(network: Network, organization: str, user: str, *words: str) -> str:
    code, output, errors = await command(network, organization, user, *words)
    assert (code, errors) == (0, "")
    return output


def following(terms: EvmTerms, **changes: Any) -> EvmTerms:
    return msgspec.structs.replace(terms, revision=terms.revision + 1, **changes)


def written(terms: EvmTerms, folder: Path) -> Path:
    """Write terms as an administrator would: rewards in tokens."""
    fields = msgspec.to_builtins(terms)
    fields.pop("type")
    caps = {name: str(int(fields["rewards"][name], 16) // 10**18) for name in ("round_cap", "epoch_cap")}
    fields["rewards"].update(caps)
    path = folder / "terms.yaml"
    path.write_bytes(msgspec.yaml.encode(fields))
    return path


async def test_every_hospital_runs_the_evm_and_everyone_reads_its_terms(network: Network) -> None:
    names = {each.name for each in await network.status() if each.listening}
    assert {f"evm.{each.name}" for each in network.topology.hospitals} <= names
    found = [
        await terms_of(network, *who)
        for who in (("cleveland", "client"), ("regulator", "auditor"), ("aggregator", "client"))
    ]
    assert found[0] == found[1] == found[2]
    assert (found[0].chain_id, found[0].rewards) == (packaged_terms().chain_id, packaged_terms().rewards)
    view = await reward_ledger_of(network)
    assert found[0].rewards is not None
    assert (view.token_name, view.epoch_cap) == (found[0].rewards.token_name, found[0].rewards.epoch_cap)


async def test_hospitals_change_the_terms_by_command(network: Network, tmp_path: Path) -> None:
    before, ledger = await terms_of(network), await reward_ledger_of(network)
    after = following(before, clock_tolerance=before.clock_tolerance + 1)
    file = str(written(after, tmp_path))
    assert "2 more approvals are needed" in await succeed(network, "cleveland", "admin", "approve", file)
    code, _, errors = await command(network, "cleveland", "client", "enact", file)
    assert (code, "NOT_YET" in errors) == (1, True)

    # The others needn't have the file: they see what it says on the ledger, and name it by its digest.
    shown = json.loads(await succeed(network, "hungary", "client", "show", "--json"))
    (waiting,) = [each for each in shown["pending"] if each["digest"] == digest(after)]
    assert waiting["resolution"]["clock_tolerance"] == after.clock_tolerance
    assert waiting["waiting_for"] == ["HungaryMSP", "LongBeachMSP", "SwitzerlandMSP"]
    assert "1 more approvals" in await succeed(network, "hungary", "admin", "approve", digest(after))
    assert "majority" in await succeed(network, "switzerland", "admin", "approve", digest(after))

    assert f"enacted EVM terms, revision {after.revision}" in await succeed(
        network, "hungary", "client", "enact", digest(after)
    )
    assert await terms_of(network, "regulator", "auditor") == after
    assert await reward_ledger_of(network) == ledger
    assert f"revision {after.revision}, in force" in await succeed(network, "regulator", "auditor", "show")


async def test_clients_and_outsiders_approve_nothing(network: Network, tmp_path: Path) -> None:
    file = str(written(following(await terms_of(network), gas_cap=30_000), tmp_path))
    for organization, user in (("cleveland", "client"), ("regulator", "admin"), ("aggregator", "admin")):
        code, _, errors = await command(network, organization, user, "approve", file)
        assert (code, "FORBIDDEN" in errors) == (1, True), errors
    code, _, errors = await command(network, "cleveland", "admin", "approve", "0" * 64)
    assert (code, "nothing that is pending" in errors, errors.count("\n")) == (1, True, 1)


async def test_one_hospitals_endorsement_writes_nothing(network: Network) -> None:
    """The channel's endorsement policy holds for chaincode `evm` as for the federation's."""
    terms = following(await terms_of(network), gas_cap=40_000)
    argument = encode(ResolutionArgument(resolution=terms))
    async with chaincode(network, user="admin") as contract:
        with pytest.raises(CommitError, match="ENDORSEMENT_POLICY_FAILURE"):
            await contract.submit("Approve", argument, endorsing_organizations=["ClevelandMSP"])
        view = await Resolutions(contract).read()
    assert terms not in [each.resolution for each in view.pending]


async def test_no_other_chaincode_approves_in_an_admins_name(network: Network, probe: str) -> None:
    """An admin who calls any other chaincode signs nothing about the EVM."""
    argument = encode(ResolutionArgument(resolution=following(await terms_of(network), gas_cap=50_000)))
    async with chaincode(network, probe, user="admin") as contract:
        with pytest.raises(GatewayError, match="FORBIDDEN") as raised:
            await contract.submit("Call", b"evm", b"Approve", argument)
    assert raised.value.refusal is RefusalCode.FORBIDDEN


class Interrupted(Exception):
    """What a progress report raises in the place of Ctrl-C."""


def interrupting(step: str) -> Callable[[str], None]:
    def progress(said: str) -> None:
        if step in said:
            raise Interrupted(said)

    return progress


async def test_an_evm_is_added_to_a_network_and_stays(make_network: MakeNetwork) -> None:
    made = await make_network("added-evm", packaged_topology(3))
    other = following(packaged_terms(), gas_cap=60_000)
    try:
        # Made without, then interrupted when the chaincode was there and the terms weren't.
        await made.up()
        with pytest.raises(GatewayError):
            await terms_of(made)
        with pytest.raises(Interrupted):
            await made.up(interrupting("terms into force"), evm=True)
        assert made.is_running, "a network that ran before goes on without the EVM"
        await made.up(evm=True)
        assert await terms_of(made) == packaged_terms()

        # Whoever starts it again, with or without the option, finds the EVM as it was.
        ledger = await reward_ledger_of(made)
        await made.stop()
        with pytest.raises(EvmTermsError, match="other first terms"):
            await Network(made.folder.root).up(evm=True, evm_terms=other)
        await Network(made.folder.root).up(evm=True, evm_terms=packaged_terms())
        assert (await terms_of(made), await reward_ledger_of(made)) == (packaged_terms(), ledger)
        await made.stop()
        await made.start()
        assert (await terms_of(made), await reward_ledger_of(made)) == (packaged_terms(), ledger)
    finally:
        await made.stop()
