"""Trails whose keys are all held by one forger: signatures are good, and what they sign isn't what it should be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import federation_world as world
import pytest
from forgeries import DAY, FORGED, Forgery, closing, registration, swap_an_endorsement
from played_chain import MVCC_READ_CONFLICT, PlayedChain
from played_membership import PlayedConfiguration, PlayedConsortium

from consilium_network import certificates
from consilium_network.certificates import Authority
from consilium_proto.records import StudyReference
from consilium_trail.blocks.transactions import transaction_id
from consilium_trail.errors import MalformedConfigurationError
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.findings import Step
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

BAD_PROPOSAL_TXID, INVALID_OTHER_REASON = 8, 255


@pytest.fixture
def consortium() -> PlayedConsortium:
    return PlayedConsortium()


@pytest.fixture
def chain(consortium: PlayedConsortium) -> PlayedChain:
    """A channel with a proposed study."""
    made = PlayedChain(consortium)
    made.begin_study()
    return made


def verified(chain: PlayedChain, tmp_path: Path, roots: TrustedRoots | None = None) -> Any:
    return verify_trail(chain.write(tmp_path / "trail.zip"), roots or chain.roots())


def test_a_played_round_is_sound(chain: PlayedChain, tmp_path: Path) -> None:
    chain.activate()
    chain.play_round()
    chain.play_round(2, world.MODEL_1)
    lost = chain.consortium.issue(world.ALPHA, "client")
    change = chain.configuration.change_of_membership(world.ALPHA, lost)
    chain.configure(chain.configuration.update(change, [chain.consortium.members[world.ALPHA, "admin"]]))
    chain.commit(closing(chain))
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding
    assert [proof.fact.round for proof in found.rounds] == [1, 2]
    for proof in found.rounds:
        assert proof.fact.attested_by == world.HOSPITALS
        assert proof.endorsed_by == world.HOSPITALS[:3]


@pytest.mark.parametrize("forgery", FORGED.values(), ids=FORGED.keys())
def test_a_forged_trail_is_refused_for_its_reason(forgery: Forgery, chain: PlayedChain, tmp_path: Path) -> None:
    honest = len(chain.raw)
    forgery.forge(chain)
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.UNSOUND
    assert found.finding.step is forgery.step, found.finding
    assert re.search(forgery.reason, found.finding.reason), found.finding
    assert found.finding.place.block is not None
    assert found.finding.place.block >= honest


def test_a_conflict_that_is_marked_as_one_is_sound(chain: PlayedChain, tmp_path: Path) -> None:
    first, second = closing(chain), closing(chain)
    chain.seal([chain.sign(first), chain.sign(second)], bytes([0, MVCC_READ_CONFLICT]))
    assert verified(chain, tmp_path).verdict is Verdict.SOUND


def test_a_bad_endorsement_beside_enough_good_ones_spoils_nothing(chain: PlayedChain, tmp_path: Path) -> None:
    """Else any client could make every trail of a channel unsound, by an endorsement that peers don't count."""
    call = closing(chain)
    call.endorsers = [chain.consortium.members[name, "peer"] for name in world.HOSPITALS]
    chain.seal([chain.sign(call, lambda action: swap_an_endorsement(action, chain))])
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def spoil_an_endorser(action: Any) -> None:
    action.action.endorsements[0].endorser = b"\xff nobody"


def test_an_endorser_that_can_not_be_read_spoils_nothing(chain: PlayedChain, tmp_path: Path) -> None:
    call = closing(chain)
    call.endorsers = [chain.consortium.members[name, "peer"] for name in world.HOSPITALS]
    chain.seal([chain.sign(call, spoil_an_endorser)])
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def test_an_id_that_begins_like_another_one_spoils_nothing(chain: PlayedChain, tmp_path: Path) -> None:
    """A client may get anything ordered under any id; only the very same one is then used."""
    call = closing(chain)
    tx_id = transaction_id(call.nonce, call.creator.serialized)
    bogus = replace(registration(chain), tx_id=f"{tx_id[:40]}zzz")
    chain.seal([chain.sign(bogus)], bytes([BAD_PROPOSAL_TXID]))
    chain.commit(call)
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def test_deep_groups_around_a_transaction_spoil_nothing(chain: PlayedChain, tmp_path: Path) -> None:
    """Peers, written in Go, pass over unknown groups that Python's parser of protocol buffers refuses."""
    deep = b"\x9b\x06" * 5000 + b"\x9c\x06" * 5000

    raw = chain.sign(closing(chain))
    chain.seal([raw + deep])
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def test_a_query_with_a_false_time_spoils_nothing(chain: PlayedChain, tmp_path: Path) -> None:
    """Endorsers look at the clock when something is written, so the time of a query is its client's word alone."""
    question = chain.simulate("ReadStudy", StudyReference(study=world.STUDY), world.GAMMA)
    question.timestamp = chain.now + 30_000 * DAY
    chain.commit(question)
    chain.commit(closing(chain))
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def test_garbage_that_was_ordered_and_marked_invalid_spoils_nothing(chain: PlayedChain, tmp_path: Path) -> None:
    chain.seal([b"\xff garbage"], bytes([INVALID_OTHER_REASON]))
    chain.commit(closing(chain))
    assert verified(chain, tmp_path).verdict is Verdict.SOUND


