"""The bridge against endorsements of real peers: what it takes, what it costs, and the attacks that can be made.

Tests with endorsements of the tests' own (`test_bridge_attacks.py`) cover what peers can't be brought to sign.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from anvil_chain import AnvilChain
from bridge_stage import DELAY_SECONDS, as_address
from eth_account import Account
from fabric_consortium import Consortium
from proposal_surgery import split_fields
from real_bridge import HOSPITALS, MAJORITY, RealBridge, channel_of, close_epoch, deploy, earn, play

from consilium_network.network import Network
from consilium_network.topology import Topology, packaged_topology
from consilium_peers.errors import GatewayError
from consilium_peers.ethereum.bridge.bridge_state import LedgerSide, bridge_state
from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.bridge.exporting import export_epoch
from consilium_peers.ethereum.bridge.gathering import gather_endorsements
from consilium_peers.ethereum.bridge.peer_identities import endorsing_peers
from consilium_peers.ethereum.bridge.public_bridge import PublicBridge
from consilium_peers.ethereum.endorsed_answer import BridgeArguments
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    EndorserRevocation,
    EpochVoiding,
    Pausing,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.rewards import ClosedEpoch, RewardEpochReference
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data, from_data, from_quantity
from consilium_proto.ethereum.transactions import IdentityTransaction, Question, ReceiptRecord
from consilium_proto.rewards.attestation import EPOCH_FUNCTION, MAGIC
from consilium_proto.rewards.payout_tree import payout_proof
from consilium_trail.roots import TrustedRoots

pytestmark = pytest.mark.network

MakeNetwork = Callable[[str, Topology], Awaitable[Network]]
ACCOUNTS = tuple(as_data(bytes([0xC0 + number]) * 20) for number in range(len(HOSPITALS)))
EPOCH_GAS = 160_000
CLAIM_GAS = 90_000
SIGNATURE_SIZE = 66
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PARTS = ("payload", "channel_header", "signature_header", "proposal_payload")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def real(make_network: MakeNetwork, chain: AnvilChain) -> AsyncIterator[RealBridge]:
    """A network of its own whose first epoch is closed, with a bridge in force that nothing was carried to."""
    network = await make_network("bridge", packaged_topology(4))
    try:
        await network.up(evm=True)
        await network.deploy_chaincode("liar", "lying_attester:LyingAttester", python_path=[Path(__file__).parent])
        await earn(network, ACCOUNTS)
        await close_epoch(network, 1)
        yield await RealBridge.set_up(network, chain)
    finally:
        await network.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def carried(real: RealBridge) -> Carried:
    """The first epoch, endorsed by the peers of all four hospitals."""
    return await real.export(1)


@pytest.fixture(scope="module")
def good(real: RealBridge, carried: Carried) -> BridgeArguments:
    """What the bridge would take."""
    arguments = real.arguments(carried.endorsed)
    assert real.refusal(arguments) == ""
    return arguments


# ---- who endorsed


def test_every_three_of_four_hospitals_peers_convince(real: RealBridge, carried: Carried) -> None:
    for absent in HOSPITALS.values():
        three = [name for name in HOSPITALS.values() if name != absent]
        assert real.refusal(real.arguments(carried.endorsed, three)) == ""


def test_too_few_endorsements(real: RealBridge, good: BridgeArguments) -> None:
    for endorsers in range(3):
        few = replace(good, signatures=good.signatures[: endorsers * SIGNATURE_SIZE])
        assert real.refusal(few) == "NotEnoughOrganizations"


def test_one_organisation_twice(real: RealBridge, good: BridgeArguments) -> None:
    twice = good.signatures[: 2 * SIGNATURE_SIZE] + good.signatures[:SIGNATURE_SIZE]
    assert real.refusal(replace(good, signatures=twice)) == "OrganizationTwice"


def test_peers_that_arent_registered(real: RealBridge, carried: Carried, good: BridgeArguments) -> None:
    """A bridge of other organisations: under the numbers of its endorsers, and under numbers that it doesn't know."""
    others = deploy(real.network, real.chain, Consortium(4).keys)
    assert real.refusal(good, others) == "OtherBridge"
    with pytest.raises(BridgeProofError, match="counts 0 of ClevelandMSP"):
        carried.endorsed.arguments(PublicBridge(real.chain.node, others.address).numbers(real.keys), 3)
    unknown = b"".join(
        (4 + number).to_bytes(2, "big") + good.signatures[at + 2 : at + SIGNATURE_SIZE]
        for number, at in enumerate(range(0, 3 * SIGNATURE_SIZE, SIGNATURE_SIZE))
    )
    assert real.refusal(replace(good, signatures=unknown)) == "EndorserNotActive"
    swapped = (3).to_bytes(2, "big") + good.signatures[2:]
    assert real.refusal(replace(good, signatures=swapped)) == "BadSignature"


