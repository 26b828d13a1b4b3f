"""Ciphertexts against the ledger's roots, and the sums that are added up apart from the contract."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import federation_world as world
import pytest
from played_calls import FEDERATION, Call
from played_chain import PlayedChain
from played_membership import CHANNEL, PlayedConsortium

from consilium_proto.canonical import Record, decode, encode
from consilium_proto.chunk_tree import VectorContext, chunk_digest, tree_root
from consilium_proto.records import Anchor, Fingerprint, StudyApprovalRequest
from consilium_trail.verification.findings import Step
from consilium_trail.verification.replay import Replay
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

CHUNKS = (b"first chunk", b"second chunk")
DIGESTS = [chunk_digest(chunk) for chunk in CHUNKS]


def root_of(owner: str, label: str) -> str:
    return tree_root(VectorContext(CHANNEL, world.STUDY, 1, 1, 0, owner, label), DIGESTS)


class ChainWithArtifacts(PlayedChain):
    """Anchors and publishes the roots of vectors that there are."""

    def simulate(
        self, function: str, record: Record, organization: str, role: str = "client", chaincode: str = FEDERATION
    ) -> Call:
        if function == "Anchor":
            record = world.anchor(root=root_of(organization, "update"))
        if function == "Publish":
            record = world.publication(root=root_of(organization, "sum"))
        return super().simulate(function, record, organization, role, chaincode)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PlayedChain]:
    chain = ChainWithArtifacts(PlayedConsortium())
    chain.begin_study()
    chain.activate()
    chain.play_round()
    return chain.write(tmp_path_factory.mktemp("artifacts") / "trail.zip"), chain


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """What an aggregator keeps of one hospital's update and of its sum; the update's second chunk is gone."""
    manifests = tmp_path / "manifests" / world.STUDY / "1"
    manifests.mkdir(parents=True)
    for name in (f"0-update-{world.ALPHA}", f"0-sum-{world.AGGREGATORS[0]}"):
        (manifests / name).write_bytes(b"".join(DIGESTS))
    for kind, kept in (("updates", 1), ("sums", 2)):
        content = tmp_path / "content" / world.STUDY / "1" / kind
        content.mkdir(parents=True)
        for chunk in CHUNKS[:kept]:
            (content / chunk_digest(chunk).hex()).write_bytes(chunk)
    return tmp_path


def test_artifacts_have_the_roots_that_are_on_the_ledger(played: tuple[Path, PlayedChain], store: Path) -> None:
    trail, chain = played
    found = verify_trail(trail, chain.roots(), artifacts=store)
    assert found.verdict is Verdict.SOUND, found.finding
    assert found.artifacts is not None
    assert (found.artifacts.vectors, found.artifacts.chunks, found.artifacts.absent_chunks) == (2, 3, 1)


def change_a_chunk(store: Path) -> None:
    chunk = next((store / "content" / world.STUDY / "1" / "sums").iterdir())
    chunk.write_bytes(b"another chunk")


def swap_chunks(store: Path) -> None:
    (store / "manifests" / world.STUDY / "1" / f"0-update-{world.ALPHA}").write_bytes(DIGESTS[1] + DIGESTS[0])


def add_another_s(store: Path) -> None:
    (store / "manifests" / world.STUDY / "1" / "0-update-NobodyMSP").write_bytes(DIGESTS[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_a_chunk, "isn't the one that was anchored"),
        (swap_chunks, "give root"),
        (add_another_s, "has no root of NobodyMSP's update"),
    ],
)
def test_other_artifacts_are_refused(
    change: Callable[[Path], None], reason: str, played: tuple[Path, PlayedChain], store: Path
) -> None:
    change(store)
    trail, chain = played
    found = verify_trail(trail, chain.roots(), artifacts=store)
    assert found.finding is not None
    assert found.finding.step is Step.ARTIFACTS
    assert re.search(reason, found.finding.reason)
    assert found.finding.place.file.startswith(str(store))


def test_a_folder_without_the_study_s_artifacts_is_unreadable(played: tuple[Path, PlayedChain], tmp_path: Path) -> None:
    trail, chain = played
    assert verify_trail(trail, chain.roots(), artifacts=tmp_path).verdict is Verdict.UNREADABLE


class ChainWithoutReplay(PlayedChain):
    """A forger's contract as well: what hospitals write is changed on its way to the ledger."""

    def __init__(self, change: Callable[[str, str, Any], Record]) -> None:
        super().__init__(PlayedConsortium())
        self._change = change

    def simulate(
        self, function: str, record: Record, organization: str, role: str = "client", chaincode: str = FEDERATION
    ) -> Call:
        call = super().simulate(function, record, organization, role, chaincode)
        call.arguments = (encode(self._change(function, organization, record)),)
        return call


def false_sum(function: str, organization: str, record: Any) -> Record:
    if function != "Fingerprint":
        return record  # type: ignore[no-any-return]
    fields = {name: getattr(record, name) for name in Fingerprint.__struct_fields__}
    return Fingerprint(**{**fields, "sum": world.value_of(99)})


def one_hospital_differs(function: str, organization: str, record: Any) -> Record:
    if function != "Fingerprint" or organization != world.BETA:
        return record  # type: ignore[no-any-return]
    fields = {name: getattr(record, name) for name in Fingerprint.__struct_fields__}
    return Fingerprint(**{**fields, "own": world.value_of(50)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (false_sum, "round 1 of heart: the hospitals' fingerprints add up to 000000000000000a, the sum has"),
        (one_hospital_differs, "round 1 of heart: 0 fingerprints of BetaMSP's vector stand"),
    ],
)
def test_sums_are_added_up_whatever_the_contract_said(
    change: Callable[[str, str, Any], Record], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replay, "check", lambda *_: None)
    chain = ChainWithoutReplay(change)
    chain.begin_study()
    chain.activate()
    chain.play_round()
    found = verify_trail(chain.write(tmp_path / "trail.zip"), chain.roots())
    assert found.finding is not None
    assert (found.finding.step, found.finding.reason[: len(reason)]) == (Step.SUMS, reason)


class ChainWithPrivacy(PlayedChain):
    """The first hospital's entry claims to have spent less than its account says."""

    claimed = 5

    def simulate(
        self, function: str, record: Record, organization: str, role: str = "client", chaincode: str = FEDERATION
    ) -> Call:
        if function == "ProposeStudy":
            record = world.terms(privacy=world.privacy_terms())
        if function == "ApproveStudy":
            terms = encode(world.terms(privacy=world.privacy_terms()))
            record = StudyApprovalRequest(study=world.STUDY, terms=chunk_digest(terms).hex())
        if function == "Anchor":
            record = world.anchor(privacy=world.privacy_entry())
        call = super().simulate(function, record, organization, role, chaincode)
        if function == "Anchor":
            anchor = decode(Anchor, call.arguments[0])
            fields = {name: getattr(anchor, name) for name in Anchor.__struct_fields__}
            claimed = world.privacy_entry(epsilon_after_micro=self.claimed)
            call.arguments = (encode(Anchor(**{**fields, "privacy": claimed})),)
        return call


def test_epsilon_is_added_up_whatever_the_contract_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replay, "check", lambda *_: None)
    chain = ChainWithPrivacy(PlayedConsortium())
    chain.begin_study()
    chain.activate()
    chain.play_round()
    found = verify_trail(chain.write(tmp_path / "trail.zip"), chain.roots())
    assert found.finding is not None
    assert found.finding.step is Step.SUMS
    assert re.search("AlphaMSP has spent epsilon .* millionths; 5 is written", found.finding.reason)
