"""Consilium's encryption path on the measured updates: from float32 layers to the decrypted sum, stage by stage."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from consilium_aggregator.summation import add_chunks
from consilium_bench import shapes
from consilium_bench.child import answer, arguments_of, say
from consilium_bench.cipher_paths import new_cipher, seal_path
from consilium_bench.cpu_time import REPETITIONS, Stages, medians
from consilium_client.encryption import KEY_SEED_SIZE, UpdateCipher
from consilium_client.masks import mask_slots, public_key_hex
from consilium_client.packing import pack, unpack
from consilium_client.quantise import dequantise_sum, quantise
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.parameter_sets import ParameterSet, parameter_set

EPOCH = 1


class Hospitals:
    """The hospitals of a round, with their mask keys."""

    def __init__(self, count: int) -> None:
        self._keys = {f"Hospital{number:03}MSP": X25519PrivateKey.generate() for number in range(count)}
        self._public = {name: public_key_hex(key) for name, key in self._keys.items()}

    def mask(self, number: int, slots: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Return one hospital's slots, masked against all others."""
        own = list(self._keys)[number]
        peers = {name: key for name, key in self._public.items() if name != own}
        context = VectorContext("consilium", "bench", EPOCH, 1, 0, own, "update")
        return mask_slots(slots, self._keys[own], own, peers, context, 48)


def play(layers: shapes.Layers, clients: int, bits: int, path: str) -> dict[str, Any]:
    """Do a round's arithmetic for all clients; return what it cost and how far off the sum is."""
    chosen = parameter_set(f"bfv4096-q58-b{bits}")
    stages = Stages()
    hospitals = Hospitals(clients)
    cipher = new_cipher(path, chosen, os.urandom(KEY_SEED_SIZE), EPOCH)
    uploads: list[list[bytes]] = []
    digests: list[str] = []
    expected = np.zeros(shapes.parameters(layers))
    for number in range(clients):
        say(f"{bits} bits, {path} path: client {number + 1} of {clients}")
        update = shapes.draw(layers, number)
        digests.append(shapes.digest(update))
        expected += np.clip(shapes.flat(update).astype(np.float64), -shapes.BOUND, shapes.BOUND)
        slots = _prepared(stages, update, chosen)
        with stages.measured("mask"):
            slots = hospitals.mask(number, slots)
        with stages.measured("encrypt, serialise"):
            uploads.append(list(cipher.encrypt(slots)))
    say(f"{bits} bits, {path} path: the sum")
    with stages.measured("add"):
        total = [add_chunks(chosen, EPOCH, chunks, seal_path(path)) for chunks in zip(*uploads, strict=True)]
    upload_bytes = sum(map(len, uploads[0]))
    # Who decrypts the sum doesn't hold the uploads too.
    uploads.clear()
    repeated = [Stages() for _ in range(REPETITIONS)]
    for each in repeated:
        found = _received(each, cipher, chosen, total, len(expected), clients)
    error, bearable = float(np.abs(found - expected).max()), clients * shapes.BOUND / (chosen.largest_value - 1)
    if error > bearable * (1 + 1e-6):
        raise RuntimeError(f"the sum is off by {error}, more than quantisation explains ({bearable})")
    return {
        "seconds": stages.seconds | medians(repeated),
        "upload_bytes": upload_bytes,
        "download_bytes": sum(map(len, total)),
        "largest_error": error,
        "digests": digests,
        "versions": {"tenseal": version("tenseal"), "numpy": np.__version__},
    }


def _prepared(stages: Stages, update: shapes.Update, chosen: ParameterSet) -> NDArray[np.uint64]:
    with stages.measured("quantise"):
        values = quantise(shapes.flat(update), shapes.BOUND, chosen)
    with stages.measured("pack"):
        return pack(values, chosen)


def _received(
    stages: Stages, cipher: UpdateCipher, chosen: ParameterSet, total: list[bytes], parameters: int, clients: int
) -> NDArray[np.float64]:
    """Do what each client does with the sum."""
    with stages.measured("decrypt"):
        decrypted = cipher.decrypt(total)
    with stages.measured("unpack"):
        sums = unpack(decrypted, chosen, parameters)
    with stages.measured("dequantise"):
        return dequantise_sum(sums, clients, shapes.BOUND, chosen)


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    answer(play(shapes.layers_of(given["size"]), given["clients"], given["bits"], given["path"]))


if __name__ == "__main__":
    main()
