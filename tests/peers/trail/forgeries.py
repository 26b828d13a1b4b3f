"""What a forger who holds all keys can do: each makes one defect in a chain, and says what must be said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import federation_world as world
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from fabric_protos.common import common_pb2, configuration_pb2
from played_calls import FEDERATION, Call
from played_chain import PlayedChain

from consilium_chaincode.federation import state_keys
from consilium_network.certificates import Authority
from consilium_proto.canonical import decode, encode
from consilium_proto.records import HospitalKey, Study, StudyPhase, StudyReference
from consilium_trail.verification.findings import Step

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DAY = 24 * 3600 * 1000
"""Milliseconds."""


def registration(chain: PlayedChain) -> Call:
    """An honest transaction that isn't about the study."""
    return chain.simulate("RegisterHospitalKey", HospitalKey(wrapping_key=world.public_key(1)), world.ALPHA)


def closing(chain: PlayedChain) -> Call:
    return chain.simulate("CloseStudy", StudyReference(study=world.STUDY), world.ALPHA, "admin")


@dataclass(frozen=True)
class Forgery:
    """Adds a defective block to a chain, and what must be said about it."""

    forge: Callable[[PlayedChain], object]
    step: Step
    reason: str


def changed(change: Callable[[Call, PlayedChain], None]) -> Callable[[PlayedChain], object]:
    """Commit an honest transaction with something changed before anybody signed it."""

    def forge(chain: PlayedChain) -> object:
        call = closing(chain)
        change(call, chain)
        chain.seal([chain.sign(call)])
        return chain.commit(closing(chain))

    return forge


def tampered(change: Callable[[Any, PlayedChain], None]) -> Callable[[PlayedChain], object]:
    """Commit an honest transaction with something changed after it was endorsed."""

    def forge(chain: PlayedChain) -> object:
        chain.seal([chain.sign(closing(chain), lambda action: change(action, chain))])
        return chain.commit(closing(chain))

    return forge


def write_another_phase(call: Call, _: PlayedChain) -> None:
    """The study is written as active, with the approvals of nobody."""
    key = state_keys.study(world.STUDY)
    value = call.writes[key]
    assert value is not None
    study = decode(Study, value)
    fields = {name: getattr(study, name) for name in Study.__struct_fields__}
    call.writes[key] = encode(Study(**{**fields, "phase": StudyPhase.ACTIVE}))


def write_one_key_more(call: Call, _: PlayedChain) -> None:
    call.writes[state_keys.current_epoch(world.STUDY)] = b'{"epoch":9}'


def write_nothing(call: Call, _: PlayedChain) -> None:
    call.writes.clear()


def delete_instead(call: Call, _: PlayedChain) -> None:
    call.writes[state_keys.study(world.STUDY)] = None


def read_less(call: Call, _: PlayedChain) -> None:
    call.reads.popitem()


def announce_something_else(call: Call, _: PlayedChain) -> None:
    assert call.event is not None
    call.event = ("RoundFinal", call.event[1])


def announce_nothing(call: Call, _: PlayedChain) -> None:
    call.event = None


def answer_something_else(call: Call, _: PlayedChain) -> None:
    call.answer = b"{}"


def let_an_aggregator_do_it(call: Call, chain: PlayedChain) -> None:
    call.creator = chain.consortium.members[world.AGGREGATORS[0], "admin"]


def let_a_client_do_it(call: Call, chain: PlayedChain) -> None:
    call.creator = chain.consortium.members[world.ALPHA, "client"]


def call_what_is_not_there(call: Call, _: PlayedChain) -> None:
    call.function = "WriteAnything"


def send_it_years_later(call: Call, chain: PlayedChain) -> None:
    call.timestamp = chain.now + 5000 * DAY


def endorsed_by(*members: tuple[str, str]) -> Callable[[PlayedChain], object]:
    def change(call: Call, chain: PlayedChain) -> None:
        call.endorsers = [chain.consortium.members[member] for member in members]

    return changed(change)


def endorsed_by_a_stranger(call: Call, chain: PlayedChain) -> None:
    stranger = chain.consortium.issue(world.ALPHA, "peer", authority=Authority.create("nobody", world.ALPHA))
    call.endorsers = [stranger, *call.endorsers[1:]]


def proposed_by_another(call: Call, chain: PlayedChain) -> None:
    call.proposer = chain.consortium.members[world.BETA, "admin"]


