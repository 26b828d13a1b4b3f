"""A trail exported from a real ledger: equal from two peers but for signatures, and only by who may."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from audited_study import ROUNDS, AuditedStudy

from consilium_command import main
from consilium_peers.audit.history import History, read_history
from consilium_peers.audit.report.making import HTML, PDF, reports_of
from consilium_peers.audit.transitions import transitions
from consilium_peers.federation import Federation
from consilium_peers.gateway import Gateway
from consilium_proto.records import HospitalKey
from consilium_trail.facts import StudyFacts

pytestmark = pytest.mark.network


async def export(audited: AuditedStudy, out: Path, organization: str, user: str, *words: str) -> int:
    profile = str(audited.network.profile(organization, user))
    command = ["audit", "export", "--study", audited.name, "--out", str(out), "--profile", profile, *words]
    return await asyncio.to_thread(main, command)


def files_of(trail: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(trail) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_two_peers_exports_differ_in_signatures_alone(audited: AuditedStudy, tmp_path: Path) -> None:
    """Also when the ledger has grown between them."""
    one, other = tmp_path / "one.zip", tmp_path / "other.zip"
    assert await export(audited, one, "regulator", "compliance", "--peer", "RegulatorMSP") == 0
    async with Gateway.connect(audited.profile("cleveland", "client")) as gateway:
        key = HospitalKey(wrapping_key="09" + "00" * 31)
        await Federation(gateway.network().contract()).register_hospital_key(key)
    assert await export(audited, other, "hungary", "client", "--peer", "HungaryMSP") == 0
    first, second = files_of(one), files_of(other)
    assert first.keys() == second.keys()
    different = {name for name in first if first[name] != second[name]}
    assert "signatures/exporter.json" in different
    assert all(name.startswith("signatures/") for name in different)
    assert {"report/report.html", "report/report.pdf", "report/facts.json"} <= first.keys()


async def test_the_same_peer_twice_gives_the_same_trail_but_for_fresh_signatures(
    audited: AuditedStudy, tmp_path: Path
) -> None:
    """ECDSA signatures are drawn anew each time; everything else is the same file."""
    paths = [tmp_path / "first.zip", tmp_path / "second.zip"]
    for path in paths:
        assert await export(audited, path, "regulator", "compliance", "--round", "1") == 0
    first, second = map(files_of, paths)
    different = {name for name in first if first[name] != second[name]}
    assert {name for name in different if not name.endswith(".dsse.json")} <= {"signatures/manifest.json"}
    manifest = json.loads(first["manifest.json"])
    assert manifest["rounds"] == [1]


async def test_the_reports_say_what_the_ledger_says(audited: AuditedStudy, tmp_path: Path) -> None:
    trail = tmp_path / "trail.zip"
    assert await export(audited, trail, "regulator", "compliance") == 0
    files = files_of(trail)
    page = files["report/report.html"].decode()
    facts = json.loads(files["report/facts.json"])
    assert hashlib.sha256(files["report/facts.json"]).hexdigest() in page
    assert len(facts["rounds"]) == ROUNDS
    assert all(each["model"] in page for each in facts["rounds"])
    assert page.count("<svg") >= 3
    assert "<script" not in page
    assert "Not on the ledger" in page
    pages = files["report/report.pdf"]
    assert pages.startswith(b"%PDF-")
    assert hashlib.sha256(files["report/facts.json"]).hexdigest().encode() in pages


@pytest.mark.parametrize("organization", ["regulator", "hungary"])
async def test_an_auditor_exports_nothing_in_its_organisations_name(
    audited: AuditedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str], organization: str
) -> None:
    trail = tmp_path / "trail.zip"
    assert await export(audited, trail, organization, "auditor") == 1
    shown = capsys.readouterr().err
    assert "FORBIDDEN: a certificate whose consilium.role is 'auditor' may not call this" in shown
    assert shown.count("\n") == 1
    assert not trail.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--round", "99"], "has no round 99"),
        (["--study", "absent"], "NOT_FOUND: there is no study absent"),
        (["--out", "/dev/null/trail.zip"], "/dev/null"),
    ],
)
async def test_what_cannot_be_exported_is_one_line(
    audited: AuditedStudy, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert await export(audited, tmp_path / "trail.zip", "regulator", "compliance", *words) == 1
    shown = capsys.readouterr().err
    *progress, said = shown.splitlines()
    assert said.startswith("error: ")
    assert message in said
    assert all(line.startswith("read ") for line in progress)
    assert not list(tmp_path.iterdir())


async def verify(trail: Path, roots: Path, *words: str) -> int:
    return await asyncio.to_thread(main, ["audit", "verify", str(trail), "--roots", str(roots), *words])


@pytest.fixture
def roots(audited: AuditedStudy) -> Path:
    return audited.network.folder.organization("regulator").trusted_roots


async def test_an_exported_trail_verifies_offline(
    audited: AuditedStudy, roots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail = tmp_path / "trail.zip"
    assert await export(audited, trail, "regulator", "compliance") == 0
    capsys.readouterr()
    assert await verify(trail, roots, "--json") == 0, capsys.readouterr().out
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["study"], found["genesis_trusted"]) == ("sound", audited.name, True)
    assert (found["exporter"], found["reports"]) == ("RegulatorMSP", "what the blocks lead to")
    assert (found["exporter_name"], found["exporter_role"]) == ("compliance.regulator", "compliance")
    assert found["remark"] is None
    for each in found["rounds"]:
        assert each["phase"] == "FINAL"
        assert len(each["attested_by"]) == 4
        assert set(each["endorsed_by"]) == set(each["attested_by"])
        assert "OutOf(3," in each["policy"]
    assert await verify(trail, roots) == 0
    assert f"sound: study {audited.name}" in capsys.readouterr().out


async def test_who_signs_without_asking_the_contract_is_told_of(
    audited: AuditedStudy,
    roots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def asks_nobody(*_: object) -> None:
        return

    monkeypatch.setattr(Federation, "authorize_export", asks_nobody)
    trail = tmp_path / "trail.zip"
    assert await export(audited, trail, "regulator", "auditor") == 0
    capsys.readouterr()
    assert await verify(trail, roots) == 0
    shown = capsys.readouterr().out
    assert "exported by RegulatorMSP (auditor.regulator, auditor)" in shown
    assert "remark: a certificate whose consilium.role is 'auditor' may not export" in shown


async def test_one_round_alone_verifies_too(audited: AuditedStudy, roots: Path, tmp_path: Path) -> None:
    trail = tmp_path / "trail.zip"
    assert await export(audited, trail, "hungary", "client", "--round", "1") == 0
    assert await verify(trail, roots) == 0


async def test_unsound_and_unreadable_are_told_apart_without_a_traceback(
    audited: AuditedStudy, roots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail, forged, cut = tmp_path / "trail.zip", tmp_path / "forged.zip", tmp_path / "cut.zip"
    assert await export(audited, trail, "regulator", "compliance") == 0
    whole = trail.read_bytes()
    name = audited.name.encode()
    forged.write_bytes(whole.replace(b"Study " + name, b"Study " + name[::-1], 1))
    cut.write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert await verify(forged, roots) == 1
    assert "unsound: step 1 (digests), report/report.html" in capsys.readouterr().out
    assert await verify(cut, roots, "--json") == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "unreadable"
    for path, trusted in ((tmp_path / "absent.zip", roots), (trail, tmp_path / "absent.pem")):
        assert await verify(path, trusted) == 2
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err + shown.out
        assert "absent" in shown.err + shown.out


async def test_a_report_that_its_exporter_changed_is_found_out(
    audited: AuditedStudy,
    roots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its digest is in the manifest and the manifest is signed: only making the report anew tells."""

    def lying(facts: StudyFacts, history: History) -> Mapping[str, bytes]:
        made = dict(reports_of(facts, history))
        changed = made[name].replace(b"FINAL", b"VOID!")
        assert changed != made[name]
        return {**made, name: changed}

    for name in (HTML, PDF):
        with monkeypatch.context() as patch:
            patch.setattr("consilium_peers.audit.report.making.reports_of", lying)
            assert await export(audited, tmp_path / "trail.zip", "regulator", "compliance") == 0
        capsys.readouterr()
        assert await verify(tmp_path / "trail.zip", roots) == 1
        shown = capsys.readouterr().out
        assert f"unsound: step 10 (statements), report/{name}: the report doesn't say what the blocks say" in shown


async def test_every_command_of_the_page_runs(
    audited: AuditedStudy, roots: Path, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, but for names, places, and whose certificate it is."""
    async with Gateway.connect(audited.profile("regulator", "auditor")) as gateway:
        opened = transitions(await read_history(gateway.network()), audited.name)[0].tx_id
    blocks = re.findall(r"```sh\n(.*?)```", (repository / "docs" / "auditors.md").read_text(), re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    assert len(lines) >= 17
    for words in lines:
        command = [_in_place(word, audited, roots, tmp_path, opened) for word in words[1:]]
        assert await asyncio.to_thread(main, command) == 0, (command, capsys.readouterr().err)
    assert "sound: study" in capsys.readouterr().out


def _in_place(word: str, audited: AuditedStudy, roots: Path, folder: Path, tx_id: str) -> str:
    known = {"heart": audited.name, "NorthMSP": "HungaryMSP", "TXID": tx_id, "roots.pem": str(roots)}
    known["round/heart/1"] = f"round/{audited.name}/1"
    if word.startswith("profiles/"):
        return str(audited.network.profile("regulator", Path(word).stem))
    return str(folder / word) if word.endswith(".zip") else known.get(word, word)
