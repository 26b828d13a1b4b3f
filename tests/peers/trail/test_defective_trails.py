"""Trails with one defect each, made from the good one by somebody without keys: every one is refused for its reason."""

from __future__ import annotations

import copy
import re
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fabric_protos.common import common_pb2
from trail_surgery import BLOCKS, FLAGS, ORDERERS, Rows, Surgery, flipped

from consilium_proto.canonical import decode, encode
from consilium_trail.archive.manifest import EXPORTER, MANIFEST, TRAIL_ENVELOPE, ExporterIdentity
from consilium_trail.archive.reading import TrailReader
from consilium_trail.blocks.block import data_hash
from consilium_trail.roots import TrustedRoots
from consilium_trail.statements import Envelope, envelope_file, statement_file
from consilium_trail.verification.findings import Step
from consilium_trail.verification.results import Verdict, exit_code
from consilium_trail.verify import verify_trail

FACTS, INDEX, CONFIGURATIONS = "report/facts.json", "index.json", "configurations.json"
STATEMENT, ENVELOPE = statement_file(1), envelope_file(1)
FILES = (BLOCKS, FLAGS, ORDERERS, FACTS, INDEX, CONFIGURATIONS, STATEMENT, ENVELOPE, TRAIL_ENVELOPE, EXPORTER)


@dataclass(frozen=True)
class Defect:
    """How a trail is spoilt, and what must be said about it; `step` is None for what can't be read."""

    spoil: Callable[[Surgery], None]
    step: Step | None
    place: str
    reason: str


def with_rows(change: Callable[[Rows], None], **manifest: object) -> Callable[[Surgery], None]:
    def spoil(trail: Surgery) -> None:
        rows = trail.rows()
        change(rows)
        trail.put_rows(rows)
        trail.redigest(**manifest)

    return spoil


def drop_a_block(trail: Surgery) -> None:
    with_rows(lambda rows: rows.drop(9), blocks=trail.manifest.blocks - 1)(trail)


def drop_the_last_block(trail: Surgery) -> None:
    with_rows(lambda rows: rows.drop(-1), blocks=trail.manifest.blocks - 1)(trail)


def change_a_transaction(rows: Rows) -> None:
    def change(block: common_pb2.Block) -> None:
        block.data.data[0] = flipped(block.data.data[0], 500)

    rows.change(12, change)


def change_a_transaction_and_its_hash(rows: Rows) -> None:
    change_a_transaction(rows)

    def change(block: common_pb2.Block) -> None:
        block.header.data_hash = data_hash(tuple(block.data.data))

    rows.change(12, change)


def change_the_previous_hash(rows: Rows) -> None:
    def change(block: common_pb2.Block) -> None:
        block.header.previous_hash = bytes(32)

    rows.change(12, change)


def empty_a_block(rows: Rows) -> None:
    rows.change(12, lambda block: block.data.ClearField("data"))


def repeat_one_orderer(rows: Rows) -> None:
    """One orderer's signature three times over is one signature."""
    metadata = common_pb2.Metadata.FromString(rows.signatures[12])
    first = metadata.signatures[0]
    rows.signatures[12] = common_pb2.Metadata(value=metadata.value, signatures=[first] * 3).SerializeToString()


def drop_the_orderers(rows: Rows) -> None:
    metadata = common_pb2.Metadata.FromString(rows.signatures[12])
    rows.signatures[12] = common_pb2.Metadata(value=metadata.value).SerializeToString()


def take_another_block_s_orderers(rows: Rows) -> None:
    rows.signatures[12] = rows.signatures[13]


def name_other_orderers(rows: Rows) -> None:
    """The signatures are genuine and said to be of orderers that don't exist."""
    metadata = common_pb2.Metadata.FromString(rows.signatures[12])
    for each in metadata.signatures:
        header = common_pb2.IdentifierHeader.FromString(each.identifier_header)
        header.identifier += 40
        each.identifier_header = header.SerializeToString()
    rows.signatures[12] = metadata.SerializeToString()


def mark(old: int, new: int) -> Callable[[Rows], None]:
    """Change the flag of the last transaction that has the old one."""

    def change(rows: Rows) -> None:
        number = max(number for number, flags in enumerate(rows.flags) if old in flags)
        flags = bytearray(rows.flags[number])
        flags[flags.index(old)] = new
        rows.flags[number] = bytes(flags)

    return change


def a_flag_too_few(rows: Rows) -> None:
    rows.flags[12] = b""


