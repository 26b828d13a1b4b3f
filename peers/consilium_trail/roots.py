"""What a verifier trusts: the organisations' root certificates, and the hash of the channel's first block if known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from consilium_trail.errors import RootsError

_GENESIS = re.compile(rb"^#?[ \t]*genesis-block-hash:[ \t]*([0-9a-f]{64})[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TrustedRoots:
    """The trusted set: nothing that a trail says adds to it.

    Attributes:
        certificates: the roots, DER.
        genesis: the hash of the channel's first block (hex); None when it isn't known. Without it, a ledger that the
            same organisations' certificates were used for would verify too; the result names its hash.
    """

    certificates: frozenset[bytes]
    genesis: str | None = None

    @classmethod
    def load(cls, path: Path) -> TrustedRoots:
        """Read a file of PEM certificates, in which a line `genesis-block-hash: HEX` may stand.

        Raises:
            RootsError: it can't be read, or has no certificate.
        """
        try:
            return cls.parse(path.read_bytes())
        except OSError as error:
            raise RootsError(f"the roots {path} can't be read: {error.strerror}") from None

    @classmethod
    def parse(cls, text: bytes) -> TrustedRoots:
        """Read the contents of such a file; see `load`."""
        try:
            found = x509.load_pem_x509_certificates(text)
        except (ValueError, x509.InvalidVersion) as error:
            raise RootsError(f"the roots hold no certificates in PEM form: {error}") from None
        hashes = set(_GENESIS.findall(text))
        if len(hashes) > 1:
            raise RootsError("the roots name two different genesis-block-hashes")
        genesis = hashes.pop().decode() if hashes else None
        return cls(frozenset(each.public_bytes(Encoding.DER) for each in found), genesis)
