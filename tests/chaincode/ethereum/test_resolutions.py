"""What hospitals resolve about the EVM and the bridge: who decides, what can follow what, what enacting does."""

from __future__ import annotations

import contextlib
import dataclasses

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from federation_ledger import CONFLICT, VALID
from federation_world import ALPHA, BETA, DELTA, GAMMA, HOSPITALS, REGULATOR, consortium
from hypothesis import given
from hypothesis import strategies as st
from resolution_world import (
    CHAIN_ID,
    OTHER_ADDRESS,
    REWARDS,
    ResolvingLedger,
    addition,
    argument,
    bridge,
    certificate,
    decision,
    terms,
)

from consilium_chaincode.ethereum import resolutions as rules
from consilium_chaincode.ethereum.addresses import FEDERATION_ADDRESS
from consilium_chaincode.ethereum.bridge_decisions import identity_hash, registration
from consilium_chaincode.ethereum.reward_contract import Function
from consilium_chaincode.federation.bounds import majority
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_proto.canonical import digest
from consilium_proto.contracts import REWARD_LEDGER, load_artifact
from consilium_proto.ethereum.resolutions import (
    BridgeDecision,
    BridgeTerms,
    EndorserRevocation,
    EpochVoiding,
    EvmTerms,
    Pausing,
    Resolution,
    Resumption,
    RewardLedgerTerms,
    ThresholdChange,
)
from consilium_proto.ethereum.rewards import RewardLedgerView
from consilium_proto.ethereum.scalars import as_data, from_data, from_quantity
from consilium_proto.ethereum.transactions import AccountReference, CodeView
from consilium_proto.refusals import RefusalCode

SOMEBODY = as_data(bytes(range(32)))


@pytest.fixture
def channel() -> ResolvingLedger:
    return ResolvingLedger()


@pytest.fixture
def bridged(channel: ResolvingLedger) -> ResolvingLedger:
    """A channel with terms and a bridge in force."""
    channel.resolve(terms(), bridge())
    return channel


# ---- who decides


def test_terms_come_into_force_once_a_majority_approved_them(channel: ResolvingLedger) -> None:
    for count, hospital in enumerate(HOSPITALS[:3], start=1):
        channel.refuse_evm(RefusalCode.NOT_YET, "Enact", argument(terms()), match=f"{count - 1} of 3")
        channel.refuse_evm(RefusalCode.NOT_FOUND, "ReadTerms", b"")
        channel.approve(terms(), hospital)
    channel.enact(terms(), GAMMA)
    assert channel.read_evm(EvmTerms, "ReadTerms") == terms()


def test_only_admins_of_hospitals_approve(channel: ResolvingLedger) -> None:
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Approve", argument(terms()), ALPHA, "client", match="role admin")
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Approve", argument(terms()), ALPHA, "peer")
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Approve", argument(terms()), REGULATOR, "admin", match="not a hospital")


def test_only_hospitals_enact(channel: ResolvingLedger) -> None:
    for hospital in HOSPITALS:
        channel.approve(terms(), hospital)
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Enact", argument(terms()), REGULATOR, "admin")
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Enact", argument(terms()), ALPHA, "peer")


def test_an_approval_counts_once_and_for_what_it_says(channel: ResolvingLedger) -> None:
    channel.approve(terms(), ALPHA)
    channel.refuse_evm(RefusalCode.ALREADY_WRITTEN, "Approve", argument(terms()), ALPHA, "admin")
    cheaper = terms(gas_cap=1_000_000)
    for hospital in (ALPHA, BETA):
        channel.approve(cheaper, hospital)
    # Three hospitals' approvals, but only two of either.
    channel.approve(terms(), DELTA)
    for each in (terms(), cheaper):
        channel.refuse_evm(RefusalCode.NOT_YET, "Enact", argument(each), match="2 of 3")


