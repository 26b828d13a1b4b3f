"""Writing a trail: the whole chain up to the last block that is needed, and everything that follows from it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

from consilium_proto.canonical import encode
from consilium_trail.archive import manifest as names
from consilium_trail.archive.block_files import (
    BLOCKS_PER_FILE,
    block_file,
    decode_stored_block,
    encode_block,
    flags_file,
    record,
    records,
    signatures_file,
)
from consilium_trail.archive.derived_files import DerivedFiles
from consilium_trail.archive.manifest import FileDigest, Manifest, SignaturesManifest
from consilium_trail.archive.zip_format import PIECE, write_zip
from consilium_trail.blocks.block import Block
from consilium_trail.errors import ExportError
from consilium_trail.fact_collector import FactCollector, decoded
from consilium_trail.facts import StudyFacts
from consilium_trail.statements import envelope, envelope_file, signed_bytes, statement_file, trail_statement


class Exporter(Protocol):
    """Who exports and signs; `consilium_peers.identity.Identity` is one."""

    @property
    def msp_id(self) -> str:
        """The organisation."""
        ...

    @property
    def certificate_pem(self) -> bytes:
        """The certificate."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the ECDSA signature over SHA-256 of `message`, DER with low s."""
        ...


MakeReports = Callable[[StudyFacts], Mapping[str, bytes]]
"""Makes reports for people from a study's facts: contents by names in `report/`, such as `report.html`.

Equal facts must give equal bytes. An HTML report must name the facts' SHA-256 (`facts_digest`), so that the verifier
knows that it is these facts' report.
"""


def no_reports(_: StudyFacts) -> Mapping[str, bytes]:
    """Make no report."""
    return {}


def facts_digest(facts: StudyFacts) -> str:
    """Return the SHA-256 (hex) of `report/facts.json`, which an HTML report must name."""
    return hashlib.sha256(encode(facts)).hexdigest()


def write_trail(
    target: Path,
    blocks: Iterable[Block],
    channel: str,
    study: str,
    exporter: Exporter,
    *,
    rounds: Sequence[int] = (),
    reports: MakeReports = no_reports,
) -> Manifest:
    """Write a study's trail: every block from the channel's first one to the last that is needed.

    Equal ledgers give equal bytes, but for the files below `signatures/`. What lies at `target` is replaced only when
    the trail is complete.

    Args:
        target: the file to write.
        blocks: the channel's blocks in order, from number 0 on, at least to the last one about the study.
        channel: the channel's name.
        study: the study's.
        exporter: who signs.
        rounds: which rounds the trail is to prove; all if empty.
        reports: makes the reports for people.

    Raises:
        ExportError: the blocks aren't a row from 0 on, or have no transaction about the study, or no such round.
        TrailError: a block can't be decoded.
        OSError: the disk refuses.
    """
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".trail-") as folder:
        spool = _Spool(Path(folder))
        last = spool.store(blocks, FactCollector(channel, study, rounds))
        derived = DerivedFiles(channel, study, rounds)
        for block in spool.keep_to(last):
            derived.add(block, decoded(block))
        facts = derived.collector.facts()
        _check_rounds(facts, rounds)
        files: dict[str, bytes | Path] = {**spool.common_files(), **derived.files()}
        files |= {f"report/{name}": content for name, content in reports(facts).items()}
        made = Manifest(
            format=names.FORMAT_VERSION,
            channel=channel,
            study=study,
            rounds=tuple(sorted(set(rounds))),
            blocks=facts.blocks,
            files=file_digests(files),
        )
        files[names.MANIFEST] = encode(made)
        signatures = {**spool.signature_files(), **_signed(made, facts, files, exporter)}
        signatures[names.SIGNATURES_MANIFEST] = encode(SignaturesManifest(files=file_digests(signatures)))
        whole = Path(folder) / "trail.zip"
        write_zip(whole, {**files, **signatures})
        whole.replace(target)
    return made


