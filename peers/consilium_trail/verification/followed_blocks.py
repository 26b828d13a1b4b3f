"""A channel that is followed block by block: the federation's replay alone, without signatures and policies.

For who reads blocks from a peer of its own, which has checked them, and wants to know that what a quorum endorsed is
what the contract does. A trail from somebody else is verified in full by `verify`. The EVM isn't run here: what it
wrote is taken as committed, so that its transactions, however long they ran, cost a follower nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec

from consilium_chaincode.shim.errors import ChaincodeError
from consilium_trail.blocks.block import Block, decode_block
from consilium_trail.blocks.transactions import decode_transaction
from consilium_trail.errors import MalformedBlockError, TrailError
from consilium_trail.validation_codes import VALID, code_name
from consilium_trail.verification.findings import Place, UnsoundError
from consilium_trail.verification.replay import KeptCell, Replay
from consilium_trail.verification.replayed_contracts import federation_alone

_FORMAT = "consilium replayed ledger 1"


class _Kept(msgspec.Struct, array_like=True):
    """A replay's state, as it is kept between runs."""

    format: str
    channel: str
    height: int
    last_hash: bytes
    cells: list[KeptCell]


class RefusedQueryError(TrailError):
    """The contract refuses a query."""


class FollowedBlocks:
    """Takes blocks in order, from the channel's first one on, and answers queries from the state that they make.

    Attributes:
        height: how many blocks were taken: the next one's number.
        last_hash: the last block's hash; empty before the first.
    """

    def __init__(self, channel: str) -> None:
        self.height = 0
        self.last_hash = b""
        self._channel = channel
        # One thread may take a block while another keeps the state; and half a block's state is none to go on from.
        self._one_at_a_time = threading.Lock()
        self._whole = True
        self._replay = Replay(channel, federation_alone)

    @classmethod
    def restored(cls, channel: str, kept: bytes) -> FollowedBlocks:
        """Go on where another one was when it was kept. Whoever keeps it must keep it safe: it is believed.

        Raises:
            MalformedBlockError: not what `kept` returned, or of another channel.
        """
        try:
            known = msgspec.msgpack.decode(kept, type=_Kept)
        except msgspec.DecodeError as error:
            raise MalformedBlockError(f"not a replayed ledger: {error}") from None
        if (known.format, known.channel) != (_FORMAT, channel):
            raise MalformedBlockError(f"a replayed ledger of {known.channel!r}, format {known.format!r}")
        followed = cls(channel)
        followed.height, followed.last_hash = known.height, known.last_hash
        followed._replay.restore(known.cells)
        return followed

    def kept(self) -> bytes | None:
        """Return what `restored` goes on from; None once a block was found to be false."""
        with self._one_at_a_time:
            return self._encoded() if self._whole else None

    def _encoded(self) -> bytes:
        return msgspec.msgpack.encode(_Kept(_FORMAT, self._channel, self.height, self.last_hash, self._replay.cells()))

    def take(self, raw: bytes) -> None:
        """Take the next block, a serialized `common.Block`.

        Raises:
            UnsoundError: a valid transaction did something else than the contract does; it names who endorsed it.
            MalformedBlockError: not the next block, or none.
            MalformedTransactionError: a transaction that is called valid and isn't one.
        """
        with self._one_at_a_time:
            self._whole = False
            self._take(decode_block(raw))
            self._whole = True

    def _take(self, block: Block) -> None:
        if (block.number, block.header.previous_hash) != (self.height, self.last_hash):
            raise MalformedBlockError(f"block {block.number} doesn't follow the {self.height} blocks before")
        for position, envelope in enumerate(block.envelopes):
            if code_name(block.flags[position]) == VALID:
                self._replay_one(block.number, position, envelope)
        self.height += 1
        self.last_hash = block.header.hash()

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
