"""One hospital and both aggregators pool all they hold, and look for an honest hospital's update in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attack_stage import CHEAT, HOSPITALS, Plays, SetUp, Stage, attack_terms
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from dishonest_aggregators import LIAR, Trick
from dishonest_hospitals import SilentUploads, deceive, withheld
from expectations import assert_final, assert_over, check_invariants
from msgspec.structs import replace
from pooled_knowledge import PooledKnowledge

from consilium_client.keystore import Keystore
from consilium_client.rounds import mask_key_name
from consilium_peers.federation import Federation
from consilium_proto.records import Join, Reveal, RoundPhase, RoundView

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("plays")]

VICTIM, COPIED, LAST = "ClevelandMSP", "LongBeachMSP", "SwitzerlandMSP"
# How long OPEN lasts where one hospital waits for another's key.
COPIED_SECONDS = 14
# A wrong candidate agrees with an update in no slot but by chance.
NOTHING = 0.01


MASK_KEYS: dict[tuple[str, str], X25519PrivateKey] = {}
"""Every hospital's mask keys as they are made, by hospital and name: the tests decide who knows which."""


@pytest.fixture(scope="module", autouse=True)
def _noted_mask_keys() -> Iterator[None]:
    honest = Keystore.x25519

    def noted(self: Keystore, name: str) -> X25519PrivateKey:
        key = honest(self, name)
        MASK_KEYS[str(self.directory.parent.name), name] = key
        return key

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keystore, "x25519", noted)
        yield


def colluders(stage: Stage, views: list[RoundView], also: tuple[str, ...] = ()) -> PooledKnowledge:
    """Return what the cheat and the aggregators know of these rounds; `also` names hospitals whose masks they have."""
    folders = {organization: name for name, organization in HOSPITALS.items()}
    keys = {
        (hospital, view.round.round): MASK_KEYS[folders[hospital], mask_key_name(view.round)]
        for view in views
        for hospital in (CHEAT, *also)
    }
    return PooledKnowledge(stage, keys)


def largest_agreement(knowledge: PooledKnowledge, views: list[RoundView]) -> float:
    vectors = knowledge.everything(views)
    assert vectors, "they hold something to work on"
    return max(knowledge.agreement(vectors, victim) for victim in HOSPITALS.values() if victim != CHEAT)


async def test_with_every_mask_the_update_would_be_read(plays: Plays) -> None:
    """The control: with the masks of all other hospitals, which are more than T, the same search finds the update."""
    await plays["with every mask the update would be read"]


async def with_every_mask_the_update_would_be_read(new_stage: SetUp) -> None:
    stage = await new_stage()
    view = await stage.play()
    assert_final(stage, view)
    knowledge = colluders(stage, [view], also=(COPIED, LAST))
    assert knowledge.agreement(knowledge.everything([view]), VICTIM) == 1.0
    assert largest_agreement(colluders(stage, [view]), [view]) < NOTHING


async def test_a_copied_mask_key_gives_no_update(plays: Plays) -> None:
    """With three hospitals, two masks of the victim would cancel if its derivation didn't name the hospitals."""
    await plays["a copied mask key gives no update"]


async def a_copied_mask_key_gives_no_update(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("open", "verified", open=COPIED_SECONDS))

    async def copied(honest: Federation, record: Join) -> Any:
        view = await stage.until(lambda seen: any(entry.hospital == COPIED for entry in seen.joins))
        key = next(entry.join.mask_key for entry in view.joins if entry.hospital == COPIED)
        return await honest.join(replace(record, mask_key=key))

    deceive(stage, join=copied)
    view = await stage.play(LAST)
    check_invariants(stage, view)
    assert view.round.phase is not RoundPhase.FINAL
    assert LAST not in view.round.participants
    assert largest_agreement(colluders(stage, [view]), [view]) < NOTHING


async def test_a_retry_with_a_smaller_set_gives_no_update(plays: Plays) -> None:
    """Nothing of the first attempt was sent, so there is no second sum to subtract."""
    await plays["a retry with a smaller set gives no update"]


async def a_retry_with_a_smaller_set_gives_no_update(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("sealed"))
    deceive(stage, anchor=withheld)
    view = await stage.play()
    assert_final(stage, view, without=[CHEAT])
    assert view.round.attempt == 1
    knowledge = colluders(stage, [view])
    assert [knowledge.decrypted(view, hospital, 0) for hospital in HOSPITALS.values()] == [None] * len(HOSPITALS)
    assert largest_agreement(knowledge, [view]) < NOTHING


async def test_partial_uploads_give_no_update(plays: Plays) -> None:
    """The others' ciphertexts are there and the cheat's, whose masks the colluders know, is not."""
    await plays["partial uploads give no update"]


async def partial_uploads_give_no_update(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("anchored"))
    stage.uploads[CHEAT] = SilentUploads(stage.parties[CHEAT].profile)
    view = await stage.play()
    assert_over(stage, view, RoundPhase.EXPIRED, RoundPhase.ANCHORED)
    assert largest_agreement(colluders(stage, [view]), [view]) < NOTHING


async def test_expired_rounds_give_no_update(plays: Plays) -> None:
    """A round is ended after its uploads, and the next one on the same model gives a second set of ciphertexts."""
    await plays["expired rounds give no update"]


async def expired_rounds_give_no_update(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("aggregated"))

    async def first_withheld(honest: Federation, record: Reveal) -> Any:
        return await (withheld(honest, record) if record.round == 1 else honest.reveal(record))

    deceive(stage, reveal=first_withheld)
    async with stage.running():
        first = await stage.until(lambda view: view.round.phase.decided)
        second = await stage.until(lambda view: view.round.phase.decided, number=2)
    assert_over(stage, first, RoundPhase.EXPIRED, RoundPhase.AGGREGATED, missing=[CHEAT])
    assert_final(stage, second)
    assert largest_agreement(colluders(stage, [first, second]), [first, second]) < NOTHING


async def test_a_second_publication_gives_no_update(plays: Plays) -> None:
    """The liar publishes a sum without one hospital, is barred, and the right sum follows: two sums over two sets."""
    await plays["a second publication gives no update"]


async def a_second_publication_gives_no_update(new_stage: SetUp) -> None:
    stage = await new_stage(trick=Trick(read=lambda place, read: read(place)[1:]))
    view = await stage.play()
    assert_final(stage, view, barred=[LIAR])
    assert len(view.publications) == 2
    assert largest_agreement(colluders(stage, [view]), [view]) < NOTHING


PLAYS = {
    "with every mask the update would be read": with_every_mask_the_update_would_be_read,
    "a copied mask key gives no update": a_copied_mask_key_gives_no_update,
    "a retry with a smaller set gives no update": a_retry_with_a_smaller_set_gives_no_update,
    "partial uploads give no update": partial_uploads_give_no_update,
    "expired rounds give no update": expired_rounds_give_no_update,
    "a second publication gives no update": a_second_publication_gives_no_update,
}