def test_a_signature_with_high_s(real: RealBridge, good: BridgeArguments) -> None:
    s = int.from_bytes(good.signatures[34:66], "big")
    other_form = good.signatures[:34] + (P256_ORDER - s).to_bytes(32, "big") + good.signatures[66:]
    assert real.refusal(replace(good, signatures=other_form)) == "HighS"


async def test_too_few_hospitals_to_gather_from(real: RealBridge) -> None:
    """A regulator's peer runs no chaincode; the hospitals' endorsements are gathered all the same."""
    asked = [*HOSPITALS, "RegulatorMSP"]
    argument = encode(RewardEpochReference(epoch=1))
    async with channel_of(real.network) as channel:
        contract = channel.contract(EVM_CHAINCODE)
        found = await gather_endorsements(contract, EPOCH_FUNCTION, argument, asked, 4)
        assert list(found.organizations) == list(HOSPITALS)
        with pytest.raises(BridgeProofError, match=r"5 organisations must .* 4 did .*RegulatorMSP: "):
            await gather_endorsements(contract, EPOCH_FUNCTION, argument, asked, 5)


async def test_who_deploys_takes_only_peers_that_trusted_roots_vouch_for(real: RealBridge) -> None:
    stranger = TrustedRoots.parse(Consortium(1).peers[0].certificate_pem)
    async with channel_of(real.network) as channel:
        with pytest.raises(BridgeProofError, match="ClevelandMSP isn't its peer: no trusted root vouches"):
            await endorsing_peers(channel, list(HOSPITALS), stranger)


# ---- what was endorsed


@pytest.mark.parametrize("part", [*PARTS, "signatures"])
def test_a_flipped_byte(real: RealBridge, good: BridgeArguments, part: str) -> None:
    content = getattr(good, part)
    chance = random.Random(part)
    for at in chance.sample(range(len(content)), min(len(content), 40)):
        flipped = content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]
        assert real.refusal(replace(good, **{part: flipped})) != "", at


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("tail", [b"\0", b"\x0a\x00", b"\x7a\x01x"])
def test_trailing_bytes(real: RealBridge, good: BridgeArguments, part: str, tail: bytes) -> None:
    assert real.refusal(replace(good, **{part: getattr(good, part) + tail})) in ("BadEncoding", "BadProposal")


@pytest.mark.parametrize("part", PARTS)
def test_duplicate_fields(real: RealBridge, good: BridgeArguments, part: str) -> None:
    fields = split_fields(getattr(good, part))
    for at in range(len(fields)):
        doubled = b"".join([*fields[: at + 1], *fields[at:]])
        assert real.refusal(replace(good, **{part: doubled})) in ("BadEncoding", "BadProposal")


def test_a_bridge_of_another_channel_or_chaincode(real: RealBridge, good: BridgeArguments) -> None:
    elsewhere = deploy(real.network, real.chain, real.keys, channel="trial")
    assert real.refusal(good, elsewhere) == "BadChannel"
    of_another = deploy(real.network, real.chain, real.keys, chaincode="federation")
    assert real.refusal(good, of_another) == "BadChaincode"
    assert real.refusal(good, deploy(real.network, real.chain, real.keys)) == "OtherBridge"


async def test_another_chaincode_answers_the_same_bytes_to_the_same_function(
    real: RealBridge, carried: Carried
) -> None:
    answer = await real.endorsed(EPOCH_FUNCTION, carried.endorsed.answer, "liar")
    assert (answer.function, answer.answer) == (EPOCH_FUNCTION, carried.endorsed.answer)
    assert real.refusal(real.arguments(answer)) == "BadChaincode"


async def test_a_contract_in_the_evm_that_answers_an_attestation(real: RealBridge, carried: Carried) -> None:
    """Anybody may write a contract that returns any bytes. How it is answered, and what was asked, give it away."""
    attestation = carried.endorsed.answer
    contract = await create(real, returning(attestation))
    asked = Question(sender=contract, to=contract, data="0x", value="0x0", block_number=1)
    answer = await real.endorsed("Call", encode(asked))
    assert json.loads(answer.answer)["output"] == as_data(attestation)
    assert not answer.answer.startswith(MAGIC)
    with pytest.raises(BridgeProofError, match="Call didn't answer an attestation"):
        answer.arguments(real.public.numbers(real.keys), 3)
    assert real.refusal(real.arguments(answer)) == "BadFunction"
    # Peers endorse a transaction of it as well.
    executed = await real.endorsed("Execute", encode(await identity_transaction(real, contract, b"")))
    assert json.loads(executed.answer)["output"] == as_data(attestation)
    assert real.refusal(real.arguments(executed)) != ""


