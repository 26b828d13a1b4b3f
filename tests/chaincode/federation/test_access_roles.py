"""Who reads and who exports, by the attribute of the certificate: the contract refuses, whatever a program asks."""

from __future__ import annotations

import pytest
from every_function import ARGUMENTS
from federation_ledger import FederationLedger
from federation_world import ALPHA, BETA, GAMMA, HOSPITALS, REGULATOR, STUDY, consortium

from consilium_chaincode.federation.contract import FederationContract
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_proto.refusals import RefusalCode

READS = sorted(name for name, (_, read_only) in FederationContract._functions.items() if read_only)
WRITES = sorted(set(FederationContract._functions) - set(READS))
OPEN_TO_THE_CHANNEL = {"ReadConsortium", "ListStudies"}
ORGANIZATIONS = [REGULATOR, ALPHA]


@pytest.fixture
def told(channel: FederationLedger) -> FederationLedger:
    """A channel on which every query has an answer."""
    channel.submit("RegisterHospitalKey", ARGUMENTS["RegisterHospitalKey"], ALPHA)
    channel.open_round()
    return channel


def may(channel: FederationLedger, function: str, organization: str, access: str | None) -> bool:
    outcome = channel.propose(function, ARGUMENTS[function], organization, access=access)
    if isinstance(outcome, Simulation):
        return True
    assert outcome.code is RefusalCode.FORBIDDEN, outcome
    return False


def test_there_is_an_argument_for_every_function() -> None:
    assert set(ARGUMENTS) == set(FederationContract._functions)


@pytest.mark.parametrize("organization", ORGANIZATIONS)
@pytest.mark.parametrize("access", ["auditor", "compliance"])
@pytest.mark.parametrize("function", WRITES)
def test_who_reads_by_role_writes_nothing(
    told: FederationLedger, function: str, access: str, organization: str
) -> None:
    for role in ("client", "admin"):
        told.refuse(RefusalCode.FORBIDDEN, function, ARGUMENTS[function], organization, role, access=access)


@pytest.mark.parametrize("organization", ORGANIZATIONS)
@pytest.mark.parametrize("access", ["auditor", "compliance", "admin"])
def test_what_each_role_reads(told: FederationLedger, access: str, organization: str) -> None:
    allowed = {name for name in READS if may(told, name, organization, access)}
    assert allowed == set(READS) - ({"AuthorizeExport"} if access == "auditor" else set())


@pytest.mark.parametrize("organization", ORGANIZATIONS)
@pytest.mark.parametrize("access", ["surgeon", "", "Auditor", "auditor,admin"])
def test_an_unknown_role_may_nothing(told: FederationLedger, access: str, organization: str) -> None:
    for function, argument in ARGUMENTS.items():
        for role in ("client", "admin"):
            told.refuse(RefusalCode.FORBIDDEN, function, argument, organization, role, access=access)


def test_without_a_role_only_who_takes_part_reads(told: FederationLedger) -> None:
    assert {name for name in READS if may(told, name, REGULATOR, None)} == OPEN_TO_THE_CHANNEL
    assert all(may(told, name, BETA, None) for name in READS)


def test_an_administrators_role_takes_nothing_from_it_and_gives_a_client_nothing(told: FederationLedger) -> None:
    closing = ARGUMENTS["CloseStudy"]
    told.refuse(RefusalCode.FORBIDDEN, "CloseStudy", closing, ALPHA, "client", access="admin")
    told.refuse(RefusalCode.FORBIDDEN, "CloseStudy", closing, REGULATOR, "admin", access="admin")
    # It is a round that is in the way, not the role.
    told.refuse(RefusalCode.WRONG_PHASE, "CloseStudy", closing, ALPHA, "admin", access="admin")


def test_a_hospital_that_left_reads_what_it_took_part_in(told: FederationLedger) -> None:
    revised = consortium(revision=2, hospitals=tuple(name for name in HOSPITALS if name != GAMMA))
    for hospital in HOSPITALS[:3]:
        told.submit("ApproveConsortium", revised, hospital, "admin")
    told.submit("EnactConsortium", revised, ALPHA, "admin")
    reads = {name for name in READS if may(told, name, GAMMA, None)}
    assert reads == {*OPEN_TO_THE_CHANNEL, "ReadStudy", "ReadKeyEpoch", "ReadRound", "AuthorizeExport"}


def test_a_study_that_is_not_there_is_not_found_by_who_may_read(told: FederationLedger) -> None:
    told.refuse(RefusalCode.NOT_FOUND, "ReadStudy", b'{"protocol":1,"study":"other"}', REGULATOR, access="auditor")
    assert told.study().study.terms.study == STUDY
