"""What a forger who holds all keys can do to rewards and to the EVM: each makes one defect in a rewarded chain."""

from __future__ import annotations

from collections.abc import Callable

import federation_world as world
from forgeries import Forgery, registration
from msgspec.structs import replace
from played_calls import FEDERATION, Call, State
from played_chain import PlayedChain
from reward_world import account
from rewarded_chain import RewardedChain

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.federation import state_keys as state_keys_of_federation
from consilium_proto.canonical import decode, encode
from consilium_proto.ethereum.rewards import Contribution, PayoutAddressChange, RoundCredit, RoundReward
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_proto.ethereum.transactions import ReceiptRecord
from consilium_proto.records import RoundReference
from consilium_trail.verification.findings import Step

Change = Callable[[Call, PlayedChain], None]
REWARD = state_keys.round_reward(world.STUDY, 1)


def finalising(change: Change) -> Callable[[PlayedChain], object]:
    """Commit the transaction that makes round 1 final with something changed before anybody signed it."""
    return _with(lambda chain: chain.finalising(), change)


def naming(change: Change) -> Callable[[PlayedChain], object]:
    """Do so with the one that names Beta's payout address."""
    argument = PayoutAddressChange(account=account(2))
    return _with(lambda chain: chain.simulate("SetPayoutAddress", argument, world.BETA, "admin", EVM_CHAINCODE), change)


def executing(change: Change) -> Callable[[PlayedChain], object]:
    """Do so with a call of a contract that isn't there."""
    return _with(lambda chain: chain.execution(account(9)), change)


def _with(make: Callable[[RewardedChain], Call], change: Change) -> Callable[[PlayedChain], object]:
    def forge(chain: PlayedChain) -> object:
        assert isinstance(chain, RewardedChain)
        call = make(chain)
        change(call, chain)
        return chain.seal([chain.sign(call)])

    return forge


def of_evm(call: Call) -> State:
    return call.others[EVM_CHAINCODE]


def first(call: Call, kind: str) -> str:
    """Return the first key of a kind that a transaction writes in the EVM's state."""
    written = call.writes if call.chaincode == EVM_CHAINCODE else of_evm(call).writes
    return next(key for key in sorted(written) if key.startswith(f"\0{kind}\0"))


def write_a_false_balance(call: Call, _: PlayedChain) -> None:
    of_evm(call).writes[first(call, "slot")] = (10**20).to_bytes(9, "big")


def leave_the_reward_out(call: Call, _: PlayedChain) -> None:
    del call.others[EVM_CHAINCODE]


def leave_the_reward_s_writes_out(call: Call, _: PlayedChain) -> None:
    of_evm(call).writes.clear()


def leave_the_round_out(call: Call, _: PlayedChain) -> None:
    call.writes.clear()


def leave_a_slot_unread(call: Call, _: PlayedChain) -> None:
    del of_evm(call).reads[next(key for key in sorted(of_evm(call).reads) if key.startswith("\0slot\0"))]


def write_another_reward(call: Call, _: PlayedChain) -> None:
    value = of_evm(call).writes[REWARD]
    assert value is not None
    reward = decode(RoundReward, value)
    of_evm(call).writes[REWARD] = encode(replace(reward, shares=reward.shares[:1]))


def change_the_inner_receipt(call: Call, _: PlayedChain) -> None:
    _change_receipt(of_evm(call).writes, first(call, "receipt"))


def change_the_receipt(call: Call, _: PlayedChain) -> None:
    _change_receipt(call.writes, first(call, "receipt"))


def _change_receipt(writes: dict[str, bytes | None], key: str) -> None:
    value = writes[key]
    assert value is not None
    writes[key] = encode(replace(decode(ReceiptRecord, value), gas_used="0x1"))


def change_a_slot(call: Call, _: PlayedChain) -> None:
    call.writes[first(call, "slot")] = b"\x07"


def write_an_account(call: Call, _: PlayedChain) -> None:
    call.writes[state_keys.account(bytes(20))] = (10**20).to_bytes(40, "big")


def answer_another_receipt(call: Call, _: PlayedChain) -> None:
    call.answer = encode(replace(decode(ReceiptRecord, call.answer), status=0))


def announce_something(call: Call, _: PlayedChain) -> None:
    call.event = ("Paid", b"")


def leave_the_consortium_unread(call: Call, _: PlayedChain) -> None:
    del call.others[FEDERATION]


def write_the_federation_s_state(call: Call, _: PlayedChain) -> None:
    """A transaction of the EVM deletes the study besides."""
    study = state_keys_of_federation.study(world.STUDY)
    call.others[FEDERATION].writes[study] = None


def let_another_hospital_do_it(call: Call, chain: PlayedChain) -> None:
    call.creator = chain.consortium.members[world.GAMMA, "admin"]


def give_a_key_a_policy(call: Call, chain: PlayedChain) -> None:
    call.policies[first(call, "slot")] = b"\x0a\x00"