def returning(content: bytes) -> bytes:
    """Return code whose execution returns `content`: PUSH1 size, DUP1, PUSH1 11, PUSH1 0, CODECOPY, PUSH1 0, RETURN."""
    return b"\x60" + bytes([len(content)]) + bytes.fromhex("80600b6000396000f3") + content


async def identity_transaction(real: RealBridge, to: str | None, data: bytes) -> IdentityTransaction:
    async with channel_of(real.network) as channel:
        height = await channel.height()
    return IdentityTransaction(to=to, data=as_data(data), value="0x0", gas=hex(1_000_000), block_number=height)


async def create(real: RealBridge, code: bytes) -> str:
    """Create a contract with this code in the ledger's EVM; return its address."""
    creation = await identity_transaction(real, None, returning(code))
    async with channel_of(real.network) as channel:
        done = await channel.contract(EVM_CHAINCODE).submit("Execute", encode(creation))
    created = decode(ReceiptRecord, done.payload)
    assert created.contract is not None
    return created.contract


async def test_an_epoch_that_isnt_closed(real: RealBridge) -> None:
    with pytest.raises(GatewayError, match="NOT_FOUND"):
        await real.endorsed(EPOCH_FUNCTION, encode(RewardEpochReference(epoch=2)))
    # Peers endorse its closing, which is never ordered: that is no attestation.
    await play(real.network)
    closing = await real.endorsed("CloseEpoch", encode(RewardEpochReference(epoch=2)))
    assert json.loads(closing.answer)["epoch"] == 2
    assert real.refusal(real.arguments(closing)) != ""


async def test_an_attestation_for_another_chain(real: RealBridge, good: BridgeArguments) -> None:
    await real.name_bridge(chain_id=1)
    try:
        elsewhere = await real.export(1)
        assert real.refusal(real.arguments(elsewhere.endorsed)) == "OtherChain"
    finally:
        await real.name_bridge()
    assert real.refusal(real.arguments((await real.export(1)).endorsed)) == ""


# ---- files


def test_what_is_exported_is_read_again(real: RealBridge, carried: Carried, tmp_path: Path) -> None:
    carried.write(tmp_path / "epoch.json")
    assert Carried.read(tmp_path / "epoch.json") == carried


# ---- carrying over; from here on the bridge changes