def test_garbage_that_is_marked_valid_is_refused(chain: PlayedChain, tmp_path: Path) -> None:
    place = chain.seal([b"\xff garbage"])
    chain.commit(closing(chain))
    found = verified(chain, tmp_path)
    assert (found.finding.step, found.finding.place.block) == (Step.FLAGS, place)


def test_an_endorser_whose_certificate_had_expired_does_not_count(tmp_path: Path) -> None:
    consortium = PlayedConsortium()
    consortium.members[world.BETA, "peer"] = consortium.issue(world.BETA, "peer", days=5)
    chain = PlayedChain(consortium)
    chain.begin_study()
    chain.now += 10 * DAY
    chain.commit(closing(chain))
    found = verified(chain, tmp_path)
    assert found.finding.step is Step.ENDORSEMENTS
    assert "of BetaMSP had expired" in found.finding.reason


def test_an_endorser_whose_root_had_expired_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    consortium = PlayedConsortium()
    monkeypatch.setattr(certificates, "AUTHORITY_DAYS", 5)
    consortium.authorities[world.BETA] = Authority.create("short-lived", world.BETA)
    for role in ("admin", "client", "peer", "orderer"):
        consortium.members[world.BETA, role] = consortium.issue(world.BETA, role)
    consortium.configuration = PlayedConfiguration(consortium)
    chain = PlayedChain(consortium)
    chain.begin_study()
    chain.now += 10 * DAY
    chain.commit(closing(chain))
    found = verified(chain, tmp_path)
    assert found.finding.step is Step.ENDORSEMENTS
    assert "of BetaMSP had expired" in found.finding.reason


MARKED: dict[str, bytes] = {
    "a transaction signed by another key": bytes([4]),
    "other arguments than were endorsed": bytes([5]),
    "another id": bytes([8]),
    "a transaction twice in a block": bytes([0, 9]),
    "two endorsements of three": bytes([10]),
    "a swapped endorsement": bytes([10]),
    "an old version read": bytes([11]),
    "a conflict within a block": bytes([0, 11]),
    "a phantom in a range": bytes([12]),
}
"""The validation codes that peers give the transactions of a forgery's first block."""


@pytest.mark.parametrize(("forgery", "flags"), MARKED.items(), ids=MARKED.keys())
def test_what_is_marked_as_what_it_is_spoils_nothing(
    forgery: str, flags: bytes, chain: PlayedChain, tmp_path: Path
) -> None:
    chain.next_flags = flags
    FORGED[forgery].forge(chain)
    found = verified(chain, tmp_path)
    assert found.verdict is Verdict.SOUND, found.finding


def test_a_hospital_whose_root_is_not_trusted_counts_nowhere(chain: PlayedChain, tmp_path: Path) -> None:
    names = [name for name in world.HOSPITALS if name != world.ALPHA]
    roots = replace(chain.roots(), certificates=chain.consortium.root_certificates(names))
    found = verified(chain, tmp_path, roots)
    assert found.finding.step is Step.ORDERERS
    assert "the root of AlphaMSP isn't among the trusted ones" in found.finding.reason


def test_a_channel_that_is_not_ordered_by_a_quorum_is_refused(consortium: PlayedConsortium, tmp_path: Path) -> None:
    consortium.configuration.consensus = "etcdraft"
    chain = PlayedChain(consortium)
    chain.begin_study()
    found = verified(chain, tmp_path)
    assert (found.finding.step, found.finding.place.block) == (Step.ORDERERS, 0)


def test_one_orderer_under_two_numbers_is_refused(consortium: PlayedConsortium, tmp_path: Path) -> None:
    consortium.configuration.consenters[1] = consortium.configuration.consenters[0]
    chain = PlayedChain(consortium)
    chain.begin_study()
    with pytest.raises(MalformedConfigurationError, match="two consenters have the same certificate"):
        chain.write(tmp_path / "trail.zip")