def named_otherwise(call: Call, _: PlayedChain) -> None:
    call.tx_id = "ab" * 32


def read_an_old_version(call: Call, _: PlayedChain) -> None:
    call.reads[state_keys.study(world.STUDY)] = (1, 0)


def read_a_range_without_all_of_it(call: Call, _: PlayedChain) -> None:
    call.ranges = [("\0study\0", "\0study\0\U0010ffff", {})]


def swap_an_endorsement(action: Any, chain: PlayedChain) -> None:
    """A genuine signature of another transaction's response."""
    other = closing(chain)
    chain.sign(other, lambda another: action.action.endorsements[0].CopyFrom(another.action.endorsements[0]))


def drop_an_endorsement(action: Any, _: PlayedChain) -> None:
    del action.action.endorsements[0]


def raise_s(action: Any, _: PlayedChain) -> None:
    """The other form of the same ECDSA signature, which anybody can make; Fabric takes one form only."""
    endorsement = action.action.endorsements[0]
    r, s = decode_dss_signature(endorsement.signature)
    endorsement.signature = encode_dss_signature(r, P256_ORDER - s)


def change_the_arguments(action: Any, _: PlayedChain) -> None:
    """What was endorsed is another proposal's answer."""
    action.chaincode_proposal_payload = action.chaincode_proposal_payload.replace(b"heart", b"liver")


def sign_by_another_key(chain: PlayedChain) -> object:
    raw = chain.sign(closing(chain))
    envelope = common_pb2.Envelope.FromString(raw)
    envelope.signature = chain.consortium.members[world.BETA, "admin"].sign(envelope.payload)
    return chain.seal([envelope.SerializeToString()])


def commit_twice(chain: PlayedChain) -> object:
    call = registration(chain)
    chain.commit(call)
    again = replace(call, reads=dict.fromkeys(call.reads, (len(chain.raw) - 1, 0)))
    chain.seal([chain.sign(again)])
    return chain.commit(closing(chain))


def commit_twice_in_a_block(chain: PlayedChain) -> object:
    call = closing(chain)
    return chain.seal([chain.sign(call), chain.sign(call)])


def write_what_another_one_reads(chain: PlayedChain) -> object:
    """Two transactions of a block read and write the same key, and both are marked valid."""
    first, second = closing(chain), closing(chain)
    return chain.seal([chain.sign(first), chain.sign(second)])


def write_from_another_chaincode(chain: PlayedChain) -> object:
    """A chaincode that hospitals also committed writes the federation's state."""
    chain.commit(chain.definition("other"))
    call = closing(chain)
    call.chaincode, call.namespace, call.event, call.reads = "other", FEDERATION, None, {}
    chain.seal([chain.sign(call)])
    return chain.commit(closing(chain))


def call_an_undefined_chaincode(chain: PlayedChain) -> object:
    call = closing(chain)
    call.chaincode, call.event = "unknown", None
    chain.seal([chain.sign(call)])
    return chain.commit(closing(chain))


def revoke(name: str, role: str) -> Callable[[PlayedChain], object]:
    """Revoke a member's certificate; it acts all the same."""

    def forge(chain: PlayedChain) -> object:
        members = chain.consortium.members
        change = chain.configuration.change_of_membership(name, members[name, role])
        chain.configure(chain.configuration.update(change, [members[name, "admin"]]))
        return chain.commit(closing(chain))

    return forge


def lower_the_policy(group: Any, chain: PlayedChain) -> None:
    """Let one hospital's peer endorse everything."""
    application = chain.configuration.tree.groups["Application"]
    group.groups["Application"].version = application.version
    policy = group.groups["Application"].policies["Endorsement"]
    policy.CopyFrom(application.policies["Endorsement"])
    policy.version += 1
    admins = chain.configuration.tree.groups["Application"].groups[world.ALPHA].policies["Admins"]
    policy.policy.CopyFrom(admins.policy)


def change_a_policy_alone(chain: PlayedChain) -> object:
    admin = chain.consortium.members[world.ALPHA, "admin"]
    update = chain.configuration.update(lambda group: lower_the_policy(group, chain), [admin])
    chain.configure(update)
    return chain.commit(closing(chain))


def change_a_policy_by_one_admin_three_times(chain: PlayedChain) -> object:
    admin = chain.consortium.members[world.ALPHA, "admin"]
    chain.configure(chain.configuration.update(lambda group: lower_the_policy(group, chain), [admin] * 3))
    return chain.commit(closing(chain))


