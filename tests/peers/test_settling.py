"""From the signed envelope to its outcome: peers stop, callers give up, gateways are closed, certificates expire."""

from __future__ import annotations

import asyncio
import datetime
import time
from typing import Any

import grpc
import pytest
from played_gateway import BLOCK, Hangs, PlayedGateway, Refuses

from consilium_peers import commit, connection, identity
from consilium_peers.errors import ClosedError, CommitStatusError, IdentityError, SubmitError
from consilium_peers.gateway import Contract, Gateway

Both = tuple[PlayedGateway, PlayedGateway]
STOPPING = Refuses(grpc.StatusCode.ABORTED, "unexpected close of commit notification channel")
STARTING = Refuses(grpc.StatusCode.FAILED_PRECONDITION, "channel consilium not found")


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "RESEND_SECONDS", 0.3)
    monkeypatch.setattr(commit, "PAUSE_SECONDS", 0.02)


async def until_called(gateway: PlayedGateway, stage: str) -> None:
    async with asyncio.timeout(5):
        while not gateway.calls[stage]:
            await asyncio.sleep(0.01)


def count(gateways: Both, stage: str) -> int:
    return sum(len(each.calls[stage]) for each in gateways)


async def test_a_peer_that_stops_while_it_is_asked_is_not_the_outcome(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", STOPPING)
    assert (await contract.submit("Put")).block == BLOCK
    assert gateways[1].calls["status"]
    assert count(gateways, "endorse") == 1


async def test_no_peer_that_stops_ends_the_waiting(contract: Contract, gateways: Both) -> None:
    for each in gateways:
        each.will("status", STOPPING, Refuses(grpc.StatusCode.NOT_FOUND, "no such ledger"))
    assert (await contract.submit("Put")).block == BLOCK
    assert count(gateways, "endorse") == 1
    assert count(gateways, "submit") >= 2


async def test_who_may_not_ask_for_the_outcome_hears_it_at_once(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", Refuses(grpc.StatusCode.PERMISSION_DENIED, "not a reader"))
    with pytest.raises(CommitStatusError, match="not a reader"):
        await contract.submit("Put")


async def test_a_gateway_that_knows_no_orderers_yet_is_passed_over(contract: Contract, gateways: Both) -> None:
    gateways[0].will("submit", STARTING)
    assert (await contract.submit("Put")).block == BLOCK
    assert len(gateways[1].calls["submit"]) == 1


async def test_orderers_refusal_is_final_when_it_is_their_first_word(contract: Contract, gateways: Both) -> None:
    gateways[0].will("submit", Refuses(grpc.StatusCode.INVALID_ARGUMENT, "prepared transaction must be signed"))
    with pytest.raises(SubmitError, match="must be signed"):
        await contract.submit("Put")
    assert count(gateways, "submit") == 1


# ---- callers that give up


async def test_who_is_cancelled_sends_nothing_more(contract: Contract, gateways: Both) -> None:
    for each in gateways:
        each.will("status", *(Hangs() for _ in range(50)))
    before = asyncio.all_tasks()
    submitting = asyncio.create_task(contract.submit("Put", timeout=60))
    await until_called(gateways[0], "status")
    submitting.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    assert time.monotonic() - began < 0.2
    sent = count(gateways, "submit")
    await asyncio.sleep(0.7)
    assert count(gateways, "submit") == sent
    assert not [task for task in asyncio.all_tasks() - before if "consilium_peers" in repr(task)]
    assert await contract.evaluate("Get") == b"answer"


@pytest.mark.parametrize("stage", ["endorse", "submit", "status"])
async def test_cancelling_ends_every_stage(contract: Contract, gateways: Both, stage: str) -> None:
    gateways[0].will(stage, Hangs())
    submitting = asyncio.create_task(contract.submit("Put", timeout=60))
    await until_called(gateways[0], stage)
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    await asyncio.sleep(0.2)
    assert not gateways[1].calls


async def test_who_was_cancelled_may_ask_again_with_the_same_envelope(contract: Contract, gateways: Both) -> None:
    gateways[0].will("status", Hangs())
    transaction = await contract.propose("Put").endorse()
    settling = asyncio.create_task(transaction.settle(60))
    await until_called(gateways[0], "status")
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    status = await transaction.settle(5)
    assert (status.valid, status.block) == (True, BLOCK)
    sent = [call.SerializeToString() for each in gateways for call in each.calls["submit"]]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    assert count(gateways, "endorse") == 1


# ---- gateways that are closed


async def test_closing_ends_a_call_with_an_error_and_not_as_if_cancelled(
    gateway: Gateway, contract: Contract, gateways: Both
) -> None:
    gateways[0].will("evaluate", Hangs())
    asking = asyncio.create_task(contract.evaluate("Get", timeout=30))
    await until_called(gateways[0], "evaluate")
    await gateway.connections.close()
    with pytest.raises(ClosedError, match="closed"):
        await asyncio.wait_for(asking, 2)


async def test_a_closed_gateway_stays_closed(gateway: Gateway, contract: Contract, gateways: Both) -> None:
    await gateway.connections.close()
    with pytest.raises(ClosedError, match="connect again"):
        await contract.submit("Put")
    assert not gateways[0].calls


# ---- who asks, and whom


async def test_a_query_can_be_kept_to_trusted_organisations(contract: Contract, gateways: Both) -> None:
    await contract.evaluate("Get", organizations=["ClevelandMSP"])
    assert list(gateways[0].calls["evaluate"][0].target_organizations) == ["ClevelandMSP"]
    await contract.evaluate("Get")
    assert not gateways[0].calls["evaluate"][1].target_organizations


async def test_a_certificate_that_expires_meanwhile_is_named_before_anything_is_sent(
    contract: Contract, gateways: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    await contract.evaluate("Get")

    class InTwoDays(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> InTwoDays:
            return cls.fromtimestamp(time.time() + 2 * 86400, tz)

    monkeypatch.setattr(identity, "datetime", InTwoDays)
    with pytest.raises(IdentityError, match="renew it"):
        await contract.submit("Put")
    assert not gateways[0].calls["endorse"]


async def test_a_gateway_that_stays_away_is_tried_less_and_less(
    gateway: Gateway, contract: Contract, gateways: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REST_SECONDS", 0.1)
    gateways[0].will("evaluate", *(Refuses(grpc.StatusCode.UNAVAILABLE) for _ in range(1000)))
    began = time.monotonic()
    while time.monotonic() - began < 1.2:
        await contract.evaluate("Get")
        await asyncio.sleep(0.01)
    assert 2 <= len(gateways[0].calls["evaluate"]) <= 5  # after 0, .1, .3, .7, 1.5 s
