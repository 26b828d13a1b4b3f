"""Whether this hospital can open its study's newest key epoch, and another epoch where it can't."""

from __future__ import annotations

import logging
import time

from consilium_client.holders import open_epoch, opens, register_key
from consilium_client.site import Site
from consilium_proto.records import StudyView

log = logging.getLogger("consilium.agent")

# A hospital opens another epoch at once when one doesn't open, and then less and less often: somebody who seals badly
# on purpose, or an agent of this hospital with other keys, would answer each with the next, and each voids a round.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0


class KeyRenewal:
    """One hospital's hold on one study's key."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._examined = 0
        self._holds = False
        self._may_open = True
        self._pause = FIRST_PAUSE_SECONDS
        self._not_before = 0.0

    @property
    def holds(self) -> bool:
        """Whether the newest epoch that was looked at opens with this hospital's wrapping key."""
        return self._holds

    async def look(self, study: StudyView) -> None:
        """Register the wrapping key before the first epoch, and find out whether the newest one opens."""
        epoch = study.key_epoch
        if epoch is None:
            await register_key(self._site)
        elif epoch.epoch != self._examined:
            self._holds = opens(self._site, epoch)
            # A hospital that isn't a holder has been left out on purpose; only holders may open the next epoch.
            self._may_open = self._site.hospital in {wrapped.holder for wrapped in epoch.holders}
            self._examined = epoch.epoch

    async def renew(self, study: StudyView) -> bool:
        """Open another epoch where the newest one doesn't open, unless it is too soon; True when it was opened."""
        if study.key_epoch is None or self._holds or not self._may_open or time.monotonic() < self._not_before:
            return False
        log.warning("the key epoch doesn't open; opening another", extra={"epoch": study.head.epoch})
        await register_key(self._site)
        opened = await open_epoch(self._site.federation, study)
        if opened:
            self._not_before = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        return opened
