import hashlib
import os
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from consilium_aggregator.summation import add_chunks
from consilium_client.encryption import UpdateCipher
from consilium_client.errors import EncryptionError, PackingError
from consilium_client.packing import unpack
from consilium_proto.chunks import decode_sum, decode_update, encode_sum
from consilium_proto.parameter_sets import FRESH_NOISE_BOUND, PARAMETER_SETS, parameter_set

CHOSEN = parameter_set("bfv4096-q58-b8")
SEED = bytes(range(64))
KEY_DIGEST = "63c2b02111ed9dfaef122e87bf036430970faef2a41b6340e461e9780ba19228"
Slots = NDArray[np.uint64]
EVERY_SET = pytest.mark.parametrize("name", PARAMETER_SETS)


@pytest.fixture(scope="module")
def cipher() -> UpdateCipher:
    return UpdateCipher(CHOSEN, SEED, 1)


def random_slots(chunks: int = 2, seed: int = 0) -> Slots:
    return np.random.default_rng(seed).integers(0, 2**48, (chunks, CHOSEN.degree), dtype=np.uint64)


def as_sums(chunks: list[bytes], epoch: int = 1) -> list[bytes]:
    return [add_chunks(CHOSEN, epoch, [chunk]) for chunk in chunks]


@pytest.mark.parametrize(
    "slots",
    [
        random_slots(),
        np.zeros((1, 4096), np.uint64),
        np.full((1, 4096), 2**48 - 1, np.uint64),
        np.eye(1, 4096, 17, dtype=np.uint64),
    ],
    ids=["random", "zero", "largest", "trailing zeros"],
)
def test_what_is_encrypted_is_what_is_decrypted(cipher: UpdateCipher, slots: Slots) -> None:
    assert (cipher.decrypt(as_sums(list(cipher.encrypt(slots)))) == slots).all()


def key_of(cipher: UpdateCipher) -> Slots:
    """The secret key, as the decryption of a crafted ciphertext: zero and the scaled constant polynomial 1."""
    crafted = np.zeros((2, CHOSEN.degree), dtype=np.uint64)
    crafted[1, 0] = CHOSEN.modulus >> CHOSEN.plain_bits
    key: Slots = cipher.decrypt([encode_sum(CHOSEN, 1, crafted)])[0]
    return key


def test_the_key_follows_from_the_seed_alone() -> None:
    key = key_of(UpdateCipher(CHOSEN, SEED, 1))
    assert set(key.tolist()) == {0, 1, 2**48 - 1}
    assert (key == key_of(UpdateCipher(CHOSEN, SEED, 1))).all()
    # Another machine, release or year must derive the same key, or a sum could not be decrypted any more.
    assert hashlib.sha256(key.tobytes()).hexdigest() == KEY_DIGEST


def test_another_seed_set_or_epoch_has_another_key() -> None:
    key = key_of(UpdateCipher(CHOSEN, SEED, 1))
    other = key_of(UpdateCipher(CHOSEN, SEED[:-1] + b"\0", 1))
    assert 0.2 < (key == other).mean() < 0.5
    slots = random_slots(1)
    chunks = list(UpdateCipher(CHOSEN, SEED, 2).encrypt(slots))
    relabelled = [chunk[:8] + b"\x01" + chunk[9:] for chunk in chunks]
    garbage = UpdateCipher(CHOSEN, SEED, 1).decrypt(as_sums(relabelled))
    assert (garbage == slots).mean() < 0.01


