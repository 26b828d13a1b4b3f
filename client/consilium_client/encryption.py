"""Encrypts a hospital's slots and decrypts a sum's, chunk by chunk: BFV with a secret key, seeded, through SEAL.

Public-key encryption would be noisier than the parameter sets allow for, so there is none. The secret key isn't
stored: every holder derives it from the key epoch's seed.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray
from tenseal import sealapi

from consilium_client.errors import EncryptionError
from consilium_client.packing import check_slots
from consilium_client.scaling import Scaling
from consilium_client.seal_paths import open_path
from consilium_client.zeros import PreparedZeros
from consilium_proto.chunk_tree import encode_fields
from consilium_proto.chunks import UpdateChunk, decode_sum, encode_update
from consilium_proto.cipher_path import CipherPath
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.seal_streams import MemoryFile, SealContext

KEY_SEED_SIZE = 64
# Chunks decrypted at once; see `SealPath.times`.
_PAIR = 2


class UpdateCipher:
    """The cipher of one key epoch. For one thread at a time; holds two chunks in memory.

    Encryption draws fresh randomness from the operating system every time, so encrypting the same slots twice gives
    unrelated chunks.
    """

    def __init__(
        self,
        parameter_set: ParameterSet,
        key_seed: bytes,
        epoch: int,
        path: CipherPath = CipherPath.INTERFACE,
        zeros: PreparedZeros | None = None,
    ) -> None:
        """Derive the epoch's key from its 64-byte seed.

        Args:
            parameter_set: the study's.
            key_seed: the epoch's secret.
            epoch: its number.
            path: which way to take through SEAL.
            zeros: encryptions of zero that were prepared under this very key; used before any is made here.

        Raises:
            EncryptionError: a seed of another length, a SEAL that the parameter set isn't for, or a set of which
                no cipher can be made.
        """
        if len(key_seed) != KEY_SEED_SIZE:
            raise EncryptionError(f"a key seed has {KEY_SEED_SIZE} bytes, not {len(key_seed)}")
        self._parameter_set = parameter_set
        self._epoch = epoch
        self._zeros = zeros
        try:
            self._context = SealContext(parameter_set)
            key = self._derive_key(key_seed)
        except WireError as error:
            raise EncryptionError(str(error)) from None
        self._path = open_path(path, self._context)
        self._scaling = Scaling(parameter_set)
        self._encryptor = sealapi.Encryptor(self._context.seal, key)
        self._key = key

    def encrypt(self, slots: NDArray[np.uint64]) -> Iterator[bytes]:
        """Return an iterator over the chunks of slots, uint64[chunks, degree], each below t.

        Raises:
            EncryptionError: another type or shape (at once, not at the first chunk).
            PackingError: a slot that isn't below t.
        """
        degree = self._parameter_set.degree
        if slots.dtype != np.uint64 or slots.ndim != 2 or slots.shape[1] != degree or not len(slots):
            raise EncryptionError(
                f"slots must be uint64 of shape (chunks, {degree}), not {slots.dtype} of shape {slots.shape}"
            )
        check_slots(slots, self._parameter_set.plain_bits)
        return (self._encrypt_row(row) for row in slots)

    def encrypt_zero(self) -> UpdateChunk:
        """Return a fresh encryption of zero, to which one plaintext may be added, once."""
        return self._path.encrypt_zero(self._encryptor)

    def decrypt(self, chunks: Iterable[bytes], count: int | None = None) -> NDArray[np.uint64]:
        """Return the slots, uint64[chunks, degree], of a sum's chunks, in order.

        Only a sum that the ledger has verified may be decrypted and acted on: what is decrypted for anybody who asks
        gives the secret key away.

        Args:
            chunks: the sum's chunks.
            count: how many there are, if that is known: it saves a copy.

        Raises:
            EncryptionError: no chunk, another number of them, or a malformed one; the message names its place.
        """
        held = chunks if count is not None else list(chunks)
        expected = len(held) if isinstance(held, list) else count or 0
        slots = np.empty((expected, self._parameter_set.degree), dtype=np.uint64)
        source, place = iter(held), 0
        while pair := list(itertools.islice(source, _PAIR)):
            if place + len(pair) > expected:
                raise EncryptionError(f"more than {expected} chunks")
            self._decrypt_chunks(place, pair, slots[place : place + len(pair)])
            place += len(pair)
        if place != expected or not expected:
            raise EncryptionError(f"{place} chunks instead of {expected or 'at least one'}")
        return slots

    def _derive_key(self, key_seed: bytes) -> Any:  # a sealapi.SecretKey, which is untyped
        info = encode_fields("consilium/bfv-key/1", self._parameter_set.name, self._epoch)
        words = struct.unpack("<8Q", HKDF(SHA512(), KEY_SEED_SIZE, salt=None, info=info).derive(key_seed))
        # This context's generator isn't random, so nothing but the key comes from it: the key moves to the ordinary
        # context, from which all noise is drawn.
        generator = sealapi.KeyGenerator(SealContext(self._parameter_set, seed=list(words)).seal)
        passage = MemoryFile()
        key = sealapi.SecretKey()
        passage.load(key, self._context.seal, [passage.save(generator.secret_key())])
        passage.close()
        return key

    def _encrypt_row(self, row: NDArray[np.uint64]) -> bytes:
        zero = None if self._zeros is None else self._zeros.take()
        if zero is None:
            zero = self.encrypt_zero()
        words = self._scaling.add_plain(zero.words, row)
        return encode_update(self._parameter_set, self._epoch, words, zero.seed)

    def _decrypt_chunks(self, place: int, chunks: Sequence[bytes], slots: NDArray[np.uint64]) -> None:
        """Decrypt one or two chunks of a sum into slots, uint64[chunks, degree]."""
        seconds = []
        for number, (chunk, row) in enumerate(zip(chunks, slots, strict=True), start=place + 1):
            try:
                words = decode_sum(self._parameter_set, self._epoch, chunk)
            except WireError as error:
                raise EncryptionError(f"chunk {number} of the sum: {error}") from None
            row[:] = words[0]
            seconds.append(words[1])
        self._add_products(seconds, slots)
        self._scaling.remove(slots)

    def _add_products(self, seconds: Sequence[NDArray[np.uint64]], slots: NDArray[np.uint64]) -> None:
        """Add to slots, which hold one or two first polynomials, the products of the second ones with the key."""
        # Zero, whose product is zero, isn't for SEAL; and where one is left, it is multiplied as a pair with itself.
        places = [place for place, second in enumerate(seconds) if second.any()]
        if places:
            products = self._path.times(self._key.data(), [seconds[places[0]], seconds[places[-1]]])
            for place, product in zip(places, products, strict=False):
                slots[place] += product