def change_more_than_was_signed(chain: PlayedChain) -> object:
    members = chain.consortium.members
    change = chain.configuration.change_of_membership(world.BETA, chain.consortium.issue(world.BETA, "client"))

    def also(tree: Any) -> None:
        admins = tree.groups["Application"].groups[world.ALPHA].policies["Admins"].policy
        tree.groups["Application"].policies["Endorsement"].policy.CopyFrom(admins)

    chain.configure(chain.configuration.update(change, [members[world.BETA, "admin"]], also))
    return chain.commit(closing(chain))


def replace_the_orderers(chain: PlayedChain) -> object:
    members = chain.consortium.members
    change = chain.configuration.change_of_membership(world.BETA, chain.consortium.issue(world.BETA, "client"))

    def also(tree: Any) -> None:
        mapping = configuration_pb2.Orderers.FromString(tree.groups["Orderer"].values["Orderers"].value)
        del mapping.consenter_mapping[1:]
        tree.groups["Orderer"].values["Orderers"].value = mapping.SerializeToString()

    chain.configure(chain.configuration.update(change, [members[world.BETA, "admin"]], also))
    return chain.commit(closing(chain))


def sign_by_too_few_orderers(chain: PlayedChain) -> object:
    chain.orderers = chain.consortium.orderers[:2]
    return chain.commit(closing(chain))


def forge_a_quorum(chain: PlayedChain) -> object:
    """Two real orderers and one that Alpha issued for itself."""
    forged = chain.consortium.issue(world.ALPHA, "orderer")
    chain.consortium.members[world.GAMMA, "orderer"] = forged
    chain.orderers = chain.consortium.orderers[:2] + chain.consortium.orderers[3:]
    return chain.commit(closing(chain))


def hide_a_configuration(chain: PlayedChain) -> object:
    """The orderers worked under a configuration that the trail doesn't have."""
    return chain.seal([chain.sign(closing(chain))], configured_in=3)