def edit(name: str, old: bytes, new: bytes) -> Callable[[Surgery], None]:
    def spoil(trail: Surgery) -> None:
        assert old in trail.files[name]
        trail.files[name] = trail.files[name].replace(old, new, 1)
        trail.redigest()

    return spoil


def put(name: str, content: bytes, **manifest: object) -> Callable[[Surgery], None]:
    def spoil(trail: Surgery) -> None:
        trail.files[name] = content
        trail.redigest(**manifest)

    return spoil


def drop_file(name: str) -> Callable[[Surgery], None]:
    def spoil(trail: Surgery) -> None:
        del trail.files[name]
        trail.redigest()

    return spoil


def sign_falsely(name: str) -> Callable[[Surgery], None]:
    """A signature that is well-formed and of something else."""

    def spoil(trail: Surgery) -> None:
        envelope = decode(Envelope, trail.files[name])
        other = decode(Envelope, trail.files[envelope_file(2)])
        changed = {field: getattr(envelope, field) for field in Envelope.__struct_fields__}
        trail.files[name] = encode(Envelope(**{**changed, "signatures": other.signatures}))
        trail.redigest()

    return spoil


def take_another_statement(trail: Surgery) -> None:
    trail.files[ENVELOPE] = trail.files[envelope_file(2)]
    trail.redigest()


def name_another_exporter(trail: Surgery) -> None:
    identity = decode(ExporterIdentity, trail.files[EXPORTER])
    trail.files[EXPORTER] = encode(ExporterIdentity(msp_id="HungaryMSP", certificate=identity.certificate))
    trail.redigest()


def undeclared(trail: Surgery) -> None:
    trail.files["extra.bin"] = b"x"


def declared_and_absent(trail: Surgery) -> None:
    del trail.files[FACTS]


def wrong_length(trail: Surgery) -> None:
    trail.files[FACTS] += b" "


def redigest_with(**manifest: object) -> Callable[[Surgery], None]:
    return lambda trail: trail.redigest(**manifest)


def name_it_twice(trail: Surgery) -> None:
    trail.redigest(files=(*trail.manifest.files, trail.manifest.files[-1]))


def half_a_record(trail: Surgery) -> None:
    trail.files[BLOCKS] = trail.files[BLOCKS][:-1]
    trail.redigest()


def another_form_of_a_block(rows: Rows) -> None:
    """An unknown field, which no hash covers, would be a place to hide something."""
    rows.blocks[12] += b"\xfa\x07\x01x"