async def test_an_epoch_is_carried_over_and_every_hospital_claims_once(
    real: RealBridge, carried: Carried, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = await real.export(1)
    epoch_gas = real.chain.transact(real.functions.submitEpoch(real.arguments(fresh.endorsed).as_tuple()))["gasUsed"]
    for again in (fresh, await real.export(1)):
        assert real.refusal(real.arguments(again.endorsed)) == "EpochAlreadyAccepted"
    assert isinstance(fresh.what, ClosedEpoch)
    payouts = fresh.payouts()
    calls = [
        (1, index, as_address(payout.account), payout.amount, payout_proof(payouts, index))
        for index, payout in enumerate(payouts)
    ]
    assert real.bridge.refusal(real.functions.claim(*calls[0])) == "OpenToChallenge"
    real.chain.pass_time(DELAY_SECONDS)
    wrong = (*calls[0][:3], payouts[0].amount + 1, calls[0][4])
    assert real.bridge.refusal(real.functions.claim(*wrong)) == "BadProof"
    claim_gas = [real.chain.transact(real.functions.claim(*call))["gasUsed"] for call in calls]
    assert {real.bridge.refusal(real.functions.claim(*call)) for call in calls} == {"AlreadyClaimed"}
    with capsys.disabled():
        print(f"\n  real peers: epoch with 3 of 4 endorsements {epoch_gas} gas, claims up to {max(claim_gas)} gas")
    assert (epoch_gas <= EPOCH_GAS, max(claim_gas) <= CLAIM_GAS) == (True, True)
    # Both ledgers say the same.
    async with channel_of(real.network) as channel:
        ledger = LedgerSide(channel.channel, tuple(real.keys), (fresh.what,), real.decisions)
    state = bridge_state(real.public, ledger)
    assert (state.doubts, state.epochs[0].state, state.supply) == ((), "paid", state.epochs[0].total)
    earned = {each.account: from_quantity(each.amount) for each in fresh.what.payouts}
    assert set(earned) == set(ACCOUNTS)
    assert {account: real.public.balance(from_data(account)) for account in ACCOUNTS} == earned


ROOT = as_data(bytes(32))


@pytest.mark.parametrize(
    "actions",
    [
        (Pausing(), Resumption()),
        (ThresholdChange(threshold=4), ThresholdChange(threshold=3)),
        (EpochVoiding(epoch=9, root=ROOT),),
    ],
    ids=["pause", "threshold", "void"],
)
async def test_hospitals_decide_about_their_bridge(real: RealBridge, actions: tuple[BridgeAction, ...]) -> None:
    for action in actions:
        decision = await real.decide(action)
        call = real.functions.carryOut(real.arguments(decision.endorsed, list(HOSPITALS.values())).as_tuple())
        real.chain.transact(call)
        assert real.bridge.refusal(call) == "DecisionOutOfTurn"


async def test_a_decision_by_command(real: RealBridge, tmp_path: Path) -> None:
    """From the draft to the bridge as hospitals type it; and what the program refuses to draft."""
    key = tmp_path / "payer.key"
    key.touch(mode=0o600)
    account = Account.create()
    key.write_text(account.key.hex())
    real.chain.request("anvil_setBalance", account.address, hex(10**18))
    client = ("--profile", str(real.network.profile("hungary", "client")))
    node = ("--rpc", real.chain.url)

    async def consilium(*words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consilium_command", "evm", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 60)
        return output.decode() if process.returncode == 0 else errors.decode()

    draft, carried = str(tmp_path / "pause.yaml"), str(tmp_path / "pause.json")
    said = await consilium("bridge", "decision", "draft", "resume", "--out", draft, *client, *node)
    assert said == "error: the bridge is not paused\n"
    await consilium("bridge", "decision", "draft", "pause", "--out", draft, *client, *node)
    for name in MAJORITY:
        await consilium("terms", "approve", draft, "--profile", str(real.network.profile(name, "admin")))
    assert "enacted decision" in await consilium("terms", "enact", draft, *client)
    real.decisions += 1
    number = str(real.decisions)
    exported = json.loads(await consilium("bridge", "decision", "export", number, "--out", carried, *client, "--json"))
    assert set(exported["endorsed_by"]) >= {"ClevelandMSP", "HungaryMSP", "LongBeachMSP"}
    done = await consilium("bridge", "decision", "carry-out", carried, *node, "--key-file", str(key), "--json")
    assert json.loads(done)["gas_used"] > 0
    status = json.loads(await consilium("bridge", "status", *client, *node, "--json"))
    assert (status["paused"], status["decisions_enacted"], status["doubts"]) == (True, real.decisions, [])
    resumption = await real.decide(Resumption())
    real.chain.transact(real.functions.carryOut(real.arguments(resumption.endorsed).as_tuple()))


async def test_a_revoked_peer_doesnt_count(real: RealBridge) -> None:
    await close_epoch(real.network, 2)
    second = await real.export(2)
    assert real.refusal(real.arguments(second.endorsed)) == ""
    decision = await real.decide(EndorserRevocation(identity=as_data(real.keys[0].identity_hash)))
    # Two of three would be a majority, but the threshold is three: all the others.
    real.chain.transact(real.functions.carryOut(real.arguments(decision.endorsed).as_tuple()))
    assert real.refusal(real.arguments(second.endorsed)) == "EndorserNotActive"
    others = [name for name in HOSPITALS.values() if name != "cleveland"]
    assert real.refusal(real.arguments(second.endorsed, others)) == ""
    numbers = real.public.numbers(real.keys)
    assert second.endorsed.arguments(numbers, 3).as_tuple()[:4] == real.arguments(second.endorsed).as_tuple()[:4]
    async with channel_of(real.network) as channel:
        state = bridge_state(real.public, LedgerSide(channel.channel, tuple(real.keys), (), real.decisions))
    assert state.doubts == ("the peers that endorse now for ClevelandMSP don't count",)


async def test_a_hospital_whose_peer_is_down_holds_nobody_up(real: RealBridge) -> None:
    """Nor one that is frozen: every organisation is asked by itself."""
    process = real.network.pid("peer.longbeach")
    os.kill(process, signal.SIGSTOP)
    try:
        async with channel_of(real.network) as channel:
            found = await export_epoch(channel, 2)
    finally:
        os.kill(process, signal.SIGCONT)
    assert found.endorsed.organizations == ("ClevelandMSP", "HungaryMSP", "SwitzerlandMSP")
