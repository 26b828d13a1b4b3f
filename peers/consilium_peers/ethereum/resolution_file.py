"""Resolutions as files that administrators approve: the EVM's terms, a bridge's terms, a decision about the bridge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from consilium_peers.durable import write_atomically
from consilium_peers.ethereum.errors import TermsFileError
from consilium_peers.ethereum.terms_file import parse_terms
from consilium_proto.ethereum.resolutions import BridgeDecision, BridgeTerms, Resolution


def load_resolution_file(path: Path) -> Resolution:
    """Read a resolution: the EVM's terms as people write them, or what `write_resolution_file` wrote.

    Raises:
        TermsFileError: it can't be read, or has a field that is missing, unknown or out of range.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise TermsFileError(f"can't read the resolution {path}: {error.strerror}") from None
    try:
        written: Any = msgspec.yaml.decode(text)
        if not isinstance(written, dict) or "type" not in written:
            return parse_terms(text, str(path))
        return msgspec.convert(written, BridgeTerms | BridgeDecision)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise TermsFileError(f"{path}: {' '.join(str(error).split())}") from None


def write_resolution_file(path: Path, resolution: BridgeTerms | BridgeDecision, comment: str) -> None:
    """Write a resolution about the bridge, under a line that says what it is."""
    write_atomically(path, f"# {comment}\n".encode() + msgspec.yaml.encode(resolution))
