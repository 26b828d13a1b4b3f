"""Topologies: what the packaged ones say, and that one that can't work is refused with the reason."""

import math

import pytest

from consilium_network.errors import TopologyError
from consilium_network.topology import (
    PORTS_PER_ORGANIZATION,
    Listener,
    load_topology,
    packaged_topology,
    parse_topology,
)

HOSPITALS = "\n".join(
    f"  - {{name: h{n}, msp_id: H{n}MSP, role: hospital, first_port: {9000 + 100 * n}}}" for n in range(4)
)
AGGREGATOR = "  - {name: agg, msp_id: AggMSP, role: aggregator, first_port: 9900}"


def text(*organizations: str, channel: str = "consilium") -> bytes:
    return f"channel: {channel}\norganizations:\n{chr(10).join(organizations)}\n".encode()


def test_the_default_has_four_hospitals_each_with_an_orderer() -> None:
    topology = packaged_topology()
    assert [each.name for each in topology.hospitals] == ["cleveland", "hungary", "switzerland", "longbeach"]
    assert topology.orderers == topology.hospitals
    assert [each.name for each in topology.peers][-1] == "regulator"
    assert topology.endorsement_quorum == 3


def test_with_three_hospitals_the_regulator_runs_the_fourth_orderer() -> None:
    topology = packaged_topology(3)
    assert len(topology.orderers) == 4
    assert topology.organization("regulator").has_orderer
    assert topology.endorsement_quorum == 2


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 10])
def test_the_quorum_is_two_thirds_rounded_up(count: int) -> None:
    lines = [f"  - {{name: h{n}, msp_id: H{n}, role: hospital, first_port: {9000 + 100 * n}}}" for n in range(count)]
    extra = "  - {name: r, msp_id: R, role: regulator, orderer: true, first_port: 12000}"
    aggregator = "  - {name: agg, msp_id: AggMSP, role: aggregator, first_port: 12900}"
    topology = parse_topology(text(*lines, extra, aggregator), "test")
    assert topology.endorsement_quorum == math.ceil(2 * count / 3)
    assert topology.administration_quorum > count / 2


def test_moving_ports_moves_every_listener_and_keeps_them_apart() -> None:
    topology = packaged_topology().with_ports_from(20_000)
    ports = [each.port(listener) for each in topology.organizations for listener in Listener]
    assert len(set(ports)) == len(ports)
    assert min(ports) == 20_000
    assert max(ports) < 20_000 + PORTS_PER_ORGANIZATION * len(topology.organizations)


def test_what_is_written_reads_back_equal() -> None:
    topology = packaged_topology(3).with_ports_from(21_000)
    assert parse_topology(topology.to_yaml(), "again") == topology


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (b"channel: consilium\n", "organizations"),
        (b"channel: [", "test"),
        (text(HOSPITALS, AGGREGATOR, channel="Consilium!"), "channel"),
        (text(HOSPITALS), "aggregator"),
        (text(AGGREGATOR), "0 hospitals"),
        (text(*HOSPITALS.splitlines()[:3], AGGREGATOR), "3 orderers"),
        (text(HOSPITALS, HOSPITALS.splitlines()[0], AGGREGATOR), "two organisations are named 'h0'"),
        (text(HOSPITALS, "  - {name: x, msp_id: H0MSP, role: regulator, first_port: 9800}", AGGREGATOR), "same msp_id"),
        (text(HOSPITALS, "  - {name: x, msp_id: X, role: regulator, first_port: 9010}", AGGREGATOR), "overlap"),
        (text(HOSPITALS, "  - {name: x, msp_id: X, role: king, first_port: 9800}", AGGREGATOR), "king"),
        (text(HOSPITALS, "  - {name: x, msp_id: X, role: regulator, first_port: 80}", AGGREGATOR), "first_port|1024"),
        (text(HOSPITALS, "  - {name: x, msp_id: X, role: regulator, port: 9800}", AGGREGATOR), "port"),
        (text(HOSPITALS, "  - {name: ../x, msp_id: X, role: regulator, first_port: 9800}", AGGREGATOR), "name"),
        (
            text(HOSPITALS, "  - {name: x, msp_id: X, role: regulator, first_port: 9800, host: 'a b'}", AGGREGATOR),
            "host",
        ),
        (text(HOSPITALS, AGGREGATOR.replace("}", ", orderer: true}")), "can't run an orderer"),
    ],
)
def test_a_topology_that_cannot_work_is_refused_by_name(document: bytes, expected: str) -> None:
    with pytest.raises(TopologyError, match=expected) as caught:
        parse_topology(document, "test")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(TopologyError, match=r"nowhere\.yaml"):
        load_topology(tmp_path / "nowhere.yaml")


def test_an_unknown_organisation_is_answered_with_those_that_exist() -> None:
    with pytest.raises(TopologyError, match="cleveland, hungary"):
        packaged_topology().organization("utopia")
