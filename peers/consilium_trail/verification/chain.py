"""Step 2: every block names the hash of the one before, and the hash of what is in it."""

from __future__ import annotations

from consilium_trail.blocks.block import Block, data_hash
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.findings import Place, Step, UnsoundError


class ChainCheck:
    """Follows a chain of blocks from its first one."""

    def __init__(self, roots: TrustedRoots) -> None:
        self._roots = roots
        self._previous = b""
        self._next = 0

    def check(self, block: Block) -> None:
        """Check the next block.

        Raises:
            UnsoundError: it isn't the next one, or isn't what its header says.
        """
        place = Place(block.number)
        if block.number != self._next:
            raise UnsoundError(Step.CHAIN, place, f"block {self._next} is missing")
        if block.header.previous_hash != self._previous:
            raise UnsoundError(Step.CHAIN, place, "it doesn't follow the block before: the previous hash differs")
        if data_hash(block.envelopes) != block.header.data_hash:
            raise UnsoundError(Step.CHAIN, place, "its transactions aren't those that its header has the hash of")
        self._previous = block.header.hash()
        self._next += 1
        genesis = self._roots.genesis
        if block.number == 0 and genesis is not None and self._previous.hex() != genesis:
            raise UnsoundError(
                Step.CHAIN, place, f"the channel's first block is {self._previous.hex()}, and {genesis} is trusted"
            )
