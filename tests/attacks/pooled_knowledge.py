"""Everything that colluders hold, and a search for an honest hospital's update in it.

The colluders are one hospital, with every key of its own and the epoch's, and both aggregators, with every chunk that
was ever sent to them. They decrypt what they hold, take off the masks that the hospital shares, and try every sum and
difference of the vectors that are left.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from attack_stage import CHEAT, SET, Stage, weighted_update
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from dishonest_aggregators import HELD, MANIFESTS
from numpy.typing import NDArray

from consilium_aggregator.summation import add_chunks
from consilium_client.encryption import UpdateCipher
from consilium_client.masks import pair_info, public_key_hex
from consilium_client.packing import pack
from consilium_client.quantise import quantise
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.records import RoundView

Slots = NDArray[np.uint64]
# Slots compared: a wrong candidate agrees in none of them but by chance of 2^-48 each.
_COMPARED = 512
# Sums and differences of more vectors than these aren't tried.
_COMBINED = 7
_MODULUS = np.uint64((1 << SET.plain_bits) - 1)


def slots_of(hospital: str) -> Slots:
    """Return the packed integers of a hospital's update: what the colluders are after."""
    return pack(quantise(weighted_update(hospital), 1.0, SET), SET)


@dataclass
class PooledKnowledge:
    """What the colluders make of one study. `mask_keys` are the private keys they have, by hospital and round."""

    stage: Stage
    mask_keys: dict[tuple[str, int], X25519PrivateKey] = field(default_factory=dict)

    def decrypted(self, view: RoundView, hospital: str, attempt: int = 0) -> Slots | None:
        """Return a hospital's vector without encryption and known masks; None when they don't hold all of it."""
        state = view.round
        digests = MANIFESTS.get((state.study, state.round, attempt, hospital), [])
        if not digests or not set(digests) <= set(HELD):
            return None
        sums = [add_chunks(SET, state.epoch, [HELD[digest]]) for digest in digests]
        slots = UpdateCipher(SET, self.stage.key_seed, state.epoch).decrypt(sums)
        return self._without_known_masks(view, hospital, attempt, slots)

    def everything(self, views: Sequence[RoundView]) -> list[Slots]:
        """Return every vector of every hospital that they hold, of all attempts of these rounds."""
        found = [
            self.decrypted(view, hospital, attempt)
            for view in views
            for attempt in range(view.round.attempt + 1)
            for hospital in sorted(self.stage.parties)
            if hospital != CHEAT
        ]
        return [vector for vector in found if vector is not None]

    def _without_known_masks(self, view: RoundView, hospital: str, attempt: int, slots: Slots) -> Slots:
        state = view.round
        joined = {entry.hospital: entry.join.mask_key for entry in view.joins}
        context = VectorContext("consilium", state.study, state.epoch, state.round, attempt, hospital, "update")
        for (other, number), key in self.mask_keys.items():
            if other != hospital and number == state.round and hospital in joined:
                mask = _mask(key, other, hospital, joined[hospital], context, slots.shape)
                # The hospital of the smaller name added it.
                slots = (slots - mask if hospital < other else slots + mask) & _MODULUS
        return slots

    def candidates(self, vectors: Sequence[Slots]) -> Iterator[Slots]:
        """Return every combination of the vectors with coefficients −1, 0 and 1, compared slots only."""
        short = [vector.reshape(-1)[:_COMPARED] for vector in vectors[:_COMBINED]]
        for coefficients in itertools.product((0, 1, -1), repeat=len(short)):
            total = np.zeros(_COMPARED, dtype=np.uint64)
            for coefficient, vector in zip(coefficients, short, strict=True):
                if coefficient:
                    total = total + vector if coefficient > 0 else total - vector
            yield total & _MODULUS

    def agreement(self, vectors: Sequence[Slots], victim: str) -> float:
        """Return the largest share of slots in which a candidate agrees with the victim's update."""
        wanted = slots_of(victim).reshape(-1)[:_COMPARED]
        own = slots_of(CHEAT).reshape(-1)[:_COMPARED]
        best = 0.0
        for candidate in self.candidates(vectors):
            for guess in (candidate, (candidate - own) & _MODULUS):
                best = max(best, float((guess == wanted).mean()))
        return best


def _mask(
    own: X25519PrivateKey, own_id: str, peer: str, peer_key: str, context: VectorContext, shape: tuple[int, ...]
) -> Slots:
    """Return the keystream of a pair, uint64 of this shape, as either of them derives it."""
    shared = own.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(peer_key)))
    info = pair_info(own_id, public_key_hex(own), peer, peer_key, context)
    key = HKDF(SHA256(), 32, salt=None, info=info).derive(shared)
    stream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    size = int(np.prod(shape))
    return np.frombuffer(stream.update(bytes(8 * size)), dtype="<u8").astype(np.uint64).reshape(shape)
