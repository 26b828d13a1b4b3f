"""What a trail says of itself: format, channel, study, and the digest of every file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.records.scalars import Digest, Identifier, RoundNumber

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SIGNATURES_MANIFEST = "signatures/manifest.json"
SIGNATURES = "signatures/"
"""The folder of what differs between two peers' exports of one ledger: the orderers' and the exporter's signatures."""
EXPORTER = "signatures/exporter.json"
TRAIL_ENVELOPE = "signatures/trail.dsse.json"
LARGEST_JSON = 256 * 2**20
"""Bytes of the longest JSON file that is read as a whole."""


class FileDigest(Record, frozen=True, kw_only=True):
    """A file of the trail: its length in bytes and SHA-256."""

    name: str
    length: Annotated[int, Meta(ge=0, lt=2**32)]
    sha256: Digest


class Manifest(Record, frozen=True, kw_only=True):
    """What a trail holds; `manifest.json`.

    `rounds` are those that the trail is to prove, in order; none stands for the whole study. `blocks` counts all blocks
    from the channel's first one to the last that is needed. `files` has every file outside `signatures/`, sorted by
    name, but not the manifest itself.
    """

    format: Annotated[int, Meta(ge=1, le=2**16)]
    channel: Annotated[str, Meta(min_length=1, max_length=249)]
    study: Identifier
    rounds: tuple[RoundNumber, ...]
    blocks: Annotated[int, Meta(ge=1, le=2**53)]
    files: tuple[FileDigest, ...]


class SignaturesManifest(Record, frozen=True, kw_only=True):
    """The files in `signatures/`, sorted by name, but not this one; `signatures/manifest.json`."""

    files: tuple[FileDigest, ...]


class ExporterIdentity(Record, frozen=True, kw_only=True):
    """Who exported and signed the trail: MSP id and certificate (PEM); `signatures/exporter.json`."""

    msp_id: str
    certificate: str
