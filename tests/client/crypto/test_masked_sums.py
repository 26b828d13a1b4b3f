"""The whole path of an update: quantised, packed, masked, encrypted, added without a key, decrypted, unpacked."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from consilium_aggregator.errors import SummationError
from consilium_aggregator.summation import add_chunks
from consilium_client.encryption import UpdateCipher
from consilium_client.errors import PackingError, QuantisationError
from consilium_client.masks import mask_slots, public_key_hex
from consilium_client.packing import pack, unpack
from consilium_client.quantise import dequantise_sum, quantise
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.chunks import decode_sum, decode_update, encode_update
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet, parameter_set

EVERY_SET = pytest.mark.parametrize("name", PARAMETER_SETS)
CHOSEN = parameter_set("bfv4096-q58-b8")
SEED = bytes(64)
Values = NDArray[np.uint32]


@pytest.fixture(scope="module")
def ciphers() -> dict[str, UpdateCipher]:
    return {name: UpdateCipher(chosen, SEED, 1) for name, chosen in PARAMETER_SETS.items()}


def masked_chunks(chosen: ParameterSet, cipher: UpdateCipher, updates: list[Values]) -> list[list[bytes]]:
    names = [f"Hospital{index:02}MSP" for index in range(len(updates))]
    own = {name: X25519PrivateKey.generate() for name in names}
    uploads = []
    for name, values in zip(names, updates, strict=True):
        peers = {peer: public_key_hex(key) for peer, key in own.items() if peer != name}
        context = VectorContext("consilium", "heart", 1, 1, 0, name, "update")
        uploads.append(
            list(cipher.encrypt(mask_slots(pack(values, chosen), own[name], name, peers, context, chosen.plain_bits)))
        )
    return uploads


def summed(chosen: ParameterSet, uploads: list[list[bytes]]) -> list[bytes]:
    return [add_chunks(chosen, 1, position) for position in zip(*uploads, strict=True)]


def worst_case_updates(chosen: ParameterSet, hospitals: int, count: int) -> list[Values]:
    """All largest, all zero, and random values, side by side in every hospital's update."""
    generator = np.random.default_rng(hospitals)
    updates = []
    for _ in range(hospitals):
        values = generator.integers(0, 2**chosen.bits, count, dtype=np.uint32)
        values[: count // 3] = chosen.largest_value
        values[count // 3 : count // 2] = 0
        updates.append(values)
    return updates


@EVERY_SET
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_masked_sums_are_exact(name: str, share: float, ciphers: dict[str, UpdateCipher]) -> None:
    hospitals = max(3, round(share * parameter_set(name).max_hospitals))
    chosen, cipher = parameter_set(name), ciphers[name]
    count = chosen.values_per_chunk + 100
    updates = worst_case_updates(chosen, hospitals, count)
    sums = unpack(cipher.decrypt(summed(chosen, masked_chunks(chosen, cipher, updates))), chosen, count)
    assert (sums == np.array(updates, dtype=np.uint64).sum(axis=0)).all()
    assert int(sums.max()) == hospitals * chosen.largest_value


def with_noise(chosen: ParameterSet, chunk: bytes, noise: int) -> bytes:
    decoded = decode_update(chosen, 1, chunk)
    shifted = (decoded.words + np.uint64(noise % chosen.modulus)) % np.uint64(chosen.modulus)
    return encode_update(chosen, 1, shifted, decoded.seed)


@pytest.mark.parametrize(("noise", "exact"), [(21, True), (-21, True), (40, False), (-40, False)])
def test_sums_are_exact_for_the_largest_noise(noise: int, exact: bool, ciphers: dict[str, UpdateCipher]) -> None:
    """Every coefficient of all sixteen gets the largest noise that SEAL can draw on top of what it drew."""
    cipher = ciphers[CHOSEN.name]
    updates = worst_case_updates(CHOSEN, 16, CHOSEN.values_per_chunk)
    uploads = masked_chunks(CHOSEN, cipher, updates)
    noisy = [[with_noise(CHOSEN, chunk, noise) for chunk in chunks] for chunks in uploads]
    assert (cipher.decrypt(summed(CHOSEN, noisy)) == cipher.decrypt(summed(CHOSEN, uploads))).all() == exact


@EVERY_SET
def test_real_updates_come_back_within_half_a_level_each(name: str, ciphers: dict[str, UpdateCipher]) -> None:
    chosen, cipher, count = parameter_set(name), ciphers[name], 1000
    generator = np.random.default_rng(0)
    updates = [generator.uniform(-0.25, 0.25, count) for _ in range(5)]
    uploads = masked_chunks(chosen, cipher, [quantise(update, 0.25, chosen) for update in updates])
    sums = unpack(cipher.decrypt(summed(chosen, uploads)), chosen, count)
    restored = dequantise_sum(sums, 5, 0.25, chosen)
    assert np.abs(restored - np.sum(updates, axis=0)).max() <= 5 * 0.25 / (2**chosen.bits - 2) * (1 + 1e-9)


def test_without_one_hospital_nothing_can_be_read(ciphers: dict[str, UpdateCipher]) -> None:
    cipher = ciphers[CHOSEN.name]
    updates = worst_case_updates(CHOSEN, 4, 1000)
    uploads = masked_chunks(CHOSEN, cipher, updates)
    for missing in range(4):
        rest = [chunks for index, chunks in enumerate(uploads) if index != missing]
        with pytest.raises(PackingError, match="masks didn't cancel"):
            unpack(cipher.decrypt(summed(CHOSEN, rest)), CHOSEN, 1000)
    full = CHOSEN.values_per_chunk
    rest = masked_chunks(CHOSEN, cipher, worst_case_updates(CHOSEN, 4, full))[1:]
    sums = unpack(cipher.decrypt(summed(CHOSEN, rest)), CHOSEN, full)
    with pytest.raises(QuantisationError, match="masks didn't cancel"):
        dequantise_sum(sums, 4, 1.0, CHOSEN)


def test_a_holder_of_the_key_cannot_read_a_single_update(ciphers: dict[str, UpdateCipher]) -> None:
    cipher = ciphers[CHOSEN.name]
    updates = worst_case_updates(CHOSEN, 3, CHOSEN.values_per_chunk)
    for upload, values in zip(masked_chunks(CHOSEN, cipher, updates), updates, strict=True):
        slots = cipher.decrypt(summed(CHOSEN, [upload]))
        assert (slots == pack(values, CHOSEN)).mean() < 0.01


def test_the_sum_is_the_words_sum_in_any_order(ciphers: dict[str, UpdateCipher]) -> None:
    uploads = masked_chunks(CHOSEN, ciphers[CHOSEN.name], worst_case_updates(CHOSEN, 3, 10))
    orders = [add_chunks(CHOSEN, 1, [uploads[index][0] for index in order]) for order in permutations(range(3))]
    assert len(set(orders)) == 1
    words = np.array([decode_update(CHOSEN, 1, chunks[0]).words for chunks in uploads]).sum(axis=0)
    assert (decode_sum(CHOSEN, 1, orders[0])[0] == words % np.uint64(CHOSEN.modulus)).all()


def test_adding_from_several_threads_gives_the_same(ciphers: dict[str, UpdateCipher]) -> None:
    count = 12 * CHOSEN.values_per_chunk
    uploads = masked_chunks(CHOSEN, ciphers[CHOSEN.name], worst_case_updates(CHOSEN, 3, count))
    positions = list(zip(*uploads, strict=True))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda chunks: add_chunks(CHOSEN, 1, chunks), positions))
    assert together == summed(CHOSEN, uploads)


