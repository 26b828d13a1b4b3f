"""Exporting a trail: the blocks that prove a study or some of its rounds, with a report for people."""

from __future__ import annotations

import asyncio
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from consilium_peers.audit.errors import AuditError
from consilium_peers.audit.history import History, Say
from consilium_peers.audit.transitions import transitions
from consilium_peers.federation import Federation
from consilium_peers.gateway import Network
from consilium_trail.archive.manifest import Manifest
from consilium_trail.archive.writing import write_trail
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.facts import StudyFacts

_LENGTH = struct.Struct(">I")


async def export_trail(
    network: Network, target: Path, study: str, rounds: Sequence[int] = (), say: Say | None = None
) -> Manifest:
    """Read the channel's blocks, and write the trail of a study, or of some of its rounds, to a file.

    The gateway's identity signs it. The contract is asked first whether it may: see `Federation.authorize_export`.

    Args:
        network: the channel.
        target: the archive; it appears when it is whole, and replaces what was there.
        study: the study.
        rounds: those to prove; all of them when empty.
        say: is told how many blocks of how many were read.

    Raises:
        GatewayError: the contract refuses, or no peer delivers the blocks.
        AuditError: the blocks don't make a ledger, or what reports need isn't installed.
        TrailError: the study or a round isn't in the blocks.
        OSError: the disk refuses.
    """
    make_reports = _report_maker()
    await Federation(network.contract()).authorize_export(study)
    history = History(network.gateway.profile.chaincode)
    height = await network.height()
    with tempfile.TemporaryFile(dir=target.parent) as spool:
        async with aclosing(network.blocks(0, height)) as blocks:
            async for block in blocks:
                history.add(block.content)
                spool.write(_LENGTH.pack(len(block.content)) + block.content)
                if say is not None:
                    say(history.height, height)
        for number in rounds:
            transitions(history, study, number)  # refuses a round that isn't there
        spool.seek(0)

        def reports(facts: StudyFacts) -> Mapping[str, bytes]:
            return make_reports(facts, history)

        write = partial(write_trail, rounds=rounds, reports=reports)
        identity = network.gateway.identity
        return await asyncio.to_thread(write, target, _spooled(spool), network.channel, study, identity)


def _report_maker() -> Callable[[StudyFacts, History], Mapping[str, bytes]]:
    """Return what makes reports; a machine that only asks questions needn't have it."""
    try:
        from consilium_peers.audit.report.making import reports_of
    except ModuleNotFoundError as error:
        raise AuditError(
            f"an export has reports, which need {error.name}, which isn't installed: pip install 'consilium[audit]'"
        ) from None
    return reports_of


def _spooled(spool: BinaryIO) -> Iterator[Block]:
    while head := spool.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(head)
        yield decode_block(spool.read(length))
