"""A channel that is followed block by block: the contract's replay alone, without signatures and policies.

For who reads blocks from a peer of its own, which has checked them, and wants to know that what a quorum endorsed is
what the contract does. A trail from somebody else is verified in full by `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_trail.blocks.block import decode_block
from consilium_trail.blocks.transactions import decode_transaction
from consilium_trail.errors import MalformedBlockError, TrailError
from consilium_trail.validation_codes import VALID, code_name
from consilium_trail.verification.findings import Place, UnsoundError
from consilium_trail.verification.replay import Replay


class RefusedQueryError(TrailError):
    """The contract refuses a query."""


class FollowedBlocks:
    """Takes blocks in order, from the channel's first one on, and answers queries from the state that they make.

    Attributes:
        height: how many blocks were taken: the next one's number.
    """

    def __init__(self, channel: str) -> None:
        self.height = 0
        self._replay = Replay(channel)

    def take(self, raw: bytes) -> None:
        """Take the next block, a serialized `common.Block`.

        Raises:
            UnsoundError: a valid transaction did something else than the contract does; it names who endorsed it.
            MalformedBlockError: not the next block, or none.
            MalformedTransactionError: a transaction that is called valid and isn't one.
        """
        block = decode_block(raw)
        if block.number != self.height:
            raise MalformedBlockError(f"block {block.number} came where block {self.height} comes next")
        for position, envelope in enumerate(block.envelopes):
            if code_name(block.flags[position]) == VALID:
                self._replay_one(block.number, position, envelope)
        self.height += 1

    def ask(self, function: str, arguments: Sequence[bytes], msp_id: str, certificate: bytes, now: int) -> bytes:
        """Answer a query; see `Replay.ask`.

        Raises:
            RefusedQueryError: the contract refuses it.
        """
        try:
            return self._replay.ask(function, arguments, msp_id, certificate, now)
        except ChaincodeError as error:
            raise RefusedQueryError(str(error)) from None

    def _replay_one(self, number: int, position: int, envelope: bytes) -> None:
        transaction = decode_transaction(envelope)
        call = transaction.invocation
        if call is None:
            return
        place = Place(number, position, transaction.envelope.tx_id)
        try:
            self._replay.check(place, transaction, call, (number, position))
        except UnsoundError as error:
            endorsers = ", ".join(sorted({each.endorser.msp_id for each in call.endorsements}))
            raise UnsoundError(error.step, error.place, f"{error.reason}; endorsed by {endorsers}") from None
