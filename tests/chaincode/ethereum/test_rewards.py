"""Rewards on the ledger: credit with the round's end, addresses, epochs, claims; records that equal the contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from federation_ledger import CONFLICT, VALID
from federation_world import (
    AGGREGATORS,
    ALPHA,
    BETA,
    DELTA,
    GAMMA,
    HOSPITALS,
    MODEL_1,
    MODEL_2,
    STUDY,
    attestation,
    consortium,
)
from reward_world import (
    EPOCH_CAP,
    POT,
    ROUND_CAP,
    RewardsLedger,
    account,
    evm_terms,
    reward_terms,
    rewarded_terms,
)

from consilium_chaincode.ethereum import reward_contract, state_keys
from consilium_chaincode.ethereum.reward_rules import ADDRESS_PAUSE
from consilium_chaincode.federation import state_keys as federation_keys
from consilium_chaincode.shim.memory_stub import MemoryStub, Simulation
from consilium_chaincode.shim.stub import split_composite_key
from consilium_proto.canonical import decode, encode
from consilium_proto.contracts import REWARD_LEDGER, load_artifact
from consilium_proto.ethereum.rewards import (
    ClaimReport,
    ClosedEpoch,
    EpochClaims,
    PayoutAddressChange,
    PayoutAddressRecord,
    ReportedClaim,
    RewardEpochReference,
    RewardLedgerView,
    RoundReward,
    StudyRewards,
)
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data, from_quantity
from consilium_proto.records import Round, RoundPhase, RoundReference, StudyReference
from consilium_proto.refusals import RefusalCode
from consilium_proto.rewards.identifiers import hospital_identifier, round_identifier
from consilium_proto.rewards.payout_tree import Payout, payout_root

ADVANCE = RoundReference(study=STUDY, round=1)
ROUND_CREDITED = reward_contract.Function("roundCredited", ("bytes32",), ("bool",))


@pytest.fixture
def rewards() -> RewardsLedger:
    """A channel with a ledger of rewards and an active study that has a reward; nobody has named an address."""
    ledger = RewardsLedger()
    ledger.found()
    ledger.enact_rewards()
    ledger.start_study(rewarded_terms())
    return ledger


def amounts(reward: RoundReward) -> dict[str, int]:
    return {share.hospital: from_quantity(share.amount) for share in reward.shares}


# ---- a round's end and its reward


def test_a_final_round_credits_everybody_in_its_own_transaction(rewards: RewardsLedger) -> None:
    rewards.name_address(ALPHA, account(0))
    rewards.play_to_verified()
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(), hospital)
    ended = rewards.propose("Advance", ADVANCE, ALPHA)
    assert isinstance(ended, Simulation)
    assert ("federation/", federation_keys.round_state(STUDY, 1)) in ended.writes
    assert ("evm/", state_keys.round_reward(STUDY, 1)) in ended.writes
    assert rewards.commit(ended) == [VALID]
    assert rewards.round().round.phase is RoundPhase.FINAL
    assert amounts(rewards.round_reward()) == dict.fromkeys(HOSPITALS, POT // 4)
    assert [rewards.reward(name).balance for name in (ALPHA, BETA)] == [as_quantity(POT // 4), "0x0"]
    assert [rewards.reward(name).waiting for name in (ALPHA, BETA)] == ["0x0", as_quantity(POT // 4)]


def test_weights_are_the_samples_of_the_joins_up_to_the_weight_cap() -> None:
    ledger = RewardsLedger()
    ledger.found()
    ledger.enact_rewards()
    ledger.start_study(rewarded_terms(reward=reward_terms(weight_cap=60)))
    ledger.play_round(samples=(20, 40, 80, 500))
    shares = dict(zip(HOSPITALS, (20, 40, 60, 60), strict=True))
    assert amounts(ledger.round_reward()) == {name: POT * weight // 180 for name, weight in shares.items()}


def test_if_the_credit_fails_the_round_doesnt_become_final(rewards: RewardsLedger) -> None:
    rewards.play_to_verified()
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(), hospital)
    evm = rewards.ledger.chaincodes.pop("evm")
    with pytest.raises(AssertionError, match="isn't deployed"):
        rewards.advance()
    assert rewards.round().round.phase is RoundPhase.VERIFIED
    rewards.ledger.chaincodes["evm"] = evm
    rewards.advance()
    assert rewards.round().round.phase is RoundPhase.FINAL
    assert from_quantity(rewards.round_reward().granted) == POT


def test_if_the_transaction_is_invalid_there_is_neither_final_round_nor_reward(rewards: RewardsLedger) -> None:
    rewards.play_to_verified()
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(), hospital)
    named = rewards.ask_evm("SetPayoutAddress", PayoutAddressChange(account=account(0)), ALPHA, "admin")
    ended = rewards.propose("Advance", ADVANCE, ALPHA)
    assert isinstance(named, Simulation)
    assert isinstance(ended, Simulation)
    assert rewards.commit(named, ended) == [VALID, CONFLICT]
    assert rewards.round().round.phase is RoundPhase.VERIFIED
    rewards.refuse_evm(RefusalCode.NOT_FOUND, "ReadRoundReward", ADVANCE)
    assert rewards.view(reward_contract.TOTAL_SUPPLY) == 0
    rewards.advance()
    assert amounts(rewards.round_reward())[ALPHA] == POT // 4


def test_a_slow_attester_and_no_dissenter_is_rewarded_on_the_ledger(rewards: RewardsLedger) -> None:
    """Two of four isn't enough, so three attest alike and nobody waits for the fourth."""
    rewards.play_to_verified()
    for hospital in (ALPHA, BETA, DELTA):
        rewards.submit("Attest", attestation(), hospital)
    rewards.wait(80_000)
    rewards.advance()
    assert amounts(rewards.round_reward()) == dict.fromkeys(HOSPITALS, POT // 4)
    rewards.play_to_verified(2)
    for hospital in (ALPHA, BETA, DELTA):
        rewards.submit("Attest", attestation(round=2), hospital)
    rewards.submit("Attest", attestation(round=2, model=MODEL_2), GAMMA)
    rewards.advance(2)
    assert list(amounts(rewards.round_reward(2))) == [ALPHA, BETA, DELTA]


def test_a_liar_gets_nothing(rewards: RewardsLedger) -> None:
    rewards.play_to_verified()
    key = ("federation/", federation_keys.round_state(STUDY, 1))
    state = decode(Round, rewards.ledger.state[key].value)
    assert state.barred == ()
    barred = encode(state).replace(b'"barred":[]', f'"barred":["{BETA}","{AGGREGATORS[1]}"]'.encode())
    rewards.ledger.commit([Simulation("00" * 32, rewards.now, writes={key: barred})])
    rewards.reach_final(MODEL_1)
    assert amounts(rewards.round_reward()) == dict.fromkeys((ALPHA, DELTA, GAMMA), POT // 3)


def test_a_round_that_ends_void_credits_nothing(rewards: RewardsLedger) -> None:
    rewards.play_to_verified()
    for hospital, model in zip(HOSPITALS, (MODEL_1, MODEL_1, MODEL_2, MODEL_2), strict=True):
        rewards.submit("Attest", attestation(model=model), hospital)
    assert rewards.advance().phase is RoundPhase.VOID
    rewards.refuse_evm(RefusalCode.NOT_FOUND, "ReadRoundReward", ADVANCE)
    assert rewards.view(reward_contract.TOTAL_SUPPLY) == 0
    assert all(rewards.view(reward_contract.UNASSIGNED, hospital_identifier(name)) == 0 for name in HOSPITALS)


def test_a_round_that_expires_credits_nothing(rewards: RewardsLedger) -> None:
    rewards.open_round()
    rewards.wait(80_000)
    assert rewards.advance().phase is RoundPhase.EXPIRED
    rewards.refuse_evm(RefusalCode.NOT_FOUND, "ReadRoundReward", ADVANCE)
    assert not rewards.view(ROUND_CREDITED, round_identifier(STUDY, 1))


def test_a_round_ends_when_its_epochs_rewards_are_used_up() -> None:
    ledger = RewardsLedger()
    ledger.found()
    ledger.enact_rewards()
    ledger.start_study(rewarded_terms(rounds=5))
    ledger.name_address(ALPHA, account(0))
    for number in (1, 2, 3, 4):
        ledger.play_round(number)
    assert EPOCH_CAP == 3 * POT
    assert [ledger.round_reward(number).granted for number in (3, 4)] == [as_quantity(POT), "0x0"]
    assert ledger.round(4).round.phase is RoundPhase.FINAL
    ledger.close_epoch()
    ledger.play_round(5)
    assert ledger.round_reward(5).granted == as_quantity(POT)


def test_a_reward_that_cant_be_paid_isnt_proposed() -> None:
    ledger = RewardsLedger()
    ledger.found()

    def refuse(code: RefusalCode, pot: int, match: str) -> None:
        offered = rewarded_terms(reward=reward_terms(pot))
        ledger.refuse(code, "ProposeStudy", offered, ALPHA, "admin", match=match)

    refuse(RefusalCode.NOT_FOUND, POT, "EVM")
    ledger.enact_rewards()
    refuse(RefusalCode.UNSAFE_TERMS, ROUND_CAP + 1, str(ROUND_CAP))
    refuse(RefusalCode.MALFORMED, 0, "leave the reward out")
    ledger.submit("ProposeStudy", rewarded_terms(reward=reward_terms(ROUND_CAP)), ALPHA, "admin")


# ---- addresses, epochs, claims


def test_what_waited_for_an_address_goes_there(rewards: RewardsLedger) -> None:
    rewards.play_round()
    named = rewards.name_address(ALPHA, account(0))
    expected = PayoutAddressRecord(
        hospital=ALPHA, account=account(0), assigned=as_quantity(POT // 4), epoch=1, named_at=rewards.now
    )
    assert named == expected
    assert (rewards.reward(ALPHA).account, rewards.reward(ALPHA).waiting) == (account(0), "0x0")
    assert from_quantity(rewards.reward(ALPHA).balance) == POT // 4


def test_a_hospital_that_left_is_paid_what_it_earned(rewards: RewardsLedger) -> None:
    """A majority that removes a hospital doesn't take its earnings; who never earned anything names no address."""
    rewards.play_round()
    smaller = consortium(revision=2, hospitals=tuple(name for name in HOSPITALS if name != GAMMA))
    for hospital in smaller.hospitals:
        rewards.submit("ApproveConsortium", smaller, hospital, "admin")
    rewards.submit("EnactConsortium", smaller, ALPHA, "admin")
    assert rewards.name_address(GAMMA, account(3)).assigned == as_quantity(POT // 4)
    rewards.wait(ADDRESS_PAUSE)
    assert rewards.name_address(GAMMA, account(4)).account == account(4)
    rewards.refuse_evm(
        RefusalCode.FORBIDDEN, "SetPayoutAddress", PayoutAddressChange(account=account(5)), AGGREGATORS[0], "admin"
    )


def test_an_address_stays_for_a_while(rewards: RewardsLedger) -> None:
    """A hospital that named one in every block could keep rounds from becoming final."""
    rewards.name_address(ALPHA, account(0))
    again = PayoutAddressChange(account=account(1))
    rewards.wait(ADDRESS_PAUSE - 1)
    rewards.refuse_evm(RefusalCode.NOT_YET, "SetPayoutAddress", again, ALPHA, "admin", match="in 1 s")
    rewards.wait(1)
    assert rewards.name_address(ALPHA, account(1)).assigned == "0x0"
    zero = PayoutAddressChange(account=as_data(bytes(20)))
    rewards.refuse_evm(RefusalCode.MALFORMED, "SetPayoutAddress", zero, BETA, "admin")


def test_an_epoch_is_closed_under_the_root_of_its_payouts(rewards: RewardsLedger) -> None:
    reference = RewardEpochReference(epoch=1)
    rewards.refuse_evm(RefusalCode.NOT_YET, "CloseEpoch", reference, match="pays nothing")
    rewards.refuse_evm(RefusalCode.NOT_FOUND, "ReadEpoch", reference)
    rewards.name_address(ALPHA, account(0))
    rewards.name_address(BETA, account(1))
    rewards.play_round()
    rewards.refuse_evm(RefusalCode.NOT_YET, "CloseEpoch", RewardEpochReference(epoch=2), match="epoch 1 is open")
    rewards.refuse_evm(RefusalCode.CLOCK_SKEW, "CloseEpoch", reference, skew=6_000)
    closed = rewards.close_epoch(hospital=GAMMA)
    assert rewards.read_evm(ClosedEpoch, "ReadEpoch", reference) == closed
    payouts = [Payout(from_data(each.account), from_quantity(each.amount)) for each in closed.payouts]
    assert payouts == [Payout(from_data(account(0)), POT // 4), Payout(from_data(account(1)), POT // 4)]
    assert from_data(closed.root) == payout_root(payouts)
    assert from_quantity(closed.total) == POT // 2
    rewards.play_round(2)
    assert rewards.round_reward(2).epoch == 2


def test_claims_are_hospitals_words_each_given_once(rewards: RewardsLedger) -> None:
    rewards.name_address(ALPHA, account(0))
    rewards.play_round()
    report = ClaimReport(epoch=1, index=0, chain_id=1, transaction=as_data(bytes([7]) * 32))
    rewards.refuse_evm(RefusalCode.NOT_FOUND, "ReportClaim", report, match="closed epoch 1")
    rewards.close_epoch()
    rewards.submit_evm("ReportClaim", report, GAMMA)
    rewards.submit_evm("ReportClaim", report, ALPHA, "admin")
    rewards.refuse_evm(RefusalCode.ALREADY_WRITTEN, "ReportClaim", report, GAMMA)
    beyond = ClaimReport(epoch=1, index=1, chain_id=1, transaction=report.transaction)
    rewards.refuse_evm(RefusalCode.NOT_FOUND, "ReportClaim", beyond, match="there is no 1")
    expected = tuple(ReportedClaim(hospital=name, report=report) for name in (ALPHA, GAMMA))
    found = rewards.read_evm(EpochClaims, "ReadClaims", RewardEpochReference(epoch=1))
    assert found == EpochClaims(epoch=1, claims=expected)


# ---- records and contract


def test_records_say_what_the_contract_says(rewards: RewardsLedger) -> None:
    """Over rounds and epochs, with and without addresses, and with shares that don't divide evenly."""
    rewards.name_address(ALPHA, account(0))
    rewards.play_round(samples=(1, 2, 3, 7))
    assert from_quantity(rewards.round_reward().granted) < POT
    rewards.name_address(BETA, account(1))
    rewards.close_epoch()
    rewards.play_round(2)
    rewards.name_address(GAMMA, account(0))
    rewards.wait(ADDRESS_PAUSE)
    rewards.name_address(ALPHA, account(3))
    rewards.play_round(3)
    rewards.close_epoch(2)
    _check_against_contract(rewards)


def _check_against_contract(rewards: RewardsLedger) -> None:
    view = rewards.view
    credited = rewards.read_evm(StudyRewards, "ReadStudyRewards", StudyReference(study=STUDY)).rounds
    assert [each.round for each in credited] == [1, 2, 3]
    assert all(view(ROUND_CREDITED, round_identifier(STUDY, each.round)) for each in credited)
    supply = 0
    for number in (1, 2):
        closed = rewards.read_evm(ClosedEpoch, "ReadEpoch", RewardEpochReference(epoch=number))
        record = reward_contract.Function("epochRecord", ("uint64",), ("(bytes32,uint96,uint32,uint64)",))
        root, granted, count, closed_at = view(record, number)
        assert (as_data(root), count, closed_at * 1000) == (closed.root, len(closed.payouts), closed.closed_at)
        assert granted == sum(from_quantity(each.granted) for each in credited if each.epoch == number)
        paid = [(each.account, from_quantity(each.amount)) for each in closed.payouts]
        assert view(reward_contract.PAYOUTS_OF, number) == tuple(paid)
        supply += sum(amount for _, amount in paid)
    assert view(reward_contract.TOTAL_SUPPLY) == supply
    for hospital in HOSPITALS:
        found, identifier = rewards.reward(hospital), hospital_identifier(hospital)
        assert found.waiting == as_quantity(view(reward_contract.UNASSIGNED, identifier))
        held = ("evm/", state_keys.payout_address(hospital))
        recorded = rewards.ledger.state.get(held)
        named = None if recorded is None else decode(PayoutAddressRecord, recorded.value).account
        assert found.account == named == reward_contract.account_of(view(reward_contract.PAYOUT_ADDRESS, identifier))
        if named is not None:
            assert found.balance == as_quantity(view(reward_contract.BALANCE_OF, from_data(named)))
    ledger = rewards.read_evm(RewardLedgerView, "ReadRewardLedger")
    for name, value in (("roundCap", ledger.round_cap), ("epochCap", ledger.epoch_cap)):
        assert as_quantity(view(reward_contract.Function(name, (), ("uint96",)))) == value
    assert view(reward_contract.Function("symbol", (), ("string",))) == ledger.token_symbol
    assert view(reward_contract.Function("name", (), ("string",))) == ledger.token_name
    assert (ledger.open_epoch, ledger.total_supply) == (view(reward_contract.OPEN_EPOCH), as_quantity(supply))


def test_the_interface_is_the_compiled_contracts() -> None:
    """Signatures, what is indexed, and what is returned."""
    abi = load_artifact(REWARD_LEDGER).abi
    functions = {each["name"]: each for each in abi if each["type"] == "function"}
    for function in reward_contract.FUNCTIONS:
        compiled = functions[function.name]
        assert tuple(each["type"] for each in compiled["inputs"]) == function.takes
        assert tuple(_flat(each) for each in compiled["outputs"]) == function.returns or function.name == "closeEpoch"
    events = {each["name"]: each for each in abi if each["type"] == "event"}
    for event in reward_contract.EVENTS:
        inputs = events[event.name]["inputs"]
        assert tuple(each["type"] for each in inputs if each["indexed"]) == event.topics
        assert tuple(each["type"] for each in inputs if not each["indexed"]) == event.data
        assert [each["indexed"] for each in inputs] == sorted((each["indexed"] for each in inputs), reverse=True)


def _flat(output: dict[str, object]) -> str:
    kind = str(output["type"])
    if not kind.startswith("tuple"):
        return kind
    parts = output["components"]
    assert isinstance(parts, list)
    return f"({','.join(_flat(part) for part in parts)}){kind[len('tuple') :]}"


def test_terms_without_rewards_have_no_ledger_of_them() -> None:
    ledger = RewardsLedger()
    ledger.found()
    ledger.enact_rewards(evm_terms(rewards=None))
    ledger.refuse_evm(RefusalCode.NOT_FOUND, "ReadRewardLedger", b"", match="EVM terms with rewards")
    ledger.refuse(
        RefusalCode.NOT_FOUND, "ProposeStudy", rewarded_terms(), ALPHA, "admin", match="EVM terms with rewards"
    )


def test_a_credit_is_read_in_a_few_requests(rewards: RewardsLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has no address, is paid for the first time in an epoch or again: no slot is asked for by itself."""
    alone: list[str] = []
    many: list[int] = []
    get_state = MemoryStub.get_state

    async def one(stub: MemoryStub, key: str, *, collection: str = "") -> bytes | None:
        alone.append(split_composite_key(key)[0])
        return await get_state(stub, key, collection=collection)

    async def several(stub: MemoryStub, keys: Sequence[str], *, collection: str = "") -> list[bytes | None]:
        many.append(len(keys))
        return [await get_state(stub, key, collection=collection) for key in keys]

    rewards.name_address(ALPHA, account(0))
    rewards.play_round()
    rewards.name_address(BETA, account(1))
    rewards.name_address(GAMMA, account(0))
    rewards.play_to_verified(2)
    for hospital in HOSPITALS:
        rewards.submit("Attest", attestation(round=2), hospital)
    monkeypatch.setattr(MemoryStub, "get_state", one)
    monkeypatch.setattr(MemoryStub, "get_states", several)
    ended = rewards.propose("Advance", RoundReference(study=STUDY, round=2), ALPHA)
    assert isinstance(ended, Simulation)
    assert not {"slot", "account", "code"} & set(alone)
    assert len(many) < 10
    monkeypatch.undo()
    assert rewards.commit(ended) == [VALID]
