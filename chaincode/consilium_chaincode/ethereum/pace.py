"""One long computation among others on an event loop: it steps back now and then."""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.002
"""How long a computation keeps the loop to itself, if nothing in it takes longer."""
STEPS = 4
"""How many steps of everything else it lets pass then: a message to or from a peer takes dozens."""
COMPUTATIONS = 8
"""How many computations that somebody asked for are under way at once; others wait for one to end.

The federation's calls don't: a round that ends must not wait for whoever asks much of a peer.
"""


def on_a_loop() -> bool:
    """Tell whether an event loop runs this; a replay has none, and nobody waits there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Pace:
    """Counts the time since a computation last stepped back. Deadlines reach it there too: it is cancelled there."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def turn(self) -> None:
        """Let everything else run, if it is time; where there is no event loop, as in a replay, nobody waits."""
        if time.monotonic() - self._since < SLICE_SECONDS:
            return
        if not on_a_loop():
            return
        for _ in range(STEPS):
            await asyncio.sleep(0)
        self._since = time.monotonic()
