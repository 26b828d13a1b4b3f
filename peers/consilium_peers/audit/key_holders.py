"""Who could decrypt a round: the holders of the key epoch under which its updates were encrypted.

The ledger holds each holder's wrapped copy of the key. Whether a holder has lost its copy, or has given it away, isn't
on the ledger; who was removed later still has the key of its time.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.history import History
from consilium_peers.audit.moments import shown_moment
from consilium_peers.audit.transitions import last_states
from consilium_proto.records import KeyEpoch


@dataclass(frozen=True, slots=True)
class Holder:
    """One hospital that held the key of a round.

    Attributes:
        commitment: of the epoch's key.
        opened_by, opened, block, tx_id: who opened the epoch, when by its client's claim, and where.
        newest_epoch: the study's newest key epoch; the key of an older one opens nothing new.
    """

    round: int
    epoch: int
    holder: str
    commitment: str
    opened_by: str
    opened: str
    newest_epoch: int
    block: int
    tx_id: str


def key_epochs(history: History, study: str) -> dict[int, tuple[Entry, KeyEpoch]]:
    """Return a study's key epochs and the transactions that opened them, by number."""
    return {
        epoch.epoch: (entry, epoch)
        for entry in history.of_study(study)
        for _, epoch in entry.written(KeyEpoch, "key-epoch", study)
    }


def key_holders(history: History, study: str, number: int) -> tuple[Holder, ...]:
    """Return who could decrypt what was encrypted in a round.

    Raises:
        NotOnLedgerError: no such study or round.
    """
    state = last_states(history, study).get(number)
    if state is None:
        raise NotOnLedgerError(f"study {study} has no round {number}")
    epochs = key_epochs(history, study)
    entry, epoch = epochs[state.epoch]
    return tuple(
        Holder(
            round=number,
            epoch=epoch.epoch,
            holder=wrapped.holder,
            commitment=epoch.commitment,
            opened_by=entry.creator,
            opened=shown_moment(entry.proposed),
            newest_epoch=max(epochs),
            block=entry.block,
            tx_id=entry.tx_id,
        )
        for wrapped in epoch.holders
    )
