"""Key epochs: a fresh key seed for a study, sealed to each holder, and opened again.

Sealing is HPKE (RFC 9180) in base mode with X25519, HKDF-SHA256 and AES-256-GCM; its info binds study, epoch and
holder, so a sealed seed can't be passed off as another's. The ledger's commitment makes sure that all holders have
the same seed, whoever sealed it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from consilium_client.encryption import KEY_SEED_SIZE
from consilium_client.errors import KeyEpochError
from consilium_proto.chunk_tree import encode_fields
from consilium_proto.records import KeyEpoch, WrappedKey

_ENCAPSULATED_SIZE = 32
_suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def new_epoch(study: str, epoch: int, holders: Mapping[str, str]) -> tuple[KeyEpoch, bytes]:
    """Draw a key seed and seal it to each holder's wrapping key (hex), by MSP id.

    Returns:
        The record for the ledger, and the 64-byte seed, which is to be kept as a secret.

    Raises:
        KeyEpochError: a malformed or low-order wrapping key; the message names its holder.
    """
    seed = secrets.token_bytes(KEY_SEED_SIZE)
    wrapped = tuple(_wrap(study, epoch, holder, holders[holder], seed) for holder in sorted(holders))
    record = KeyEpoch(study=study, epoch=epoch, commitment=commitment(study, epoch, seed), holders=wrapped)
    return record, seed


def unwrap(key_epoch: KeyEpoch, holder: str, private_key: X25519PrivateKey) -> bytes:
    """Return the epoch's 64-byte seed, which is the one that the ledger's record commits to.

    Raises:
        KeyEpochError: the epoch isn't sealed to this holder, not to this key, or to another seed than its commitment.
    """
    sealed = [wrapped for wrapped in key_epoch.holders if wrapped.holder == holder]
    if len(sealed) != 1:
        raise KeyEpochError(
            f"key epoch {key_epoch.epoch} of {key_epoch.study} is sealed to {holder} {len(sealed)} times, not once"
        )
    try:
        message = bytes.fromhex(sealed[0].encapsulated) + bytes.fromhex(sealed[0].ciphertext)
        seed = _suite.decrypt(message, private_key, info=_info(key_epoch.study, key_epoch.epoch, holder))
    except (InvalidTag, ValueError):
        raise KeyEpochError(
            f"key epoch {key_epoch.epoch} of {key_epoch.study} doesn't open with {holder}'s wrapping key; "
            "register the key that is in use and ask for a new epoch"
        ) from None
    if not hmac.compare_digest(commitment(key_epoch.study, key_epoch.epoch, seed), key_epoch.commitment):
        raise KeyEpochError(
            f"key epoch {key_epoch.epoch} of {key_epoch.study} seals another key to {holder} than it commits to; "
            "whoever opened it is at fault: ask for a new epoch"
        )
    return seed


def commitment(study: str, epoch: int, seed: bytes) -> str:
    """Return the commitment (hex) to a seed; 512 random bits need no blinding."""
    return hashlib.sha256(encode_fields("consilium/key-commitment/1", study, epoch, seed)).hexdigest()


def _wrap(study: str, epoch: int, holder: str, wrapping_key: str, seed: bytes) -> WrappedKey:
    try:
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(wrapping_key))
        message = _suite.encrypt(seed, public, info=_info(study, epoch, holder))
    except ValueError as error:
        raise KeyEpochError(f"the wrapping key of {holder} is malformed or of low order: {error}") from None
    encapsulated, ciphertext = message[:_ENCAPSULATED_SIZE], message[_ENCAPSULATED_SIZE:]
    return WrappedKey(holder=holder, encapsulated=encapsulated.hex(), ciphertext=ciphertext.hex())


def _info(study: str, epoch: int, holder: str) -> bytes:
    return encode_fields("consilium/key-epoch/1", study, epoch, holder)