def test_another_process_derives_the_same_key(cipher: UpdateCipher) -> None:
    program = (
        "import sys, numpy as np\n"
        "from consilium_client.encryption import UpdateCipher\n"
        "from consilium_proto.parameter_sets import parameter_set\n"
        "cipher = UpdateCipher(parameter_set('bfv4096-q58-b8'), bytes(range(64)), 1)\n"
        "sys.stdout.buffer.write(next(cipher.encrypt(np.arange(4096, dtype=np.uint64).reshape(1, -1))))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert (cipher.decrypt(as_sums([ran.stdout]))[0] == np.arange(4096)).all()


def test_every_encryption_is_fresh() -> None:
    slots = np.zeros((20, CHOSEN.degree), dtype=np.uint64)
    chunks = [chunk for _ in range(3) for chunk in UpdateCipher(CHOSEN, SEED, 1).encrypt(slots)]
    decoded = [decode_update(CHOSEN, 1, chunk) for chunk in chunks]
    assert len({chunk.seed for chunk in decoded}) == len(chunks) == 60
    for one, other in pairwise(decoded):
        assert (one.words == other.words).mean() < 0.01


def test_fresh_noise_is_within_the_bound_that_exactness_rests_on(cipher: UpdateCipher) -> None:
    modulus = np.uint64(CHOSEN.modulus)
    key = key_of(cipher)
    noise = []
    for chunk in cipher.encrypt(np.zeros((4, CHOSEN.degree), dtype=np.uint64)):
        first, second = decode_sum(CHOSEN, 1, add_chunks(CHOSEN, 1, [chunk]))
        # The first polynomial plus the second times the key, modulo X^N + 1: what is left is the noise.
        phase = first.copy()
        for shift in np.flatnonzero(key):
            rotated = np.roll(second, shift)
            rotated[:shift] = modulus - rotated[:shift]
            phase += rotated if key[shift] == 1 else modulus - rotated
            phase %= modulus
        signed = phase.astype(np.int64)
        noise.append(np.where(signed > CHOSEN.modulus // 2, signed - CHOSEN.modulus, signed))
    found = np.concatenate(noise)
    assert np.abs(found).max() <= FRESH_NOISE_BOUND
    assert 3 < found.std() < 3.5


def test_a_forked_process_draws_randomness_and_files_of_its_own(cipher: UpdateCipher) -> None:
    slots = random_slots(20)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with os.fdopen(write, "wb") as out:
            out.write(b"".join(cipher.encrypt(slots)))
        os._exit(0)
    os.close(write)
    own = list(cipher.encrypt(slots))
    with os.fdopen(read, "rb") as source:
        content = source.read()
    assert os.waitpid(child, 0)[1] == 0
    theirs = [content[at : at + len(own[0])] for at in range(0, len(content), len(own[0]))]
    assert (cipher.decrypt(as_sums(own)) == slots).all()
    assert (cipher.decrypt(as_sums(theirs)) == slots).all()
    assert not {chunk[-64:] for chunk in own} & {chunk[-64:] for chunk in theirs}


def test_who_has_no_key_reads_nothing(cipher: UpdateCipher) -> None:
    """What an aggregator can try: another key, the first polynomial alone, and differences of equal updates."""
    slots = np.full((1, CHOSEN.degree), 5, dtype=np.uint64)
    one, other = next(cipher.encrypt(slots)), next(cipher.encrypt(slots))
    guessed = UpdateCipher(CHOSEN, os.urandom(64), 1).decrypt(as_sums([one]))
    with pytest.raises(PackingError):
        unpack(guessed, CHOSEN, 10)
    words, others = decode_update(CHOSEN, 1, one).words, decode_update(CHOSEN, 1, other).words
    modulus = np.uint64(CHOSEN.modulus)
    for view in (words, (words + (modulus - others)) % modulus):
        scaled = np.rint(view.astype(np.float64) / (CHOSEN.modulus / 2**48)).astype(np.uint64)
        assert (scaled == 5).mean() < 0.01
        # Uniform below q: mean a half, deviation 1/sqrt(12), five standard errors.
        assert abs(float((view / CHOSEN.modulus).mean()) - 0.5) < 5 / np.sqrt(12 * CHOSEN.degree)


@EVERY_SET
def test_bytes_per_parameter(name: str) -> None:
    chosen = parameter_set(name)
    cipher = UpdateCipher(chosen, SEED, 1)
    chunk = next(cipher.encrypt(np.zeros((1, chosen.degree), dtype=np.uint64)))
    up = len(chunk) / chosen.values_per_chunk
    down = len(add_chunks(chosen, 1, [chunk])) / chosen.values_per_chunk
    assert (round(up, 2), round(down, 2)) == {
        "bfv4096-q58-b8": (2.01, 4.0),
        "bfv4096-q58-b12": (2.68, 5.34),
        "bfv4096-q58-b20": (4.02, 8.01),
        "bfv4096-q60-b12": (4.02, 8.01),
        "bfv4096-q56-radix-b8": (1.76, 3.5),
        "bfv4096-q56-radix-b12": (2.34, 4.67),
        "bfv4096-q56-radix-b20": (3.52, 7.01),
    }[name]


def test_memory_holds_one_chunk_at_a_time(cipher: UpdateCipher) -> None:
    slots = random_slots(64)
    tracemalloc.start()
    for chunk in cipher.encrypt(slots):
        assert len(chunk) < 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * CHOSEN.degree < slots.nbytes / 6


@pytest.mark.parametrize(
    ("slots", "why"),
    [
        (np.zeros(4096, np.uint64), r"shape \(4096,\)"),
        (np.zeros((2, 4095), np.uint64), r"shape \(2, 4095\)"),
        (np.zeros((0, 4096), np.uint64), r"shape \(0, 4096\)"),
        (np.zeros((1, 4096), np.int64), "not int64"),
    ],
)
def test_wrong_slots_are_refused_before_the_first_chunk(cipher: UpdateCipher, slots: Slots, why: str) -> None:
    with pytest.raises(EncryptionError, match=why):
        cipher.encrypt(slots)


def test_slots_of_t_and_more_are_refused(cipher: UpdateCipher) -> None:
    with pytest.raises(PackingError, match="slot 0"):
        cipher.encrypt(np.full((1, 4096), 2**48, np.uint64))


def test_malformed_sums_are_refused_with_their_place(cipher: UpdateCipher) -> None:
    update = next(cipher.encrypt(random_slots(1)))
    good = add_chunks(CHOSEN, 1, [update])
    for wrong, why in [
        (good[:-1], "chunk 2 of the sum: truncated"),
        (update, "chunk 2 of the sum: chunk of kind 1"),
        (good[:8] + b"\x02" + good[9:], "chunk 2 of the sum: chunk of key epoch 2"),
        (good[:64] + b"\xff" * 8 + good[72:], "chunk 2 of the sum: word 0"),
    ]:
        with pytest.raises(EncryptionError, match=why):
            cipher.decrypt(iter([good, wrong]))
    with pytest.raises(EncryptionError, match="at least one"):
        cipher.decrypt([])


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_seeds_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(EncryptionError, match=f"64 bytes, not {length}"):
        UpdateCipher(CHOSEN, bytes(length), 1)
