"""Pairwise masks: each hospital's slots look random, and only the sum over all hospitals of a round is free of them.

Every pair of hospitals agrees on a keystream (X25519, HKDF-SHA256, AES-256-CTR); one adds it, the other subtracts it,
modulo the plaintext modulus. The keystream's derivation binds the vector and both identities with both public keys:
with the keys alone, a hospital that copied another's public key would make two masks of a third cancel and read its
update from its single ciphertext.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from consilium_client.errors import MaskError
from consilium_client.packing import check_slots
from consilium_proto.chunk_tree import VectorContext, encode_fields
from consilium_proto.errors import WireError

# With fewer than two peers the sum minus one's own update is the other's.
MIN_PEERS = 2
_KEY_SIZE = 32
_BLOCK = 1 << 15
_WORD = np.dtype("<u8")
_ZEROS = bytes(_BLOCK * _WORD.itemsize)


def mask_slots(
    slots: NDArray[np.uint64],
    own: X25519PrivateKey,
    own_id: str,
    peers: Mapping[str, str],
    context: VectorContext,
    plain_bits: int,
) -> NDArray[np.uint64]:
    """Return the masked slots, uint64[chunks, degree] below t; the slots given stay as they are.

    Args:
        slots: uint64[chunks, degree], each below t.
        own: this hospital's mask key of the round.
        own_id: this hospital's MSP id.
        peers: the mask keys (hex) of all *other* hospitals of the attempt, by MSP id.
        context: the vector that is masked; its owner is this hospital.
        plain_bits: log2 of the plaintext modulus t.

    Raises:
        MaskError: fewer than two peers, oneself among them, another's context, or a malformed or low-order key.
        PackingError: a slot that isn't below t.
    """
    if context.owner != own_id:
        raise MaskError(f"the vector to mask belongs to {context.owner}, not to {own_id}")
    if own_id in peers:
        raise MaskError(f"{own_id} is listed among its own peers")
    if len(peers) < MIN_PEERS:
        raise MaskError(f"masks need at least {MIN_PEERS} other hospitals, not {len(peers)}: two see each other's sum")
    check_slots(slots, plain_bits)
    masked = np.ascontiguousarray(slots).reshape(-1).astype(np.uint64, copy=True)
    for peer in sorted(peers):
        keystream = _keystream(_pair_key(own, own_id, peer, peers[peer], context))
        _apply(masked, keystream, add=own_id < peer)
    # 2^64 is a multiple of t, so wrapping in 64 bits and reducing once at the end is arithmetic modulo t.
    masked &= np.uint64((1 << plain_bits) - 1)
    return masked.reshape(slots.shape)


def public_key_hex(key: X25519PrivateKey) -> str:
    """Return a key's public half as records carry it: 64 lower-case hex digits."""
    return key.public_key().public_bytes_raw().hex()


def pair_info(own_id: str, own_key: str, peer_id: str, peer_key: str, context: VectorContext) -> bytes:
    """Return what a pair's derivation binds, equal for both: vector, identities and keys (hex), in order of identity.

    Raises:
        MaskError: a number of the context out of range.
    """
    (first_id, first_key), (second_id, second_key) = sorted([(own_id, own_key), (peer_id, peer_key)])
    try:
        return encode_fields(
            "consilium/mask/1",
            context.channel,
            context.study,
            context.epoch,
            context.round,
            context.attempt,
            context.label,
            first_id,
            first_key,
            second_id,
            second_key,
        )
    except WireError as error:
        raise MaskError(str(error)) from None


def _pair_key(own: X25519PrivateKey, own_id: str, peer_id: str, peer_key: str, context: VectorContext) -> bytes:
    try:
        raw = bytes.fromhex(peer_key)
        if raw.hex() != peer_key:
            raise ValueError("not lower-case hex without spaces")
        public = X25519PublicKey.from_public_bytes(raw)
    except ValueError as error:
        raise MaskError(f"the mask key of {peer_id} is malformed: {error}") from None
    try:
        shared = own.exchange(public)
    except ValueError:
        # X25519 with a point of low order gives zero, a secret that everybody knows.
        raise MaskError(f"the mask key of {peer_id} is of low order: the mask would be public") from None
    info = pair_info(own_id, public_key_hex(own), peer_id, peer_key, context)
    return HKDF(SHA256(), _KEY_SIZE, salt=None, info=info).derive(shared)


def _keystream(key: bytes) -> CipherContext:
    # The key serves this pair and vector only, so the counter may start at zero.
    return Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()


def _apply(masked: NDArray[np.uint64], keystream: CipherContext, *, add: bool) -> None:
    """Add or subtract a keystream, one 64-bit little-endian word per slot, in place."""
    words = np.empty(_BLOCK, dtype=_WORD)
    into = words.data.cast("B")
    for start in range(0, masked.size, _BLOCK):
        part = masked[start : start + _BLOCK]
        size = part.size * _WORD.itemsize
        keystream.update_into(_ZEROS[:size], into[:size])
        if add:
            part += words[: part.size]
        else:
            part -= words[: part.size]
