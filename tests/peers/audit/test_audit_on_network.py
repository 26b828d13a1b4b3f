"""What an auditor asks of a real ledger through the regulator's own peer: in Python, and from the command line."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import itertools
import json
from typing import Any

import pytest
from audited_study import ROUNDS, AuditedStudy

from consilium_command import main
from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.history import History, read_history
from consilium_peers.audit.key_holders import key_holders
from consilium_peers.audit.round_costs import round_costs
from consilium_peers.audit.transitions import transitions
from consilium_peers.errors import BlocksError
from consilium_peers.gateway import Gateway
from consilium_trail.blocks.block import decode_block

pytestmark = pytest.mark.network

HONEST = ["OPEN", "SEALED", "ANCHORED", "AGGREGATED", "CHALLENGED", "VERIFIED", "FINAL"]
HOSPITALS = ("ClevelandMSP", "HungaryMSP", "LongBeachMSP", "SwitzerlandMSP")


async def history_of(audited: AuditedStudy) -> History:
    async with Gateway.connect(audited.profile("regulator", "auditor")) as gateway:
        return await read_history(gateway.network())


async def ask(audited: AuditedStudy, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command as the regulator's auditor; it must succeed."""
    command = ["audit", *words, "--profile", str(audited.network.profile("regulator", "auditor"))]
    code = await asyncio.to_thread(main, command)
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return shown.out


