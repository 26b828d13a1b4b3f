"""Which way polynomials take in and out of SEAL."""

from __future__ import annotations

from enum import Enum


class CipherPath(Enum):
    """TenSEAL's documented interface, or SEAL's own buffers, which are faster and checked before they are used."""

    INTERFACE = "interface"
    BUFFERS = "buffers"
