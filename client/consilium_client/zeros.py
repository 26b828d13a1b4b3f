"""Encryptions of zero that were prepared ahead, to which plaintexts are then added.

Adding the scaled plaintext to the first polynomial of an encryption of zero is what SEAL does when it encrypts, so the
result is an encryption like any other. Each is used for one plaintext: two under one would give away their difference
(`tests/client/crypto/test_zeros.py`). So who takes one takes it out, and they are in the memory of one process only.
"""

from __future__ import annotations

import os
import queue
import weakref
from typing import NoReturn

from consilium_client.errors import EncryptionError
from consilium_proto.chunks import UpdateChunk


class PreparedZeros:
    """Encryptions of zero as they come from the process that makes them.

    A forked child finds none, for they are its parent's; and they are neither copied nor pickled.
    """

    def __init__(self) -> None:
        self._ready: queue.SimpleQueue[UpdateChunk] = queue.SimpleQueue()
        _of_this_process.add(self)

    def add(self, zero: UpdateChunk) -> None:
        """Put one in."""
        self._ready.put(zero)

    def take(self) -> UpdateChunk | None:
        """Take one out, for good; None when none is ready: then the caller encrypts by itself, beside the other."""
        try:
            return self._ready.get_nowait()
        except queue.Empty:
            return None

    def __len__(self) -> int:
        """How many are ready."""
        return self._ready.qsize()

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or pickled.

        Raises:
            EncryptionError: always.
        """
        raise EncryptionError("prepared encryptions of zero are never copied: each may be used once only")

    def forget(self) -> None:
        """Let go of all of them."""
        self._ready = queue.SimpleQueue()


_of_this_process: weakref.WeakSet[PreparedZeros] = weakref.WeakSet()


def _forget_the_parents() -> None:
    for zeros in list(_of_this_process):
        zeros.forget()


os.register_at_fork(after_in_child=_forget_the_parents)