def test_a_hospital_that_left_has_no_voice(channel: ResolvingLedger) -> None:
    for hospital in (BETA, DELTA, GAMMA):
        channel.approve(terms(), hospital)
    smaller = consortium(revision=2, hospitals=(ALPHA, BETA, DELTA))
    for hospital in (ALPHA, BETA, DELTA):
        channel.submit("ApproveConsortium", smaller, hospital, "admin")
    channel.submit("EnactConsortium", smaller, ALPHA, "admin")
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Approve", argument(terms(gas_cap=30_000)), GAMMA, "admin")
    channel.refuse_evm(RefusalCode.FORBIDDEN, "Enact", argument(terms()), GAMMA)
    # Two of three are a majority; with Gamma's voice they would have been three.
    channel.enact(terms(), ALPHA)
    assert channel.read_evm(EvmTerms, "ReadTerms") == terms()


def test_without_a_consortium_nobody_decides() -> None:
    channel = ResolvingLedger.__new__(ResolvingLedger)
    super(ResolvingLedger, channel).__init__()
    channel.refuse_evm(RefusalCode.NOT_FOUND, "Approve", argument(terms()), ALPHA, "admin", match="consortium")


@pytest.mark.parametrize("function", ["Approve", "Enact"])
def test_another_time_than_the_endorsers_is_refused(channel: ResolvingLedger, function: str) -> None:
    for skew in (-60_001, 60_001):
        channel.refuse_evm(RefusalCode.CLOCK_SKEW, function, argument(terms()), BETA, "admin", skew)


def test_hospitals_approve_in_one_block_and_one_enacts(channel: ResolvingLedger) -> None:
    approvals = [channel.ask_evm("Approve", argument(terms()), each, "admin") for each in HOSPITALS]
    assert channel.commit(*[each for each in approvals if isinstance(each, Simulation)]) == [VALID] * 4
    late = terms(gas_cap=30_000)
    both = [channel.ask_evm("Enact", argument(terms()), each) for each in (ALPHA, BETA)]
    approval = channel.ask_evm("Approve", argument(late), ALPHA, "admin")
    outcomes = [each for each in (*both, approval) if isinstance(each, Simulation)]
    # Whatever looked at the terms before they changed is invalid.
    assert channel.commit(*outcomes) == [VALID, CONFLICT, CONFLICT]


# ---- the terms of the EVM


def test_terms_follow_each_other(channel: ResolvingLedger) -> None:
    channel.refuse_evm(
        RefusalCode.CONFLICTING, "Approve", argument(terms(revision=2)), ALPHA, "admin", match="next is 1"
    )
    second = terms(revision=2, gas_cap=5_000_000)
    channel.resolve(terms(), second)
    assert channel.read_evm(EvmTerms, "ReadTerms") == second
    for function in ("Approve", "Enact"):
        for stale in (terms(), second, terms(revision=4)):
            channel.refuse_evm(RefusalCode.CONFLICTING, function, argument(stale), GAMMA, "admin", match="next is 3")


@pytest.mark.parametrize("function", ["Approve", "Enact"])
def test_the_chains_id_stays(channel: ResolvingLedger, function: str) -> None:
    channel.resolve(terms())
    other = argument(terms(revision=2, chain_id=CHAIN_ID + 1))
    channel.refuse_evm(RefusalCode.CONFLICTING, function, other, ALPHA, "admin", match=str(CHAIN_ID))


@pytest.mark.parametrize("changed", [None, {"round_cap": "0x1"}, {"epoch_cap": "0xffffffffffffffffff"}])
@pytest.mark.parametrize("function", ["Approve", "Enact"])
def test_rewards_stay_once_there_are_any(
    channel: ResolvingLedger, function: str, changed: dict[str, str] | None
) -> None:
    channel.resolve(terms())
    rewards = None if changed is None else _rewards(**changed)
    other = argument(terms(revision=2, rewards=rewards))
    channel.refuse_evm(RefusalCode.CONFLICTING, function, other, ALPHA, "admin", match="rewards")


@pytest.mark.parametrize(("round_cap", "epoch_cap"), [("0x0", "0x1"), ("0x2", "0x1"), ("0x0", "0x0")])
def test_caps_that_no_contract_takes_are_refused(channel: ResolvingLedger, round_cap: str, epoch_cap: str) -> None:
    impossible = argument(terms(rewards=_rewards(round_cap=round_cap, epoch_cap=epoch_cap)))
    channel.refuse_evm(RefusalCode.MALFORMED, "Approve", impossible, ALPHA, "admin", match="cap")


