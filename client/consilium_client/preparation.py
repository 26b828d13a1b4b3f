"""A second process that prepares encryptions of zero while the hospital trains, and goes on while it encrypts."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection

import numpy as np

from consilium_client.encryption import UpdateCipher
from consilium_client.zeros import PreparedZeros
from consilium_proto.chunks import UpdateChunk
from consilium_proto.cipher_path import CipherPath
from consilium_proto.parameter_sets import ParameterSet, parameter_set

log = logging.getLogger("consilium.agent")

# Below this a process costs more than it prepares; beyond the most, memory matters more (32 KB each).
FEWEST_CHUNKS, MOST_ZEROS = 64, 2048
_END_SECONDS = 5.0


@asynccontextmanager
async def preparing(
    chosen: ParameterSet, key_seed: bytes, epoch: int, chunks: int
) -> AsyncIterator[PreparedZeros | None]:
    """Prepare encryptions of zero for a vector of so many chunks as long as the block lasts.

    None where it doesn't pay (for few chunks, or on a single core), and where no second process is to be had: then they
    are made one by one. What isn't used when the block ends is forgotten.
    """
    if chunks < FEWEST_CHUNKS or (os.cpu_count() or 1) < 2:
        yield None
        return
    try:
        preparation = await asyncio.to_thread(_Preparation, chosen, key_seed, epoch, min(chunks, MOST_ZEROS))
    except OSError as error:
        log.warning("no second process prepares encryptions", extra={"detail": str(error)})
        yield None
        return
    try:
        yield preparation.zeros
    finally:
        await asyncio.to_thread(preparation.end)


class _Preparation:
    """The second process, and the thread that takes in what it makes.

    Raises:
        OSError: the process can't be started, or ended before it was told what to do.
    """

    def __init__(self, chosen: ParameterSet, key_seed: bytes, epoch: int, count: int) -> None:
        # A new interpreter: a forked one would share this one's threads' locks, and nothing of the key is on its
        # command line or in its environment.
        methods = multiprocessing.get_context("spawn")
        self._ours, theirs = methods.Pipe()
        self._process = methods.Process(target=_prepare, args=(theirs,), daemon=True, name="consilium-zeros")
        self.zeros = PreparedZeros()
        self._receiver = threading.Thread(target=_receive, args=(self._ours, chosen.degree, self.zeros), daemon=True)
        try:
            self._process.start()
            theirs.close()
            self._ours.send((chosen.name, key_seed, epoch, count))
        except OSError:
            theirs.close()
            self.end()
            raise
        self._receiver.start()

    def end(self) -> None:
        """End process and thread; neither outlives the call by more than a few seconds."""
        if self._process.pid is not None:
            self._process.terminate()
            self._process.join(_END_SECONDS)
        self._ours.close()
        if self._receiver.is_alive():
            self._receiver.join(_END_SECONDS)


def _receive(connection: Connection, degree: int, zeros: PreparedZeros) -> None:
    """Take zeros in until the other process has made them all or is ended."""
    while True:
        try:
            content = connection.recv_bytes()
        except (EOFError, OSError):
            return
        words = np.frombuffer(content, dtype="<u8", count=degree).astype(np.uint64)
        zeros.add(UpdateChunk(words, content[8 * degree :]))


def _prepare(connection: Connection) -> None:
    """Encrypt zeros and send them, until there are enough or the hospital's agent is gone: the second process' work."""
    # An interrupt is the agent's to handle; it ends this process with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        name, key_seed, epoch, count = connection.recv()
        cipher = UpdateCipher(parameter_set(name), key_seed, epoch, CipherPath.BUFFERS)
        for _ in range(count):
            zero = cipher.encrypt_zero()
            connection.send_bytes(zero.words.astype("<u8").tobytes() + zero.seed)
    except (EOFError, OSError):
        return
