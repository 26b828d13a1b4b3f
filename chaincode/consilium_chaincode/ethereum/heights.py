"""How many blocks this endorser's ledger has: chaincode isn't told, and qscc refuses calls of other chaincode."""

from __future__ import annotations

from typing import Protocol


class Heights(Protocol):
    """Where an endorser's own height comes from."""

    async def height(self, channel: str) -> int:
        """Return the number of blocks of this endorser's ledger of a channel.

        Raises:
            ChaincodeError: it can't be known now.
        """
        ...