async def test_enacting_rewards_creates_their_contract(channel: ResolvingLedger) -> None:
    channel.resolve(terms())
    view = channel.read_evm(RewardLedgerView, "ReadRewardLedger")
    assert (view.token_name, view.token_symbol) == (REWARDS.token_name, REWARDS.token_symbol)
    assert channel.view(Function("name", (), ("string",))) == REWARDS.token_name
    assert channel.view(Function("symbol", (), ("string",))) == REWARDS.token_symbol
    assert channel.view(Function("roundCap", (), ("uint96",))) == from_quantity(REWARDS.round_cap)
    assert channel.view(Function("epochCap", (), ("uint96",))) == from_quantity(REWARDS.epoch_cap)
    assert from_data(channel.view(Function("federation", (), ("address",)))) == FEDERATION_ADDRESS
    code = from_data(channel.read_evm(CodeView, "ReadCode", AccountReference(address=view.contract)).code)
    runtime = load_artifact(REWARD_LEDGER).runtime_code
    # The immutable values, zeros in the artifact, are all that differs.
    assert len(code) == len(runtime)
    assert all(ours == artifact or artifact == 0 for ours, artifact in zip(code, runtime, strict=True))


def test_rewards_may_come_later_and_keep_their_contract(channel: ResolvingLedger) -> None:
    channel.resolve(terms(rewards=None))
    channel.refuse_evm(RefusalCode.NOT_FOUND, "ReadRewardLedger", b"")
    channel.resolve(terms(revision=2))
    contract = channel.read_evm(RewardLedgerView, "ReadRewardLedger").contract
    channel.resolve(terms(revision=3, gas_cap=21_000))
    assert channel.read_evm(RewardLedgerView, "ReadRewardLedger").contract == contract


# ---- the bridge


def test_a_bridge_is_named_and_replaced(bridged: ResolvingLedger) -> None:
    assert bridged.resolutions().bridge == bridge()
    for unchanged in (bridge(revision=2), bridge(revision=3, address=OTHER_ADDRESS)):
        bridged.refuse_evm(RefusalCode.CONFLICTING, "Approve", argument(unchanged), ALPHA, "admin")
    second = bridge(revision=2, address=OTHER_ADDRESS)
    bridged.resolve(second)
    assert bridged.resolutions().bridge == second


def test_a_bridge_has_an_address(channel: ResolvingLedger) -> None:
    nowhere = argument(bridge(address=as_data(bytes(20))))
    channel.refuse_evm(RefusalCode.MALFORMED, "Approve", nowhere, ALPHA, "admin", match="address zero")


def test_without_a_bridge_there_is_nothing_to_decide(channel: ResolvingLedger) -> None:
    channel.refuse_evm(RefusalCode.NOT_FOUND, "Approve", argument(decision(Pausing())), ALPHA, "admin", match="bridge")


def test_decisions_come_in_order(bridged: ResolvingLedger) -> None:
    for number in (2, 3):
        skipping = argument(decision(Pausing(), number))
        bridged.refuse_evm(RefusalCode.CONFLICTING, "Approve", skipping, ALPHA, "admin", match="next is 1")
    first, second = decision(Pausing()), decision(Resumption(), 2)
    bridged.resolve(first, second)
    assert bridged.resolutions().decisions == (first, second)
    bridged.refuse_evm(RefusalCode.CONFLICTING, "Enact", argument(first), match="next is 3")


def test_many_decisions_keep_their_order(bridged: ResolvingLedger) -> None:
    """Keys are sorted as texts, in which 10 comes before 2."""
    made = [decision(EpochVoiding(epoch=1, root=as_data(bytes([each]) * 32)), each) for each in range(1, 13)]
    bridged.resolve(*made)
    assert bridged.resolutions().decisions == tuple(made)


