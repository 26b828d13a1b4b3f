"""NVIDIA FLARE's homomorphic encryption on the measured updates, by its own classes. Runs in its own environment.

As in a job with its defaults: HEModelEncryptor filters each client's update, the transport serialises it with fobs,
the server accumulates with HEInTimeAccumulateWeightedAggregator, and HEModelDecryptor filters what comes back. The key
context is what its HEBuilder makes when a project is provisioned. Clients are added one after another, for ten updates
together take several gigabytes.
"""

from __future__ import annotations

import logging
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tenseal as ts
from numpy.typing import NDArray
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_opt.he.intime_accumulate_model_aggregator import HEInTimeAccumulateWeightedAggregator
from nvflare.app_opt.he.model_decryptor import HEModelDecryptor
from nvflare.app_opt.he.model_encryptor import HEModelEncryptor
from nvflare.fuel.sec.security_content_service import SecurityContentService
from nvflare.fuel.utils import fobs
from nvflare.lighter.impl.he import HEBuilder

from consilium_bench import shapes
from consilium_bench.child import answer, arguments_of, say
from consilium_bench.cpu_time import REPETITIONS, Stages, medians

CLIENT_CONTEXT = "client_context.tenseal"
ROUND = 0


class Client:
    """One client's filters."""

    def __init__(self, number: int) -> None:
        self.context = _context()
        identity = FLContext()
        identity.set_prop(ReservedKey.IDENTITY_NAME, f"client-{number}")
        self.context.set_peer_context(identity)
        self.encryptor = HEModelEncryptor(CLIENT_CONTEXT)
        self.decryptor = HEModelDecryptor(CLIENT_CONTEXT)
        for each in (self.encryptor, self.decryptor):
            each.handle_event(EventType.START_RUN, self.context)


def play(layers: shapes.Layers, clients: int) -> dict[str, Any]:
    """Encrypt, serialise, add and decrypt the clients' updates; return what it cost and how far off the sum is."""
    stages = Stages()
    server = _context()
    server.set_prop(AppConstants.CURRENT_ROUND, ROUND)
    aggregator = HEInTimeAccumulateWeightedAggregator()
    aggregator.handle_event(EventType.START_RUN, server)
    digests, sizes = [], []
    expected = np.zeros(shapes.parameters(layers))
    for number in range(clients):
        say(f"NVIDIA FLARE: client {number + 1} of {clients}")
        update = shapes.draw(layers, number)
        digests.append(shapes.digest(update))
        expected += shapes.flat(update)
        client = Client(number)
        with stages.measured("encrypt"):
            shareable = DXO(DataKind.WEIGHT_DIFF, data=update, meta={MetaKey.NUM_STEPS_CURRENT_ROUND: 1}).to_shareable()
            encrypted = client.encryptor.process(shareable, client.context)
        with stages.measured("serialise"):
            message = b"".join(fobs.dumps(encrypted, buffer_list=True))
        sizes.append(len(message))
        del update, shareable, encrypted
        with stages.measured("load"):
            received = fobs.loads(message)
        del message
        received.set_peer_props({ReservedKey.IDENTITY_NAME: f"client-{number}"})
        received.add_cookie(AppConstants.CONTRIBUTION_ROUND, ROUND)
        with stages.measured("add"):
            if not aggregator.accept(received, server):
                raise RuntimeError("NVIDIA FLARE's aggregator doesn't accept the update")
        del received
    say("NVIDIA FLARE: the sum")
    with stages.measured("add"):
        total = aggregator.aggregate(server)
    with stages.measured("serialise sum"):
        download = b"".join(fobs.dumps(total, buffer_list=True))
    del total
    repeated = [Stages() for _ in range(REPETITIONS)]
    for each in repeated:
        mean = _received(each, download)
    return {
        "seconds": stages.seconds | medians(repeated),
        "upload_bytes": max(sizes),
        "download_bytes": len(download),
        "largest_error": float(np.abs(mean * clients - expected).max()),
        "digests": digests,
        "versions": {"nvflare": version("nvflare"), "tenseal": version("tenseal"), "numpy": np.__version__},
    }


def _received(stages: Stages, download: bytes) -> NDArray[np.float64]:
    """Do what each client does with the mean."""
    with stages.measured("load sum"):
        received = fobs.loads(download)
    client = Client(0)
    with stages.measured("decrypt"):
        decrypted = client.decryptor.process(received, client.context)
        return np.concatenate([np.asarray(values) for values in from_shareable(decrypted).data.values()])


def _context() -> FLContext:
    context = FLContext()
    # The context file isn't signed, as in NVIDIA FLARE's own simulator.
    context.set_prop(FLContextKey.SECURE_MODE, False)
    return context


def _provision(folder: Path) -> None:
    """Write the clients' key context as NVIDIA FLARE's provisioning does, with its defaults."""
    builder = HEBuilder()
    builder.initialize(None, None)
    (folder / CLIENT_CONTEXT).write_bytes(builder.get_serialized_context(is_client=True))
    SecurityContentService.initialize(str(folder))
    if ts.context_from((folder / CLIENT_CONTEXT).read_bytes()).secret_key() is None:
        raise RuntimeError("NVIDIA FLARE's client context has no secret key")


def main() -> None:
    """Run as a child of the benchmark."""
    arguments = arguments_of()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        _provision(Path(folder))
        answer(play(shapes.layers_of(arguments["size"]), int(arguments["clients"])))


if __name__ == "__main__":
    main()