REFUSED: dict[str, Defect] = {
    "a missing block": Defect(drop_a_block, Step.CHAIN, "block 10", "block 9 is missing"),
    "two blocks swapped": Defect(
        with_rows(lambda rows: rows.swap(9, 10)), Step.CHAIN, "block 10", "block 9 is missing"
    ),
    "the last block left out": Defect(drop_the_last_block, Step.STATEMENTS, INDEX, "what the blocks say"),
    "a changed transaction": Defect(with_rows(change_a_transaction), Step.CHAIN, "block 12", "has the hash of"),
    "a changed transaction with its hash": Defect(
        with_rows(change_a_transaction_and_its_hash), Step.ORDERERS, "block 12", "0 of 4 orderers"
    ),
    "another previous hash": Defect(
        with_rows(change_the_previous_hash), Step.CHAIN, "block 12", "previous hash differs"
    ),
    "an empty block": Defect(with_rows(empty_a_block), None, "block 12", "has no transaction"),
    "a block in another form": Defect(with_rows(another_form_of_a_block), None, "block 12", "one form"),
    "half a record": Defect(half_a_record, None, "block", "middle of a record"),
    "one orderer's signature three times": Defect(with_rows(repeat_one_orderer), Step.ORDERERS, "block 12", "1 of 4"),
    "no orderers' signatures": Defect(with_rows(drop_the_orderers), Step.ORDERERS, "block 12", "0 of 4 orderers"),
    "orderers' signatures of another block": Defect(
        with_rows(take_another_block_s_orderers), Step.ORDERERS, "block 12", "isn't its own"
    ),
    "orderers that don't exist": Defect(
        with_rows(name_other_orderers), Step.ORDERERS, "block 12", "there is no orderer"
    ),
    "a valid transaction marked invalid": Defect(
        with_rows(mark(0, 11)), Step.FLAGS, "transaction 0", "marked MVCC_READ_CONFLICT and is VALID"
    ),
    "an invalid transaction marked valid": Defect(
        with_rows(mark(11, 0)), Step.FLAGS, "transaction 1", "marked valid and is MVCC_READ_CONFLICT"
    ),
    "an invalid transaction marked otherwise": Defect(
        with_rows(mark(11, 10)), Step.FLAGS, "transaction 1", "ENDORSEMENT_POLICY_FAILURE and is MVCC_READ_CONFLICT"
    ),
    "a flag that Fabric doesn't know": Defect(with_rows(mark(11, 99)), Step.FLAGS, "transaction 1", "CODE_99"),
    "a flag too few": Defect(with_rows(a_flag_too_few), None, "block 12", "0 validation codes for 1"),
    "a foreign channel": Defect(redigest_with(channel="other"), Step.CHAIN, "block 0", "the manifest says 'other'"),
    "another study's name": Defect(redigest_with(study="other"), Step.STATEMENTS, FACTS, "what the blocks say"),
    "a round that there isn't": Defect(redigest_with(rounds=(1, 2, 3)), Step.STATEMENTS, MANIFEST, "no round 3"),
    "fewer blocks than declared": Defect(redigest_with(blocks=99), None, "block", "has no block"),
    "more blocks than declared": Defect(redigest_with(blocks=9), None, "block", "more than 9 blocks"),
    "another format": Defect(redigest_with(format=2), None, "the trail", "of format 2"),
    "facts that disagree": Defect(
        edit(FACTS, b'"barred":["ClevelandMSP"]', b'"barred":[]'), Step.STATEMENTS, FACTS, "what the blocks say"
    ),
    "a statement that disagrees": Defect(
        edit(STATEMENT, b'"phase":"FINAL"', b'"phase":"VOID"'), Step.STATEMENTS, STATEMENT, "what the blocks say"
    ),
    "an index that disagrees": Defect(
        edit(INDEX, b'"number":7', b'"number":8'), Step.STATEMENTS, INDEX, "the blocks say"
    ),
    "a configuration history that disagrees": Defect(
        edit(CONFIGURATIONS, b"BEGIN X509 CRL", b"BEGIN X508 CRL"), Step.STATEMENTS, CONFIGURATIONS, "the blocks say"
    ),
    "no facts": Defect(drop_file(FACTS), Step.STATEMENTS, FACTS, "it is missing"),
    "a report of other facts": Defect(
        put("report/report.html", b"<p>all is well</p>"),
        Step.STATEMENTS,
        "report/report.html",
        "isn't a report of these",
    ),
    "a statement about a round that there isn't": Defect(
        put(statement_file(7), b"{}"), Step.STATEMENTS, statement_file(7), "nothing in the blocks leads to it"
    ),
    "a false signature of a statement": Defect(
        sign_falsely(ENVELOPE), Step.STATEMENTS, ENVELOPE, "isn't that of the exporter"
    ),
    "a false signature of the trail": Defect(
        sign_falsely(TRAIL_ENVELOPE), Step.STATEMENTS, TRAIL_ENVELOPE, "isn't that of the exporter"
    ),
    "another round's statement signed": Defect(take_another_statement, Step.STATEMENTS, ENVELOPE, "blocks lead to"),
    "no signed statement": Defect(drop_file(ENVELOPE), Step.STATEMENTS, ENVELOPE, "it is missing"),
    "a signed statement too many": Defect(
        put(envelope_file(7), b"{}"), Step.STATEMENTS, envelope_file(7), "nothing in the blocks leads to it"
    ),
    "no DSSE envelope": Defect(put(ENVELOPE, b"{}"), None, "the trail", "isn't a DSSE envelope"),
    "another exporter": Defect(name_another_exporter, Step.STATEMENTS, EXPORTER, "isn't signed by an authority"),
    "a manifest that is no JSON": Defect(
        lambda t: t.files.update({MANIFEST: b"{"}), None, "the trail", "can't be read"
    ),
    "an undeclared file": Defect(undeclared, None, "the trail", "extra.bin is not declared"),
    "a declared file that is absent": Defect(declared_and_absent, None, "the trail", "declared but not there"),
    "a file of another length": Defect(wrong_length, None, "the trail", "are declared"),
    "a file declared twice": Defect(name_it_twice, None, "the trail", "names a file twice"),
    **{
        f"a flipped byte in {name}": Defect(
            lambda trail, name=name: trail.files.update(
                {name: flipped(trail.files[name], len(trail.files[name]) // 2)}
            ),  # type: ignore[misc]
            Step.DIGESTS,
            name,
            "SHA-256 isn't the one that is declared",
        )
        for name in FILES
    },
}


@pytest.mark.parametrize("defect", REFUSED.values(), ids=REFUSED.keys())
def test_a_defective_trail_is_refused_for_its_reason(
    defect: Defect, good: Path, roots: TrustedRoots, tmp_path: Path
) -> None:
    trail = Surgery(good)
    defect.spoil(trail)
    found = verify_trail(trail.write(tmp_path / "bad.zip"), roots)
    assert found.finding is not None
    assert found.finding.step is defect.step, found.finding
    assert defect.place in str(found.finding.place)
    assert re.search(defect.reason, found.finding.reason), found.finding
    assert exit_code(found.verdict) == (2 if defect.step is None else 1)
    assert not found.rounds


def raw_zip(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    return lambda source, target: target.write_bytes(change(source.read_bytes())) and None


def rezipped(
    name: str | None = None, twice: str | None = None, kind: int = zipfile.ZIP_STORED, size: int = 0
) -> Callable[[Path, Path], None]:
    """Write the good trail's files with another zip program, and one more file or one file twice."""

    def make(source: Path, target: Path) -> None:
        with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w", kind) as bad:
            for each in good.infolist():
                for _ in range(2 if each.filename == twice else 1):
                    bad.writestr(copy.copy(each), good.read(each.filename), compress_type=kind)
            if name is not None:
                bad.writestr(name, bytes(size))

    return make


def grown(whole: bytes) -> bytes:
    """Say in both headers of the first file that it has 4 GiB."""
    size = struct.pack("<I", 2**32 - 1)
    local = whole[:18] + size + size + whole[26:]
    directory = whole.index(b"PK\1\2")
    return local[: directory + 20] + size + size + local[directory + 28 :]


HARMFUL: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a truncated zip": (raw_zip(lambda whole: whole[:-100]), "truncated"),
    "half a zip": (raw_zip(lambda whole: whole[: len(whole) // 2]), "truncated"),
    "bytes behind the end": (raw_zip(lambda whole: whole + b"more"), "doesn't end as|truncated"),
    "bytes before the beginning": (raw_zip(lambda whole: b"more" + whole), "isn't where|directory"),
    "an empty file": (raw_zip(lambda _: b""), "no archive"),
    "a path that leads out": (rezipped("../../etc/cron.d/x"), "lead out|time, permissions"),
    "an absolute path": (rezipped("/etc/passwd"), "lead out|time, permissions"),
    "an entry twice": (rezipped(twice=MANIFEST), "twice"),
    "a zip that inflates to gigabytes": (rezipped("zeros", kind=zipfile.ZIP_DEFLATED, size=2**27), "compressed"),
    "a file that says it has 4 GiB": (raw_zip(grown), "more than the archive|truncated"),
}


@pytest.mark.parametrize(("make", "reason"), HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_archive_is_unreadable(
    make: Callable[[Path, Path], None], reason: str, good: Path, roots: TrustedRoots, tmp_path: Path
) -> None:
    make(good, tmp_path / "bad.zip")
    found = verify_trail(tmp_path / "bad.zip", roots)
    assert (found.verdict, exit_code(found.verdict)) == (Verdict.UNREADABLE, 2)
    assert found.finding is not None
    assert re.search(reason, found.finding.reason), found.finding


def test_a_file_that_is_not_there_is_unreadable(roots: TrustedRoots, tmp_path: Path) -> None:
    assert verify_trail(tmp_path / "none.zip", roots).verdict is Verdict.UNREADABLE


def test_another_first_block_than_the_trusted_one_is_refused(good: Path, roots: TrustedRoots) -> None:
    found = verify_trail(good, replace(roots, genesis="00" * 32))
    assert found.finding is not None
    assert (found.finding.step, found.finding.place.block) == (Step.CHAIN, 0)


def test_orderers_whose_roots_are_not_trusted_are_refused(good: Path, roots: TrustedRoots) -> None:
    found = verify_trail(good, replace(roots, certificates=frozenset()))
    assert found.finding is not None
    assert (found.finding.step, found.finding.place.block) == (Step.ORDERERS, 1)
    assert "isn't among the trusted ones" in found.finding.reason


def test_good_trails_of_every_format_verify() -> None:
    """A format that was released once stays readable: its good trails lie in folders of their own."""
    folders = sorted(Path(__file__).parent.glob("format-*"))
    assert folders
    for folder in folders:
        roots = TrustedRoots.load(folder / "roots.pem")
        for trail in sorted(folder.glob("*.zip")):
            assert verify_trail(trail, roots).verdict is Verdict.SOUND
            with TrailReader(trail) as opened:
                assert folder.name.split("-")[1] == str(opened.manifest.format)