def test_another_bridge_begins_anew(bridged: ResolvingLedger) -> None:
    """What was decided, or approved, for one bridge says nothing about its successor."""
    bridged.resolve(decision(ThresholdChange(threshold=2)))
    pending = decision(Pausing(), 2)
    for hospital in HOSPITALS:
        bridged.approve(pending, hospital)
    bridged.resolve(bridge(revision=2, address=OTHER_ADDRESS))
    assert bridged.resolutions().decisions == bridged.resolutions().pending == ()
    bridged.refuse_evm(RefusalCode.CONFLICTING, "Enact", argument(pending), match="revision 2")
    anew = decision(Pausing(), 1, bridge=2)
    bridged.refuse_evm(RefusalCode.NOT_YET, "Enact", argument(anew), match="0 of 3")
    bridged.resolve(anew)
    assert bridged.resolutions().decisions == (anew,)


@pytest.mark.parametrize(
    ("pem", "match"),
    [
        (b"not a certificate", "read as PEM"),
        (certificate(ec.generate_private_key(ec.SECP384R1())), "P-256"),
        (certificate(ec.generate_private_key(ec.SECP256K1())), "P-256"),
        (certificate(rsa.generate_private_key(65_537, 2048)), "P-256"),
        (b"Certificate of a peer\n" + certificate(), "one PEM block"),
        (certificate() + certificate(), "one PEM block"),
        (certificate().replace(b"\n", b"\r\n"), "one PEM block"),
    ],
    ids=["garbage", "p384", "secp256k1", "rsa", "text before", "two", "line ends"],
)
def test_a_certificate_that_the_bridge_cant_use_is_refused(bridged: ResolvingLedger, pem: bytes, match: str) -> None:
    unusable = argument(decision(addition(pem)))
    bridged.refuse_evm(RefusalCode.MALFORMED, "Approve", unusable, ALPHA, "admin", match=match)


def test_an_endorser_is_told_by_the_key_in_its_certificate() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    told = registration(addition(certificate(key)))
    numbers = key.public_key().public_numbers()
    assert (told.qx, told.qy, told.msp_id) == (numbers.x, numbers.y, ALPHA)


def test_an_endorser_is_a_hospitals_and_is_added_once(bridged: ResolvingLedger) -> None:
    stranger = argument(decision(addition(msp_id=REGULATOR)))
    bridged.refuse_evm(RefusalCode.UNSAFE_TERMS, "Approve", stranger, ALPHA, "admin", match=REGULATOR)
    added = addition()
    revoked = EndorserRevocation(identity=identity_hash(added))
    bridged.resolve(decision(added), decision(revoked, 2))
    for again, match in ((added, "added already"), (revoked, "revoked already")):
        repeated = argument(decision(again, 3))
        bridged.refuse_evm(RefusalCode.UNSAFE_TERMS, "Approve", repeated, ALPHA, "admin", match=match)
    # The same certificate under another hospital's name is another identity.
    bridged.resolve(decision(addition(from_data(added.certificate), BETA), 3))


def test_a_threshold_can_be_met(bridged: ResolvingLedger) -> None:
    impossible = argument(decision(ThresholdChange(threshold=5)))
    bridged.refuse_evm(RefusalCode.UNSAFE_TERMS, "Approve", impossible, ALPHA, "admin", match="4 hospitals")
    bridged.resolve(decision(ThresholdChange(threshold=4)))


def test_pauses_begin_and_end(bridged: ResolvingLedger) -> None:
    """The bridge reverts on a pause in a pause, which would block every later decision."""
    unpaused = argument(decision(Resumption()))
    bridged.refuse_evm(RefusalCode.UNSAFE_TERMS, "Approve", unpaused, ALPHA, "admin", match="not paused")
    bridged.resolve(decision(Pausing()), decision(ThresholdChange(threshold=3), 2))
    again = argument(decision(Pausing(), 3))
    bridged.refuse_evm(RefusalCode.UNSAFE_TERMS, "Approve", again, ALPHA, "admin", match="paused already")
    bridged.resolve(decision(Resumption(), 3), decision(Pausing(), 4))


# ---- what hospitals see


