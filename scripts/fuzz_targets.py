"""What is fuzzed of the verifier, and good input to start from: whatever the bytes, only a `TrailError` comes out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from fabric_protos.common import common_pb2

from consilium_trail.archive.block_files import decode_stored_block, encode_block, records
from consilium_trail.archive.reading import TrailReader
from consilium_trail.archive.zip_format import ZipReader
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.blocks.configuration import decode_configuration
from consilium_trail.blocks.policies import decode_signature_policy
from consilium_trail.blocks.transactions import CONFIG, Signer, decode_envelope, decode_transaction
from consilium_trail.errors import TrailError
from consilium_trail.fact_collector import FactCollector, decoded
from consilium_trail.membership import Membership, NotAMemberError
from consilium_trail.roots import TrustedRoots
from consilium_trail.statements import open_envelope
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

LONGEST = 1 << 16
MOST_BLOCKS = 20
_NOBODY = TrustedRoots(frozenset())


def _block(data: bytes) -> None:
    block = decode_block(data)
    collector = FactCollector("consilium", "study")
    collector.add(block, decoded(block))
    collector.facts()


def _configuration(data: bytes) -> None:
    configuration = decode_configuration(data)
    membership = Membership(configuration, _NOBODY)
    for consenter in configuration.consenters.values():
        with contextlib.suppress(NotAMemberError):
            membership.identity(Signer(consenter.identity, consenter.msp_id, consenter.identity))


def _records(data: bytes) -> None:
    for each in records([data], "a file"):
        decode_stored_block(each, b"", b"\0")


def _archive(data: bytes) -> None:
    path = Path(f"/dev/shm/fuzzed-trail-{os.getpid()}.zip")
    try:
        path.write_bytes(data)
        with TrailReader(path) as trail:
            for _ in trail.blocks():
                pass
        if verify_trail(path, _NOBODY).verdict is Verdict.SOUND:
            raise AssertionError("a trail without trusted roots is called sound")
    finally:
        path.unlink(missing_ok=True)


TARGETS: dict[str, Callable[[bytes], object]] = {
    "block": _block,
    "transaction": decode_transaction,
    "configuration": _configuration,
    "policy": decode_signature_policy,
    "records": _records,
    "envelope": lambda data: open_envelope(data, "an envelope"),
    "roots": TrustedRoots.parse,
    "archive": _archive,
}


def seeds(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield good input for every target, from a folder with a trail and its roots."""
    trail = next(iter(sorted(folder.glob("*.zip"))))
    yield "roots", (folder / "roots.pem").read_bytes()
    with ZipReader(trail) as archive:
        yield "envelope", archive.read("signatures/trail.dsse.json", LONGEST)
    with TrailReader(trail) as opened:
        for block in opened.blocks():
            if block.number < MOST_BLOCKS:
                yield "block", _whole(block)
            for raw in block.envelopes[:1]:
                yield "transaction", raw
                envelope = decode_envelope(raw)
                if envelope.kind == CONFIG:
                    yield "configuration", envelope.data
    with ZipReader(trail) as archive:
        for each in list(records(archive.pieces("blocks/000000.bin"), "blocks"))[:MOST_BLOCKS]:
            yield "records", len(each).to_bytes(4, "big") + each
    yield "archive", trail.read_bytes()


def _whole(block: Block) -> bytes:
    """Return a block as peers have it."""
    message = common_pb2.Block.FromString(encode_block(block))
    message.metadata.metadata.extend([block.signatures.raw, b"", block.flags])
    return bytes(message.SerializeToString())


def run_target(name: str, data: bytes) -> None:
    """Give bytes to a target; a `TrailError` is an answer."""
    with contextlib.suppress(TrailError):
        TARGETS[name](data)