async def ask_json(audited: AuditedStudy, capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(await ask(audited, capsys, *words, "--json"))


async def test_blocks_come_from_the_regulators_own_peer_and_resume_anywhere(audited: AuditedStudy) -> None:
    async with Gateway.connect(audited.profile("regulator", "auditor")) as gateway:
        network = gateway.network()
        height = await network.height()
        whole = [block async for block in network.blocks(0, height)]
        assert [block.number for block in whole] == list(range(height))
        assert [block async for block in network.blocks(height - 3, height)] == whole[-3:]
    for before, block in itertools.pairwise(whole):
        assert decode_block(block.content).header.previous_hash == decode_block(before.content).header.hash()


async def test_every_peer_delivers_the_same_blocks_to_every_member(audited: AuditedStudy) -> None:
    seen = []
    for organization, user in (("regulator", "auditor"), ("hungary", "client"), ("aggregator", "client")):
        async with Gateway.connect(audited.profile(organization, user)) as gateway:
            blocks = [decode_block(block.content) async for block in gateway.network().blocks(0, 20)]
            seen.append([(block.header, block.envelopes, block.flags) for block in blocks])
    assert seen[0] == seen[1] == seen[2]


async def test_a_block_that_is_not_there_is_an_error_not_a_silence(audited: AuditedStudy) -> None:
    async with Gateway.connect(audited.profile("regulator", "auditor")) as gateway:
        network = gateway.network()
        height = await network.height()
        with pytest.raises(BlocksError, match="NOT_FOUND"):
            async for _ in network.blocks(height + 1000, height + 1001, patience=1):
                pass


async def test_a_stream_without_end_shows_blocks_as_they_come(audited: AuditedStudy) -> None:
    async with Gateway.connect(audited.profile("cleveland", "client")) as gateway:
        network = gateway.network()
        height = await network.height()
        async with contextlib.aclosing(network.blocks(height)) as blocks, asyncio.timeout(30):
            coming = asyncio.ensure_future(anext(blocks))
            await asyncio.sleep(0.2)
            assert not coming.done()
            await network.contract().submit(
                "RegisterHospitalKey", b'{"protocol":1,"wrapping_key":"09%s"}' % (b"00" * 31)
            )
            assert (await coming).number == height


async def test_the_rounds_of_a_study_with_every_transition(audited: AuditedStudy) -> None:
    history = await history_of(audited)
    found = transitions(history, audited.name)
    assert [each.phase for each in found] == HONEST * ROUNDS
    assert {each.round for each in found} == {1, 2}
    for each in found:
        assert set(each.endorsers) <= set(HOSPITALS)
        assert len(each.endorsers) >= 3
    assert found[-1].attested_by == HOSPITALS
    assert len({each.tx_id for each in found}) == len(found)
    costs = round_costs(history, audited.name)
    # Opened once, six transitions, and what each of four hospitals and the aggregator wrote.
    assert [cost.transactions - cost.invalid for cost in costs] == [1 + 6 + 6 * 4 + 1] * ROUNDS
    assert all(0 < cost.seen_after_ms_median < 60_000 for cost in costs)
    assert [each.holder for each in key_holders(history, audited.name, 1)] == list(HOSPITALS)
    with pytest.raises(NotOnLedgerError, match="no study 'another'"):
        transitions(history, "another")


async def test_every_question_has_a_table_json_and_csv(
    audited: AuditedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    study = audited.name
    questions = {
        "studies": [],
        "rounds": [study],
        "participation": [study, "HungaryMSP"],
        "holders": [study, "1"],
        "privacy": ["--study", study],
        "accounts": ["--study", study],
        "disputes": [study],
        "lineage": [study],
        "certificates": [],
        "costs": [study],
        "blocks": ["--from", "0", "--to", "9"],
        "history": [f"round/{study}/1"],
    }
    empty = {"privacy", "accounts", "disputes"}  # an honest study without privacy terms
    for question, words in questions.items():
        rows = await ask_json(audited, capsys, question, *words)
        assert bool(rows) is (question not in empty), question
        table = await ask(audited, capsys, question, *words)
        assert len(table.splitlines()) == (len(rows) + 2 if rows else 1), question
        parsed = list(csv.DictReader(io.StringIO(await ask(audited, capsys, question, *words, "--csv"))))
        assert len(parsed) == len(rows), question
        if rows:
            assert list(parsed[0]) == list(rows[0])


async def test_an_auditor_may_choose_whose_peer_answers(
    audited: AuditedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    """Orderers' signatures differ from peer to peer, hashes don't."""
    words = ("blocks", "--from", "0", "--to", "9")
    own = await ask_json(audited, capsys, *words, "--peer", "RegulatorMSP")
    other = await ask_json(audited, capsys, *words, "--peer", "HungaryMSP")
    assert [each["hash"] for each in own] == [each["hash"] for each in other]
    assert len(own) == 10


async def test_a_transaction_with_everything_in_it(audited: AuditedStudy, capsys: pytest.CaptureFixture[str]) -> None:
    (opened, *_) = await ask_json(audited, capsys, "rounds", audited.name, "--round", "1")
    shown = await ask_json(audited, capsys, "tx", opened["tx_id"])
    assert shown["function"] == "OpenRound"
    assert shown["validation_code"] == "VALID"
    assert shown["creator"]["organization"] == opened["author"]
    assert {each["organization"] for each in shown["endorsers"]} == set(opened["endorsers"])
    assert shown["event"]["name"] == "RoundOpened"
    written = [write["key"] for each in shown["reads_and_writes"] for write in each["writes"]]
    assert f"round/{audited.name}/1" in written
    assert "function: OpenRound" in await ask(audited, capsys, "tx", opened["tx_id"])


async def test_the_history_of_a_key_is_its_every_value(
    audited: AuditedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = await ask_json(audited, capsys, "history", f"round/{audited.name}/2")
    assert [json.loads(change["value"])["phase"] for change in changes] == HONEST


async def test_certificates_of_the_ledger_are_valid_now_and_not_before_they_were_made(
    audited: AuditedStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    now = await ask_json(audited, capsys, "certificates")
    assert {each["state"] for each in now} == {"valid"}
    assert {"orders", "root", "TLS root", "sent", "endorsed"} == {act for each in now for act in each["acts"]}
    early = await ask_json(audited, capsys, "certificates", "--at", "2001-01-01")
    assert {each["state"] for each in early} == {"not yet valid"}
    late = await ask_json(audited, capsys, "certificates", "--at", "2101-01-01T00:00:00Z")
    assert {each["state"] for each in late} == {"expired"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rounds", "absent"], "there is no study 'absent'"),
        (["tx", "0" * 64], "there is no transaction"),
        (["history", "round/absent/1"], "wrote the key 'round/absent/1'"),
        (["blocks", "--from", "5", "--to", "4"], "the ledger has blocks 0 to"),
        (["studies", "--peer", "NobodyMSP"], "names no peer of NobodyMSP"),
    ],
)
async def test_what_is_not_there_is_one_line(
    audited: AuditedStudy, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    profile = str(audited.network.profile("regulator", "auditor"))
    assert await asyncio.to_thread(main, ["audit", *words, "--profile", profile]) == 1
    shown = capsys.readouterr().err
    *progress, said = shown.splitlines()
    assert said.startswith("error: ")
    assert message in said
    assert all(line.startswith("read ") for line in progress)