def test_pending_resolutions_name_who_approved(channel: ResolvingLedger) -> None:
    channel.resolve(terms())
    following, rival = terms(revision=2, gas_cap=50_000), terms(revision=2, gas_cap=60_000)
    for hospital in (GAMMA, ALPHA):
        channel.approve(following, hospital)
    channel.approve(rival, BETA)
    channel.approve(bridge(), DELTA)
    view = channel.resolutions()
    assert (view.terms, view.bridge, view.decisions) == (terms(), None, ())
    found = {digest(each.resolution): each.approved_by for each in view.pending}
    assert found == {
        digest(following): (ALPHA, GAMMA),
        digest(rival): (BETA,),
        digest(bridge()): (DELTA,),
    }
    channel.approve(following, BETA)
    channel.enact(following)
    # What can't be enacted any more isn't pending.
    assert [each.resolution for each in channel.resolutions().pending] == [bridge()]


# ---- any course of things

_REWARDS = st.one_of(
    st.none(), st.just(REWARDS), st.builds(lambda cap: _rewards(round_cap=hex(cap)), st.integers(0, 9))
)
_TERMS = st.builds(
    lambda revision, chain, rewards: terms(revision=revision, chain_id=chain, rewards=rewards),
    *(st.integers(1, 4), st.sampled_from([1, 2]), _REWARDS),
)
_BRIDGES = st.builds(
    lambda revision, number: bridge(revision=revision, address=as_data(bytes([number]) * 20)),
    *(st.integers(1, 4), st.integers(0, 2)),
)
_ACTIONS = st.one_of(
    st.just(Pausing()),
    st.just(Resumption()),
    st.just(EndorserRevocation(identity=SOMEBODY)),
    st.builds(lambda number: ThresholdChange(threshold=number), st.integers(1, 6)),
)
_DECISIONS = st.builds(decision, _ACTIONS, st.integers(1, 4), st.integers(1, 3))


@given(st.lists(st.one_of(_TERMS, _BRIDGES, _DECISIONS), max_size=30))
def test_whatever_is_proposed_what_stands_is_never_unsaid(proposals: list[Resolution]) -> None:
    standing = rules.Standing(HOSPITALS)
    for proposed in proposals:
        try:
            rules.check_successor(standing, proposed)
        except Refused:
            continue
        standing = _after(standing, proposed)


@given(st.sets(st.sampled_from([*HOSPITALS, REGULATOR, "SumMSP"])))
def test_a_majority_of_the_hospitals_decides_and_nobody_else(approved_by: set[str]) -> None:
    standing = rules.Standing(HOSPITALS)
    enough = len(approved_by & set(HOSPITALS)) >= majority(len(HOSPITALS))
    with contextlib.nullcontext() if enough else pytest.raises(Refused, match="NOT_YET"):
        rules.check_approvals(standing, terms(), approved_by)


def _after(standing: rules.Standing, accepted: Resolution) -> rules.Standing:
    """Return what stands after a resolution that the rules let pass, and check what must never change."""
    before = standing.terms
    if isinstance(accepted, EvmTerms):
        assert accepted.revision == (before.revision if before else 0) + 1
        assert before is None or accepted.chain_id == before.chain_id
        assert before is None or before.rewards in (None, accepted.rewards)
        created = rules.rewards_to_create(standing, accepted)
        assert created == (None if before is not None and before.rewards else accepted.rewards)
        return dataclasses.replace(standing, terms=accepted)
    if isinstance(accepted, BridgeTerms):
        assert accepted.revision == (standing.bridge.revision if standing.bridge else 0) + 1
        return dataclasses.replace(standing, bridge=accepted, decisions=())
    assert standing.bridge is not None
    assert isinstance(accepted, BridgeDecision)
    assert (accepted.bridge, accepted.number) == (standing.bridge.revision, len(standing.decisions) + 1)
    pauses = [each.action for each in standing.decisions if isinstance(each.action, Pausing | Resumption)]
    if isinstance(accepted.action, Pausing | Resumption):
        assert isinstance(accepted.action, Resumption if len(pauses) % 2 else Pausing)
    return dataclasses.replace(standing, decisions=(*standing.decisions, accepted))


def _rewards(**changes: str) -> RewardLedgerTerms:
    return msgspec.structs.replace(REWARDS, **changes)