def credit_directly(chain: PlayedChain) -> object:
    """Alpha's client calls what the federation alone may, and what it asks for is written."""
    final = chain.simulate("Advance", RoundReference(study=world.STUDY, round=1), world.ALPHA)
    contributions = tuple(Contribution(hospital=name, weight=1) for name in world.HOSPITALS)
    credit = RoundCredit(study=world.STUDY, round=1, pot="0x64", weight_cap=1, contributions=contributions)
    call = Call(
        creator=chain.consortium.members[world.ALPHA, "client"],
        function="CreditRound",
        arguments=(encode(credit),),
        chaincode=EVM_CHAINCODE,
        reads=of_evm(final).reads,
        writes=of_evm(final).writes,
        timestamp=chain.now,
        endorsers=chain.consortium.endorsers,
    )
    return chain.seal([chain.sign(call)])


def write_the_evm_s_state_from_another_chaincode(chain: PlayedChain) -> object:
    chain.commit(chain.definition("other"))
    final = chain.simulate("Advance", RoundReference(study=world.STUDY, round=1), world.ALPHA)
    call = Call(
        creator=chain.consortium.members[world.ALPHA, "client"],
        function="Mint",
        arguments=(),
        chaincode="other",
        others={EVM_CHAINCODE: State(writes=of_evm(final).writes)},
        timestamp=chain.now,
        endorsers=chain.consortium.endorsers,
    )
    return chain.seal([chain.sign(call)])


def write_the_evm_s_state(call: Call, _: PlayedChain) -> None:
    """A transaction of the federation that has nothing to do with rewards."""
    call.others[EVM_CHAINCODE] = State(writes={state_keys.slot(bytes(20), 0): b"\x01"})


IN_THE_FEDERATION: dict[str, Forgery] = {
    "rewards without the round": Forgery(
        finalising(leave_the_round_out), Step.REPLAY, "Advance writes '/round/heart/1/': nothing was committed"
    ),
    "the federation's state written by the EVM": Forgery(
        naming(write_the_federation_s_state), Step.REPLAY, "SetPayoutAddress writes of federation .*study/heart"
    ),
}
"""What is seen by who follows the federation alone, too."""

IN_THE_EVM: dict[str, Forgery] = {
    "a false balance of a full quorum's": Forgery(
        finalising(write_a_false_balance), Step.REPLAY, "Advance writes of evm '/slot/"
    ),
    "a final round without its reward": Forgery(
        finalising(leave_the_reward_out), Step.REPLAY, "Advance reads of evm .*nothing was committed"
    ),
    "a final round that reads its reward and writes none": Forgery(
        finalising(leave_the_reward_s_writes_out), Step.REPLAY, "Advance writes of evm .*nothing was committed"
    ),
    "a slot that wasn't read": Forgery(finalising(leave_a_slot_unread), Step.REPLAY, "Advance reads of evm '/slot/"),
    "another reward than the contract's": Forgery(
        finalising(write_another_reward), Step.REPLAY, "Advance writes of evm '/round-reward/heart/1/'"
    ),
    "a changed receipt of a reward": Forgery(
        finalising(change_the_inner_receipt), Step.REPLAY, "Advance writes of evm '/receipt/"
    ),
    "a changed receipt": Forgery(executing(change_the_receipt), Step.REPLAY, "Execute writes '/receipt/"),
    "a changed slot": Forgery(naming(change_a_slot), Step.REPLAY, "SetPayoutAddress writes '/slot/"),
    "money from nowhere": Forgery(executing(write_an_account), Step.REPLAY, "Execute writes '/account/0{40}/'"),
    "another receipt answered": Forgery(executing(answer_another_receipt), Step.REPLAY, "Execute answers"),
    "an event of the EVM's": Forgery(executing(announce_something), Step.REPLAY, "Execute announces"),
    "a consortium that wasn't read": Forgery(
        naming(leave_the_consortium_unread), Step.REPLAY, "SetPayoutAddress reads of federation '/consortium/"
    ),
    "another hospital's address": Forgery(
        naming(let_another_hospital_do_it), Step.REPLAY, "SetPayoutAddress reads '/payout-address/BetaMSP/'"
    ),
    "a slot with a policy of its own": Forgery(naming(give_a_key_a_policy), Step.REPLAY, "sets policies of"),
    "a reward that no round led to": Forgery(credit_directly, Step.REPLAY, "CreditRound .* refuses it: FORBIDDEN"),
    "the EVM's state written by another chaincode": Forgery(
        write_the_evm_s_state_from_another_chaincode, Step.REPLAY, "chaincode other wrote the state of evm"
    ),
    "the EVM's state written by another function": Forgery(
        _with(registration, write_the_evm_s_state), Step.REPLAY, "RegisterHospitalKey writes of evm '/slot/"
    ),
}
"""What only running the EVM again shows."""
