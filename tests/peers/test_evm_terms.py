"""The file of the EVM's terms, and what hospitals are shown of resolutions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consilium_network.evm import packaged_terms
from consilium_peers.ethereum.errors import TermsFileError
from consilium_peers.ethereum.resolution_view import as_json, as_text, overview
from consilium_peers.ethereum.terms_file import load_terms_file
from consilium_proto.canonical import decode, digest, encode
from consilium_proto.ethereum.resolutions import (
    BridgeDecision,
    BridgeTerms,
    EndorserAddition,
    EvmTerms,
    PendingResolution,
    Resolution,
    ResolutionsView,
)

HOSPITALS = ("AlphaMSP", "BetaMSP", "DeltaMSP", "GammaMSP")
WRITTEN = """revision: 3
chain_id: 902647151
gas_cap: 5000000
clock_tolerance: 30
block_tolerance: 50
rewards:
  token_name: Ward Token
  token_symbol: WARD
  round_cap: "0.5"
  epoch_cap: 20
"""


def file_of(folder: Path, text: str) -> Path:
    path = folder / "terms.yaml"
    path.write_text(text)
    return path


def test_a_file_says_what_the_ledger_keeps(tmp_path: Path) -> None:
    terms = load_terms_file(file_of(tmp_path, WRITTEN))
    assert (terms.revision, terms.gas_cap, terms.clock_tolerance, terms.block_tolerance) == (3, 5_000_000, 30, 50)
    assert terms.rewards is not None
    assert (terms.rewards.round_cap, terms.rewards.epoch_cap) == (hex(5 * 10**17), hex(20 * 10**18))
    assert decode(EvmTerms, encode(terms)) == terms


def test_rewards_may_be_left_out(tmp_path: Path) -> None:
    assert load_terms_file(file_of(tmp_path, WRITTEN.partition("rewards")[0])).rewards is None


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("revision: 3\n", "", "revision"),
        ("gas_cap: 5000000", "gas_cap: 20000", "gas_cap"),
        ("gas_cap: 5000000", "gas_cap: 16777217", "gas_cap"),
        ("block_tolerance: 50", "block_tolerance: many", "block_tolerance"),
        ("chain_id: 902647151", "chain_id: 0", "chain_id"),
        ("chain_id: 902647151", "chain: 902647151", "chain"),
        ("WARD", "ward", "token_symbol"),
        ('"0.5"', "0.5", "round_cap"),
        ('"0.5"', '"half"', "number of tokens"),
        ("epoch_cap: 20", "epoch_cap: 80000000000", "number of tokens"),
        ("revision: 3", "revision: [", "terms.yaml"),
    ],
)
def test_a_wrong_file_is_told_by_file_and_field(tmp_path: Path, old: str, new: str, match: str) -> None:
    assert old in WRITTEN
    with pytest.raises(TermsFileError, match=match) as raised:
        load_terms_file(file_of(tmp_path, WRITTEN.replace(old, new)))
    assert "terms.yaml" in str(raised.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TermsFileError, match=r"absent\.yaml"):
        load_terms_file(tmp_path / "absent.yaml")


def test_the_packaged_terms_are_first_terms_with_rewards() -> None:
    terms = packaged_terms()
    assert terms.revision == 1
    assert terms.rewards is not None


def pending(resolution: Resolution, *approved_by: str) -> PendingResolution:
    return PendingResolution(resolution=resolution, approved_by=approved_by)


def test_an_overview_says_who_is_still_to_approve() -> None:
    bridge = BridgeTerms(revision=1, chain_id=1, address="0x" + "b1" * 20)
    # A hospital that left the consortium approved too: its word doesn't count any more.
    view = ResolutionsView(
        terms=packaged_terms(), bridge=None, decisions=(), pending=(pending(bridge, "AlphaMSP", "OmegaMSP"),)
    )
    waiting = overview(view, HOSPITALS).pending[0]
    assert (waiting.approved_by, waiting.waiting_for, waiting.missing) == (HOSPITALS[:1], HOSPITALS[1:], 2)
    text = as_text(overview(view, HOSPITALS))
    assert "EVM terms, revision 1, in force" in text
    assert "1000 tokens" in text
    assert "bridge terms, revision 1, pending: 2 more approvals needed" in text
    assert digest(bridge) in text
    assert "BetaMSP, DeltaMSP, GammaMSP" in text


def test_a_majority_makes_a_resolution_ripe() -> None:
    bridge = BridgeTerms(revision=1, chain_id=1, address="0x" + "b1" * 20)
    view = ResolutionsView(terms=None, bridge=None, decisions=(), pending=(pending(bridge, *HOSPITALS[1:]),))
    assert overview(view, HOSPITALS).pending[0].missing == 0
    assert "can be enacted" in as_text(overview(view, HOSPITALS))
    assert "nothing is in force yet" in as_text(overview(view, HOSPITALS))


def test_scripts_read_the_records_themselves() -> None:
    decision = BridgeDecision(
        bridge=1, number=1, action=EndorserAddition(msp_id="AlphaMSP", certificate="0x" + "41" * 900)
    )
    view = ResolutionsView(terms=packaged_terms(), bridge=None, decisions=(), pending=(pending(decision),))
    shown = json.loads(as_json(overview(view, HOSPITALS)))
    assert shown["terms"]["rewards"]["round_cap"] == hex(1000 * 10**18)
    assert shown["pending"][0]["resolution"]["action"]["certificate"] == "0x" + "41" * 900
    assert shown["pending"][0]["missing"] == 3
    # For people, what fills screens is cut.
    assert "characters)" in as_text(overview(view, HOSPITALS))
