"""How fast a trail is verified: endorsements a second of one core, with everything that goes with them.

The trail is the one that the tests keep, of a real network: 254 endorsements, their creators and orderers, a replay.
"""

from __future__ import annotations

import time
from pathlib import Path

from consilium_bench.child import answer, arguments_of, say
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.results import Verdict
from consilium_trail.verify import verify_trail

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "peers" / "trail" / "format-1"


def measure(repetitions: int) -> dict[str, float]:
    """Verify the trail several times; return the endorsements and the median's rate a second of processor time.

    Raises:
        RuntimeError: the trail isn't sound.
    """
    say("a trail verified")
    roots = TrustedRoots.load(FOLDER / "roots.pem")
    trail = next(iter(sorted(FOLDER.glob("*.zip"))))
    rates: list[float] = []
    endorsements = 0
    for _ in range(repetitions):
        began = time.process_time()
        found = verify_trail(trail, roots)
        if found.verdict is not Verdict.SOUND:
            raise RuntimeError(f"the trail of the tests is {found.verdict}: {found.finding}")
        endorsements = found.counts.endorsements
        rates.append(endorsements / (time.process_time() - began))
    return {"endorsements": endorsements, "endorsements_per_second": sorted(rates)[len(rates) // 2]}


if __name__ == "__main__":
    answer(measure(arguments_of()["repetitions"]))
