"""The channel's configuration: policies name hospitals only, and the regulator can't endorse."""

import re
from pathlib import Path

import msgspec
import pytest

from consilium_network.channel import administration_rule, channel_profile, endorsement_rule
from consilium_network.layout import NetworkFolder
from consilium_network.topology import packaged_topology


@pytest.fixture
def profile(tmp_path: Path) -> dict:
    return channel_profile(packaged_topology(), NetworkFolder(tmp_path))["Profiles"]["Consilium"]


def test_three_of_four_hospitals_endorse() -> None:
    assert endorsement_rule(packaged_topology()) == (
        "OutOf(3, 'ClevelandMSP.peer', 'HungaryMSP.peer', 'SwitzerlandMSP.peer', 'LongBeachMSP.peer')"
    )
    assert endorsement_rule(packaged_topology(3)).startswith("OutOf(2, ")
    assert administration_rule(packaged_topology()).startswith("OutOf(3, 'ClevelandMSP.admin'")


def test_policies_that_decide_are_explicit_and_name_hospitals_only(profile: dict) -> None:
    application = profile["Application"]["Policies"]
    deciding = [application["Endorsement"], application["LifecycleEndorsement"]]
    deciding += [place["Policies"]["Admins"] for place in (profile, profile["Application"], profile["Orderer"])]
    for policy in deciding:
        assert policy["Type"] == "Signature"
        assert "Regulator" not in policy["Rule"]
        assert "Aggregator" not in policy["Rule"]


def test_only_hospitals_can_endorse_or_approve(profile: dict) -> None:
    for organization in profile["Application"]["Organizations"]:
        hospital = organization["ID"] not in ("RegulatorMSP", "AggregatorMSP")
        assert ("Endorsement" in organization["Policies"]) == hospital


def test_every_orderer_is_a_consenter_with_an_identity_of_its_own(profile: dict) -> None:
    mapping = profile["Orderer"]["ConsenterMapping"]
    assert [each["ID"] for each in mapping] == [1, 2, 3, 4]
    assert len({each["Identity"] for each in mapping}) == 4
    assert profile["Orderer"]["OrdererType"] == "BFT"


def test_the_topology_says_how_often_a_block_is_cut(tmp_path: Path) -> None:
    topology = msgspec.structs.replace(packaged_topology(), block_interval_ms=100)
    orderer = channel_profile(topology, NetworkFolder(tmp_path))["Profiles"]["Consilium"]["Orderer"]
    assert (orderer["SmartBFT"]["RequestBatchMaxInterval"], orderer["BatchTimeout"]) == ("100ms", "100ms")


def test_smart_bft_accepts_the_timeouts(profile: dict) -> None:
    """The order between timeouts that SmartBFT's own configuration check demands."""
    options = profile["Orderer"]["SmartBFT"]
    milliseconds = {
        name: int(found[1]) * {"ms": 1, "s": 1_000, "m": 60_000}[found[2]]
        for name, value in options.items()
        if (found := re.fullmatch(r"(\d+)(ms|s|m)", str(value)))
    }
    assert milliseconds["RequestForwardTimeout"] <= milliseconds["RequestComplainTimeout"]
    assert milliseconds["RequestComplainTimeout"] <= milliseconds["RequestAutoRemoveTimeout"]
    assert milliseconds["ViewChangeResendInterval"] <= milliseconds["ViewChangeTimeout"]
