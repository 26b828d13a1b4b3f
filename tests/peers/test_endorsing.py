"""What prevents an endorsement: some of it passes by itself, some of it is final."""

from __future__ import annotations

import time

import grpc
import pytest
from played_gateway import BLOCK, PlayedGateway, Refuses

from consilium_peers import endorsing
from consilium_peers.errors import EndorseError, PeerDetail
from consilium_peers.gateway import Contract
from consilium_proto.refusals import RefusalCode

Both = tuple[PlayedGateway, PlayedGateway]
NONE_ENDORSED = "failed to endorse transaction, see attached details for more info"
TOO_FEW_ENDORSED = "failed to collect enough transaction endorsements, see attached details for more info"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endorsing, "PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(endorsing, "SETTLING_SECONDS", 0.4)


def aborted(reason: str, *messages: str) -> Refuses:
    details = [PeerDetail("HungaryMSP", "127.0.0.1:7051", message) for message in messages]
    return Refuses(grpc.StatusCode.ABORTED, reason, details)


def proposed(gateways: Both) -> list[str]:
    return [call.transaction_id for each in gateways for call in each.calls["endorse"]]


@pytest.mark.parametrize(
    "said",
    [
        "failed to execute transaction 1f: could not launch chaincode probe_1:ab: connection refused",
        "failed to execute transaction 1f: error sending: chaincode stream terminated",
    ],
)
async def test_where_the_chaincode_is_away_another_gateway_is_asked(
    contract: Contract, gateways: Both, said: str
) -> None:
    gateways[0].will("endorse", aborted(NONE_ENDORSED, said))
    await contract.submit("Put")
    assert [len(each.calls["endorse"]) for each in gateways] == [1, 1]
    assert len(set(proposed(gateways))) == 1, "the same proposal: nothing was endorsed yet"


async def test_peers_that_cannot_be_reached_are_awaited(contract: Contract, gateways: Both) -> None:
    said = 'rpc error: code = Unavailable desc = connection error: desc = "connect: connection refused"'
    gateways[0].will("endorse", *(aborted(TOO_FEW_ENDORSED, said) for _ in range(30)))  # longer than they may differ
    assert (await contract.submit("Put", timeout=20)).block == BLOCK
    assert len(set(proposed(gateways))) == 31


@pytest.mark.parametrize("said", ["ProposalResponsePayloads do not match", "chaincode response 404, NOT_FOUND: no S9"])
async def test_peers_a_block_apart_are_asked_again(contract: Contract, gateways: Both, said: str) -> None:
    gateways[0].will("endorse", aborted(TOO_FEW_ENDORSED, said), aborted(TOO_FEW_ENDORSED, said))
    result = await contract.submit("Put")
    assert proposed(gateways)[-1] == result.tx_id
    assert len(set(proposed(gateways))) == 3
    assert not gateways[1].calls["endorse"], "the gateway isn't to blame"


async def test_peers_that_go_on_differing_are_believed(contract: Contract, gateways: Both) -> None:
    said = "chaincode response 404, NOT_FOUND: no S9"
    gateways[0].will("endorse", *(aborted(TOO_FEW_ENDORSED, said) for _ in range(1000)))
    began = time.monotonic()
    with pytest.raises(EndorseError) as caught:
        await contract.submit("Put", timeout=20)
    assert 0.2 < time.monotonic() - began < 3
    assert caught.value.refusal is RefusalCode.NOT_FOUND


async def test_a_gateway_that_goes_on_finding_no_endorsers_is_believed(contract: Contract, gateways: Both) -> None:
    missing = Refuses(grpc.StatusCode.FAILED_PRECONDITION, "no combination of peers can be derived")
    for each in gateways:
        each.will("endorse", *(missing for _ in range(1000)))
    began = time.monotonic()
    with pytest.raises(EndorseError, match="no combination of peers"):
        await contract.submit("Put", timeout=20)
    assert 0.2 < time.monotonic() - began < 3


@pytest.mark.parametrize(
    "said",
    [
        "chaincode response 400, WRONG_PHASE: round 3 is sealed",
        "chaincode response 500, something without a code",
        "error validating proposal: access denied: channel [consilium] creator org [XMSP]",
    ],
)
async def test_what_the_first_endorser_refuses_is_final(contract: Contract, gateways: Both, said: str) -> None:
    gateways[0].will("endorse", aborted(NONE_ENDORSED, said))
    with pytest.raises(EndorseError) as caught:
        await contract.submit("Put")
    assert [detail.message for detail in caught.value.details] == [said]
    assert len(proposed(gateways)) == 1
