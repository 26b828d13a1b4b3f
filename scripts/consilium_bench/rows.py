"""What was measured, row by row, against what it should be."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Answer = Mapping[str, Any]

# NVIDIA FLARE's processor time over Consilium's, by (path, bits): at least.
SPEED = {("interface", 8): 12.0, ("interface", 20): 6.0, ("fast", 8): 20.0, ("fast", 20): 10.0}
# Bytes that a hospital uploads for each parameter, by bits: at most.
UPLOAD = {8: 2.1, 20: 4.1}
# Of the time of encryption: at most.
MASKS = 0.2
INNER_PRODUCTS = 0.2
FINGERPRINTS = 1.3
# The largest peak over the smallest: at most.
MEMORY = 1.05
DISPUTE_MILLISECONDS = 50.0
LEDGER_SECONDS = 4.0
# A transaction that credits twenty hospitals, in times of one that writes one value: at most.
REWARD = 2.0
ENDORSEMENTS_PER_SECOND = 1000.0
# Consilium's transactions a second over py-evm's: at least.
EVM = 4.0

# What every hospital does with the one sum; all else is in the measured time once for each.
_EACH_DOES_OURS = ("decrypt", "unpack", "dequantise")
_EACH_DOES_NVFLARE = ("load sum", "decrypt")
_MASKS = "mask"


class Sense(StrEnum):
    """On which side of its target a figure should be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True)
class Row:
    """One figure. Without a target it is there to be looked at."""

    name: str
    measured: float
    unit: str
    sense: Sense = Sense.AT_MOST
    target: float | None = None

    @property
    def met(self) -> bool | None:
        """Tell whether the target is met; None when there is none."""
        if self.target is None:
            return None
        return self.measured >= self.target if self.sense is Sense.AT_LEAST else self.measured <= self.target

    @property
    def margin(self) -> float | None:
        """Return how many times better than its target the figure is; below one it is missed."""
        if self.target is None:
            return None
        return self.measured / self.target if self.sense is Sense.AT_LEAST else self.target / self.measured


def speed_rows(ours: Answer, nvflare: Answer, clients: int) -> list[Row]:
    """Compare a round's processor time: each client's update encrypted, all added, the sum decrypted by each.

    The comparison is without masks, for NVIDIA FLARE has nothing like them; with them it is shown beside.
    """
    theirs = round_seconds(nvflare["seconds"], _EACH_DOES_NVFLARE, clients)
    seconds = dict(ours["seconds"])
    masked = round_seconds(seconds, _EACH_DOES_OURS, clients)
    bare = masked - seconds[_MASKS]
    name = f"NVIDIA FLARE / Consilium, {ours['bits']} bits, {ours['path']} path"
    target = SPEED[(ours["path"], ours["bits"])]
    return [Row(name, theirs / bare, "×", Sense.AT_LEAST, target), Row(f"{name}, masks too", theirs / masked, "×")]


def round_seconds(seconds: Mapping[str, float], each_does: tuple[str, ...], clients: int) -> float:
    """Return a whole round's processor seconds: what each client does with the sum was measured for one."""
    return sum(value * (clients if stage in each_does else 1) for stage, value in seconds.items())


def upload_rows(answer: Answer, parameters: int, name: str, target: float | None) -> list[Row]:
    """Return what one hospital uploads and downloads for each parameter."""
    return [
        Row(f"upload, {name}", answer["upload_bytes"] / parameters, "B/param", target=target),
        Row(f"download, {name}", answer["download_bytes"] / parameters, "B/param"),
    ]


def verification_rows(found: Answer, clients: int) -> list[Row]:
    """Return masks and fingerprints in times of the encryption of the same vector in the same run."""
    seconds, kind = found["seconds"], f"{found['bits']} bits, {found['path']} path"
    encryption = seconds["encryption"]
    fingerprints = sum(value for stage, value in seconds.items() if stage.startswith(("own", "witnessed", "sum")))
    whole = fingerprints + seconds["challenge"]
    return [
        Row(f"masks of {clients} hospitals / encryption, {kind}", seconds["masks"] / encryption, "×", target=MASKS),
        Row(
            f"inner products / encryption, {kind}",
            seconds["own: inner products"] / encryption,
            "×",
            target=INNER_PRODUCTS,
        ),
        Row(f"own + witnessed + sum / encryption, {kind}", whole / encryption, "×", target=FINGERPRINTS),
    ]


def memory_rows(answers: Sequence[Answer]) -> list[Row]:
    """Return the aggregator's peaks for several numbers of clients, and how far apart they are."""
    peaks = [answer["peak_bytes"] for answer in answers]
    numbers = ", ".join(str(answer["clients"]) for answer in answers)
    return [
        *(Row(f"aggregator's peak, {a['clients']} clients", a["peak_bytes"] / 1e6, "MB") for a in answers),
        Row(f"largest / smallest peak of {numbers} clients", max(peaks) / min(peaks), "×", target=MEMORY),
    ]


def dispute_rows(found: Answer) -> list[Row]:
    """Return what one dispute takes chaincode at most, and what taking a list of all chunks' values takes it."""
    return [
        Row("a dispute decided, slowest", found["milliseconds"]["max"], "ms", target=DISPUTE_MILLISECONDS),
        Row(f"a list of {found['chunks']} chunks taken, slowest", found["list_milliseconds"]["max"], "ms"),
    ]


def trail_row(found: Answer) -> Row:
    """Return how many endorsements of a trail one core verifies in a second."""
    rate = found["endorsements_per_second"]
    return Row("a trail's endorsements verified, one core", rate, "/s", Sense.AT_LEAST, ENDORSEMENTS_PER_SECOND)


def ledger_row(found: Answer) -> Row:
    """Return how long a round takes the ledger."""
    return Row("the ledger's part of a round", found["seconds"], "s", target=LEDGER_SECONDS)


def reward_rows(found: Answer) -> list[Row]:
    """Return how long crediting a round takes beside a plain transaction."""
    ratio = found["credit_seconds"] / found["plain_seconds"]
    return [
        Row(f"a reward of {found['hospitals']} hospitals / a plain transaction", ratio, "×", target=REWARD),
        Row("a plain transaction, committed", found["plain_seconds"], "s"),
    ]


def evm_rows(ours: Sequence[Answer], py_evm: Sequence[Answer]) -> list[Row]:
    """Compare how fast a token is minted and transferred, by the medians of several runs of the same transactions."""
    found = []
    for kind in ("mint", "transfer"):
        own, theirs = (statistics.median(each["seconds"][kind] for each in runs) for runs in (ours, py_evm))
        found += [
            Row(f"Consilium's EVM / py-evm, {kind}s", theirs / own, "×", Sense.AT_LEAST, EVM),
            Row(f"{kind}s on Consilium's EVM", ours[0]["count"] / own, "/s"),
            Row(f"{kind}s on py-evm", ours[0]["count"] / theirs, "/s"),
        ]
    return found
