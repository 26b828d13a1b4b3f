"""Precompiled contracts, one file each: what they cost and what they return.

Their libraries are looked for here: where one is missing the EVM doesn't start, rather than fail in the middle of a
transaction. The contracts on pairing-friendly curves are loaded when the first transaction calls one: py-ecc takes half
a second of computing, which every start of every endorser would spend for what few ever use.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TypeAlias

from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.precompiles.blake2f import blake2f
from consilium_chaincode.evm.precompiles.ecrecover import ecrecover
from consilium_chaincode.evm.precompiles.identity import identity
from consilium_chaincode.evm.precompiles.modexp import modexp
from consilium_chaincode.evm.precompiles.p256verify import p256verify
from consilium_chaincode.evm.precompiles.point_evaluation import point_evaluation
from consilium_chaincode.evm.precompiles.ripemd160 import ripemd160
from consilium_chaincode.evm.precompiles.sha256 import sha256
from consilium_chaincode.evm.state_keys import Reading

Precompile: TypeAlias = Callable[[Frame], bytes | Reading[bytes]]
"""Returns the output, at once or, where the work is long, with turns in between."""

_LATE_LIBRARY = "py_ecc"


def _late(module: str, name: str) -> Precompile:
    """Return a contract whose module is loaded when it is first called."""

    def call(frame: Frame) -> bytes | Reading[bytes]:
        contract: Precompile = getattr(importlib.import_module(f"{__name__}.{module}"), name)
        return contract(frame)

    return call


if importlib.util.find_spec(_LATE_LIBRARY) is None:
    raise ModuleNotFoundError(f"No module named {_LATE_LIBRARY!r}", name=_LATE_LIBRARY)

_NUMBERED: dict[int, Precompile] = {
    0x01: ecrecover,
    0x02: sha256,
    0x03: ripemd160,
    0x04: identity,
    0x05: modexp,
    0x06: _late("bn254", "bn254_add"),
    0x07: _late("bn254", "bn254_mul"),
    0x08: _late("bn254", "bn254_pairing"),
    0x09: blake2f,
    0x0A: point_evaluation,
    0x0B: _late("bls12_g1", "bls12_g1_add"),
    0x0C: _late("bls12_g1", "bls12_g1_msm"),
    0x0D: _late("bls12_g2", "bls12_g2_add"),
    0x0E: _late("bls12_g2", "bls12_g2_msm"),
    0x0F: _late("bls12_pairing", "bls12_pairing"),
    0x10: _late("bls12_g1", "bls12_map_fp_to_g1"),
    0x11: _late("bls12_g2", "bls12_map_fp2_to_g2"),
    0x100: p256verify,
}

PRECOMPILES = {number.to_bytes(20, "big"): contract for number, contract in _NUMBERED.items()}
"""Each precompiled contract by its address (20 bytes)."""