def _check_rounds(facts: StudyFacts, rounds: Sequence[int]) -> None:
    absent = sorted(set(rounds) - {each.round for each in facts.rounds})
    if absent:
        raise ExportError(f"study {facts.study} has no round {absent[0]} in these blocks")


def _signed(
    made: Manifest, facts: StudyFacts, files: Mapping[str, bytes | Path], exporter: Exporter
) -> dict[str, bytes | Path]:
    certificate = exporter.certificate_pem
    identity = names.ExporterIdentity(msp_id=exporter.msp_id, certificate=certificate.decode("ascii"))
    found: dict[str, bytes | Path] = {names.EXPORTER: encode(identity)}
    statements = {envelope_file(each.round): files[statement_file(each.round)] for each in facts.rounds}
    statements[names.TRAIL_ENVELOPE] = trail_statement(made.channel, made.study, encode(made))
    for name, statement in statements.items():
        assert isinstance(statement, bytes)
        found[name] = envelope(statement, certificate, exporter.sign(signed_bytes(statement)))
    return found


def file_digests(files: Mapping[str, bytes | Path]) -> tuple[FileDigest, ...]:
    """Return the digests of files, sorted by name."""
    return tuple(_digest(name, files[name]) for name in sorted(files))


def _digest(name: str, content: bytes | Path) -> FileDigest:
    digest = hashlib.sha256()
    length = 0
    for piece in [content] if isinstance(content, bytes) else _read(content):
        digest.update(piece)
        length += len(piece)
    return FileDigest(name=name, length=length, sha256=digest.hexdigest())


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while piece := source.read(PIECE):
            yield piece


class _Spool:
    """Blocks on their way into the archive, in a folder of files as the archive will have them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self._ends: list[tuple[tuple[str, int], ...]] = []

    def store(self, blocks: Iterable[Block], collector: FactCollector) -> int:
        """Store all blocks, and return the number of the last one that the collector needs."""
        with ExitStack() as stack:
            open_files: dict[str, BinaryIO] = {}
            for expected, block in enumerate(blocks):
                if block.number != expected:
                    raise ExportError(f"block {block.number} came where block {expected} was due")
                collector.add(block)
                ends = []
                for name, content in _parts(block):
                    if name not in open_files:
                        if len(open_files) == len(_parts(block)):
                            stack.close()
                            open_files.clear()
                        open_files[name] = stack.enter_context(self._path(name).open("wb"))
                    open_files[name].write(record(content))
                    ends.append((name, open_files[name].tell()))
                self._ends.append(tuple(ends))
        if not collector.last_needed:
            raise ExportError(f"these blocks of {collector.channel} have no transaction about study {collector.study}")
        return collector.last_needed

    def keep_to(self, last: int) -> Iterator[Block]:
        """Drop the blocks behind `last`, and yield the others."""
        kept = dict(end for ends in self._ends[: last + 1] for end in ends)
        for name in [name for name in self._files if name not in kept]:
            self._files.pop(name).unlink()
        for name, end in kept.items():
            with self._files[name].open("r+b") as file:
                file.truncate(end)
        for first in range(0, last + 1, BLOCKS_PER_FILE):
            parts = (block_file(first), signatures_file(first), flags_file(first))
            rows = [records(_read(self._files[name]), name) for name in parts]
            for content, signatures, flags in zip(*rows, strict=True):
                yield decode_stored_block(content, signatures, flags)

    def common_files(self) -> dict[str, Path]:
        """Return the files that all peers have alike."""
        return {name: path for name, path in self._files.items() if not name.startswith(names.SIGNATURES)}

    def signature_files(self) -> dict[str, Path]:
        """Return the files of the orderers' signatures."""
        return {name: path for name, path in self._files.items() if name.startswith(names.SIGNATURES)}

    def _path(self, name: str) -> Path:
        return self._files.setdefault(name, self._folder / name.replace("/", "-"))


def _parts(block: Block) -> tuple[tuple[str, bytes], ...]:
    return (
        (block_file(block.number), encode_block(block)),
        (signatures_file(block.number), block.signatures.raw),
        (flags_file(block.number), block.flags),
    )
