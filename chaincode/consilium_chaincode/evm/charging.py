"""Taking gas from a frame."""

from __future__ import annotations

from consilium_chaincode.evm.errors import OutOfGas
from consilium_chaincode.evm.frame import Frame


def charge_gas(frame: Frame, amount: int) -> None:
    """Take gas before anything that depends on it is done.

    Raises:
        OutOfGas: less is left.
    """
    if frame.gas < amount:
        raise OutOfGas(f"{amount} gas needed, {frame.gas} left")
    frame.gas -= amount
