"""Verifying the trail of a real network, offline."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from consilium_proto.records import RoundPhase
from consilium_trail.archive.manifest import SIGNATURES
from consilium_trail.archive.reading import TrailReader
from consilium_trail.errors import RootsError
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.results import Verdict, exit_code
from consilium_trail.verify import verify_trail

HOSPITALS = ("ClevelandMSP", "HungaryMSP", "LongBeachMSP", "SwitzerlandMSP")


def test_a_good_trail_is_sound_and_says_what_it_proves(good: Path, roots: TrustedRoots) -> None:
    found = verify_trail(good, roots)
    assert (found.verdict, found.finding, exit_code(found.verdict)) == (Verdict.SOUND, None, 0)
    assert (found.channel, found.exporter, found.genesis_trusted) == ("consilium", "ClevelandMSP", True)
    first, second = found.rounds
    for proof in (first, second):
        assert proof.fact.phase is RoundPhase.FINAL
        assert proof.endorsed_by == proof.fact.attested_by == HOSPITALS
        assert proof.policy.startswith("/Channel/Application/Endorsement: OutOf(3, 'ClevelandMSP.peer'")
    assert {each.code for each in first.fact.transactions} == {"VALID", "MVCC_READ_CONFLICT"}
    (dispute,) = second.fact.disputes
    assert (dispute.culprit, dispute.shown_by) == ("ClevelandMSP", "HungaryMSP")
    assert second.fact.barred == ("ClevelandMSP",)
    assert found.counts.not_replayed == {"_lifecycle": 5}


def test_progress_is_told_after_every_block(good: Path, roots: TrustedRoots) -> None:
    told: list[tuple[int, int]] = []
    found = verify_trail(good, roots, lambda done, total: told.append((done, total)))
    assert told == [(done, found.counts.blocks) for done in range(1, found.counts.blocks + 1)]


def test_exports_of_two_peers_differ_in_signatures_alone(
    good: Path, of_another_peer: Path, roots: TrustedRoots
) -> None:
    assert verify_trail(of_another_peer, roots).verdict is Verdict.SOUND
    with TrailReader(good) as one, TrailReader(of_another_peer) as other:
        assert one.manifest == other.manifest
        assert one.files.keys() == other.files.keys()
        differing = {name for name in one.files if one.files[name] != other.files[name]}
        assert differing
        assert all(name.startswith(SIGNATURES) for name in differing)


def test_the_verifier_needs_no_network_and_no_other_room() -> None:
    """Whoever verifies installs `consilium[trail]`, and nothing that talks, trains or decrypts."""
    code = "import sys, consilium_trail.verify; print(*sorted({each.partition('.')[0] for each in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert "consilium_chaincode" in loaded
    others = {"grpc", "torch", "tenseal", "opacus", "yaml", "consilium_peers", "consilium_network", "consilium_client"}
    assert not loaded & others


def test_without_the_first_block_s_hash_the_answer_says_so(good: Path, roots: TrustedRoots) -> None:
    found = verify_trail(good, replace(roots, genesis=None))
    assert (found.verdict, found.genesis_trusted) == (Verdict.SOUND, False)
    assert found.genesis == roots.genesis


def test_a_thousand_endorsements_a_second_and_core_at_a_third_of_that(good: Path, roots: TrustedRoots) -> None:
    verify_trail(good, roots)
    rates = []
    for _ in range(3):
        began = time.process_time()
        endorsements = verify_trail(good, roots).counts.endorsements
        rates.append(endorsements / (time.process_time() - began))
    assert max(rates) >= 1000 / 3


def test_roots_of_a_version_that_there_isnt_are_no_roots(roots: TrustedRoots) -> None:
    """A mistake in the file is said as one, whatever the library calls it."""
    der = next(iter(roots.certificates))
    version = b"\xa0\x03\x02\x01\x02"
    assert version in der
    text = base64.encodebytes(der.replace(version, version[:-1] + b"\x03", 1))
    with pytest.raises(RootsError, match="no certificates in PEM form"):
        TrustedRoots.parse(b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n")