def test_chunks_that_cannot_be_added_are_named(ciphers: dict[str, UpdateCipher]) -> None:
    chunks = [upload[0] for upload in masked_chunks(CHOSEN, ciphers[CHOSEN.name], worst_case_updates(CHOSEN, 3, 10))]
    with pytest.raises(SummationError, match="at least one hospital"):
        add_chunks(CHOSEN, 1, [])
    with pytest.raises(SummationError, match="at most 16 hospitals"):
        add_chunks(CHOSEN, 1, [chunks[0]] * 17)
    with pytest.raises(SummationError, match="chunk 2: truncated chunk"):
        add_chunks(CHOSEN, 1, [chunks[0], chunks[1][:-1], chunks[2]])
    with pytest.raises(SummationError, match="chunk 1: chunk of key epoch 1 where epoch 2"):
        add_chunks(CHOSEN, 2, chunks)
    with pytest.raises(SummationError, match=r"chunk \d: word 0"):
        add_chunks(CHOSEN, 1, [*chunks[:2], chunks[2][:64] + b"\xff" * 8 + chunks[2][72:]])
    with pytest.raises(SummationError, match=r"chunk \d: .*'bfv4096-q58-b8' where 'bfv4096-q58-b20'"):
        add_chunks(parameter_set("bfv4096-q58-b20"), 1, chunks)
