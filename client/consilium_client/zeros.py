"""Encryptions of zero, prepared in a second process while the hospital trains, to which plaintexts are then added.

Adding the scaled plaintext to the first polynomial of an encryption of zero is what SEAL does when it encrypts, so the
result is an encryption like any other. Each is used for one plaintext: two under one would give away their difference.
They are in memory only; who takes one takes it out.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from consilium_proto.chunks import UpdateChunk
from consilium_proto.parameter_sets import ParameterSet, parameter_set

Words = NDArray[np.uint64]

# Below this a process costs more than it prepares; beyond the most, memory matters more (32 KB each).
FEWEST_CHUNKS, MOST_ZEROS = 64, 2048
_END_SECONDS = 5.0
# Splits a coefficient so that its product with q's distance from a multiple of t fits a word.
_HALF_BITS = 24
_HALF = np.uint64((1 << _HALF_BITS) - 1)


def add_plaintext(chosen: ParameterSet, zero: Words, slots: Words) -> Words:
    """Return the first polynomial, uint64[degree], of the encryption of slots that an encryption of zero becomes.

    SEAL (`multiply_add_plain_with_scaling_variant`) adds round(q m / t) = ⌊(q m + ⌊(t+1)/2⌋) / t⌋ to each coefficient.
    With D = ⌊q/t⌋ + 1 and r = D t − q, which is small for the primes in use, that is D m + ⌊(⌊(t+1)/2⌋ − r m) / t⌋.
    """
    bits = chosen.plain_bits
    quotient = (chosen.modulus >> bits) + 1
    lacking = np.uint64((quotient << bits) - chosen.modulus)
    # r m in two parts: high · 2^24 + low.
    low = (slots & _HALF) * lacking
    high = (slots >> np.uint64(_HALF_BITS)) * lacking + (low >> np.uint64(_HALF_BITS))
    borrowed = (low & _HALF) != 0
    rounding = ((1 << (bits - 1)) >> _HALF_BITS) - high.astype(np.int64) - borrowed
    rounding >>= bits - _HALF_BITS
    total = slots * np.uint64(quotient) + rounding.astype(np.uint64)
    total += zero
    reduced: Words = np.where(total >= chosen.modulus, total - np.uint64(chosen.modulus), total)
    return reduced


class PreparedZeros:
    """Encryptions of zero as they come from the process that makes them."""

    def __init__(self) -> None:
        self._ready: queue.SimpleQueue[UpdateChunk] = queue.SimpleQueue()

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


@contextmanager
def preparing(chosen: ParameterSet, key_seed: bytes, epoch: int, chunks: int) -> Iterator[PreparedZeros | None]:
    """Prepare encryptions of zero for a vector of so many chunks as long as the block lasts.

    None where it doesn't pay: for few chunks, or on a single core. What isn't used when the block ends is forgotten.
    """
    if chunks < FEWEST_CHUNKS or (os.cpu_count() or 1) < 2:
        yield None
        return
    # A new interpreter: a forked one would share this one's threads' locks, and nothing of the key is on its command
    # line or in its environment.
    methods = multiprocessing.get_context("spawn")
    ours, theirs = methods.Pipe()
    process = methods.Process(target=_prepare, args=(theirs,), daemon=True, name="consilium-zeros")
    process.start()
    theirs.close()
    zeros = PreparedZeros()
    receiver = threading.Thread(target=_receive, args=(ours, chosen.degree, zeros), daemon=True)
    try:
        ours.send((chosen.name, key_seed, epoch, min(chunks, MOST_ZEROS)))
        receiver.start()
        yield zeros
    finally:
        process.terminate()
        process.join(_END_SECONDS)
        ours.close()
        if receiver.is_alive():
            receiver.join(_END_SECONDS)


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
    """Encrypt zeros and send them: what the second process does."""
    from consilium_client.cipher_path import CipherPath
    from consilium_client.encryption import UpdateCipher

    name, key_seed, epoch, count = connection.recv()
    cipher = UpdateCipher(parameter_set(name), key_seed, epoch, CipherPath.BUFFERS)
    for _ in range(count):
        zero = cipher.encrypt_zero()
        try:
            connection.send_bytes(zero.words.astype("<u8").tobytes() + zero.seed)
        except (BrokenPipeError, OSError):
            return