FORGED: dict[str, Forgery] = {
    "a write that the contract wouldn't make": Forgery(
        changed(write_another_phase), Step.REPLAY, "CloseStudy writes .*ACTIVE.* was committed, the contract gives"
    ),
    "a write too many": Forgery(changed(write_one_key_more), Step.REPLAY, "current-epoch.*the contract gives nothing"),
    "no write": Forgery(changed(write_nothing), Step.REPLAY, "writes .*nothing was committed"),
    "a deletion": Forgery(changed(delete_instead), Step.REPLAY, "CloseStudy writes"),
    "a read left out": Forgery(changed(read_less), Step.REPLAY, "CloseStudy reads"),
    "another event": Forgery(changed(announce_something_else), Step.REPLAY, "announces .*RoundFinal"),
    "no event": Forgery(changed(announce_nothing), Step.REPLAY, "announces None"),
    "another answer": Forgery(changed(answer_something_else), Step.REPLAY, "answers {}"),
    "an aggregator in a hospital's place": Forgery(
        changed(let_an_aggregator_do_it), Step.REPLAY, "refuses it: FORBIDDEN"
    ),
    "a client in an admin's place": Forgery(changed(let_a_client_do_it), Step.REPLAY, "refuses it: FORBIDDEN"),
    "a function that there isn't": Forgery(changed(call_what_is_not_there), Step.REPLAY, "unknown function"),
    "a chaincode that writes another one's state": Forgery(
        write_from_another_chaincode, Step.REPLAY, "chaincode other wrote the state of federation"
    ),
    "two endorsements of three": Forgery(
        endorsed_by((world.ALPHA, "peer"), (world.BETA, "peer")), Step.POLICIES, "isn't satisfied by AlphaMSP, BetaMSP$"
    ),
    "a policy satisfied by the wrong organisation": Forgery(
        endorsed_by((world.ALPHA, "peer"), (world.BETA, "peer"), (world.AGGREGATORS[0], "peer")),
        Step.POLICIES,
        "isn't satisfied by AlphaMSP, BetaMSP, SumMSP",
    ),
    "a policy satisfied by the wrong role": Forgery(
        endorsed_by((world.ALPHA, "peer"), (world.BETA, "peer"), (world.GAMMA, "admin")),
        Step.POLICIES,
        "isn't satisfied",
    ),
    "one endorser three times": Forgery(
        endorsed_by(*[(world.ALPHA, "peer")] * 3), Step.POLICIES, "isn't satisfied by AlphaMSP$"
    ),
    "no endorsement": Forgery(endorsed_by(), Step.POLICIES, "isn't satisfied by nobody"),
    "an endorser of another authority": Forgery(
        changed(endorsed_by_a_stranger), Step.ENDORSEMENTS, "isn't signed by an authority of AlphaMSP"
    ),
    "a swapped endorsement": Forgery(tampered(swap_an_endorsement), Step.ENDORSEMENTS, "AlphaMSP isn't a signature of"),
    "an endorsement left out": Forgery(
        tampered(drop_an_endorsement), Step.POLICIES, "isn't satisfied by BetaMSP, DeltaMSP"
    ),
    "an endorsement's other form": Forgery(tampered(raise_s), Step.ENDORSEMENTS, "AlphaMSP isn't a signature of"),
    "an endorsement by a revoked certificate": Forgery(
        revoke(world.BETA, "peer"), Step.ENDORSEMENTS, "certificate .* of BetaMSP has been revoked"
    ),
    "a transaction by a revoked certificate": Forgery(
        revoke(world.ALPHA, "admin"), Step.CREATORS, "certificate .* of AlphaMSP has been revoked"
    ),
    "a block signed by a revoked orderer": Forgery(
        revoke(world.BETA, "orderer"), Step.ORDERERS, "2 of 4 .*certificate .* of BetaMSP has been revoked"
    ),
    "a transaction signed by another key": Forgery(sign_by_another_key, Step.CREATORS, "isn't that of its creator"),
    "a proposal of somebody else": Forgery(changed(proposed_by_another), Step.CREATORS, "isn't who proposed"),
    "a certificate expired at the transaction's time": Forgery(
        changed(send_it_years_later), Step.CREATORS, "of AlphaMSP had expired on"
    ),
    "another id": Forgery(changed(named_otherwise), Step.FLAGS, "marked valid and is BAD_PROPOSAL_TXID"),
    "other arguments than were endorsed": Forgery(
        tampered(change_the_arguments), Step.FLAGS, "INVALID_ENDORSER_TRANSACTION.*isn't this proposal"
    ),
    "a transaction committed twice": Forgery(commit_twice, Step.FLAGS, "marked valid and is DUPLICATE_TXID"),
    "a transaction twice in a block": Forgery(
        commit_twice_in_a_block, Step.FLAGS, "marked valid and is DUPLICATE_TXID"
    ),
    "an old version read": Forgery(changed(read_an_old_version), Step.FLAGS, "is MVCC_READ_CONFLICT"),
    "a conflict within a block": Forgery(write_what_another_one_reads, Step.FLAGS, "is MVCC_READ_CONFLICT"),
    "a phantom in a range": Forgery(changed(read_a_range_without_all_of_it), Step.FLAGS, "is PHANTOM_READ_CONFLICT"),
    "a chaincode without a definition": Forgery(
        call_an_undefined_chaincode, Step.POLICIES, "INVALID_CHAINCODE: no definition of chaincode unknown"
    ),
    "a policy changed by one admin": Forgery(
        change_a_policy_alone, Step.POLICIES, "/Channel/Application/Endorsement was changed by AlphaMSP"
    ),
    "a policy changed by one admin three times": Forgery(
        change_a_policy_by_one_admin_three_times, Step.POLICIES, "Endorsement was changed by AlphaMSP;"
    ),
    "more changed than was signed": Forgery(
        change_more_than_was_signed,
        Step.POLICIES,
        "/Channel/Application/Endorsement isn't as the signed update makes it",
    ),
    "orderers replaced without a signature": Forgery(
        replace_the_orderers, Step.POLICIES, "/Channel/Orderer/Orderers isn't as the signed update makes it"
    ),
    "too few orderers": Forgery(sign_by_too_few_orderers, Step.ORDERERS, "2 of 4 orderers signed it, 3 must"),
    "a forged quorum of orderers": Forgery(
        forge_a_quorum, Step.ORDERERS, r"orderer 4 \(GammaMSP\) isn't its own|isn't its own"
    ),
    "a hidden configuration": Forgery(hide_a_configuration, Step.ORDERERS, "under the configuration of block 3"),
}
