"""An aggregator that lies, alone or with one hospital, on the real network: the sum stays right, the liar is named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pytest
from attack_stage import CHEAT, SET, Plays, SetUp, Stage, attack_terms
from dishonest_aggregators import LIAR, STANDBY, Trick, Words
from dishonest_hospitals import deceive
from expectations import assert_final
from msgspec.structs import replace
from patience import refused_with

from consilium_client.encryption import UpdateCipher
from consilium_peers.federation import Federation
from consilium_proto import fingerprint
from consilium_proto.chunks import decode_sum
from consilium_proto.records import Fingerprint, Listing, Publication
from consilium_proto.refusals import RefusalCode

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("plays")]

# How long CHALLENGED lasts where a sum is withheld: hospitals ask for it in the first two fifths.
PATIENCE_SECONDS = 20


def scaled(position: int, words: Words) -> Words:
    return words * np.uint64(3) % np.uint64(SET.modulus)


def crafted(position: int, words: Words) -> Words:
    """A ciphertext whose decryption tells coefficients of the secret key: zero and a multiple of q/t."""
    words[:] = 0
    words[1, 0] = SET.modulus >> SET.plain_bits
    return words


WRONG_SUMS = {
    "drops a contribution": Trick(read=lambda place, read: read(place)[1:]),
    "claims a drop-out": Trick(read=lambda place, read: read(place)[:-1]),
    "doubles a contribution": Trick(read=lambda place, read: [read(place)[0], *read(place)]),
    "scales the sum": Trick(change=scaled),
    "replaces a contribution": Trick(read=lambda place, read: [read(place)[1], *read(place)[1:]]),
    "shuffles a contribution's chunks": Trick(read=lambda place, read: [read((place + 1) % 3)[0], *read(place)[1:]]),
    "swaps two chunks": Trick(read=lambda place, read: read({0: 1, 1: 0}.get(place, place))),
    "publishes a crafted ciphertext": Trick(change=crafted),
}


async def test_nobody_decrypts_a_crafted_ciphertext(new_stage: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decrypting whatever is published gives the secret key away, coefficient by coefficient."""
    decrypted: list[bytes] = []
    honest = UpdateCipher.decrypt

    def spied(self: UpdateCipher, chunks: Iterable[bytes], *arguments: Any) -> Any:
        held = list(chunks)
        decrypted.extend(held)
        return honest(self, held, *arguments)

    monkeypatch.setattr(UpdateCipher, "decrypt", spied)
    stage = await new_stage(trick=Trick(change=crafted))
    assert_final(stage, await stage.play(), barred=[LIAR])
    assert decrypted
    assert not [chunk for chunk in decrypted if not decode_sum(SET, 1, chunk)[0].any()]


async def test_an_old_sum_is_rejected(new_stage: SetUp) -> None:
    """A root binds its round: chunks of an old sum can't be served under it, so nobody can fingerprint them."""

    async def publish(honest: Federation, publication: Publication) -> Any:
        return await honest.publish(replace(publication, root="0d" * 32))

    stage = await new_stage(attack_terms(challenged=PATIENCE_SECONDS), trick=Trick(publish=publish))
    view = await stage.play()
    assert_final(stage, view)
    assert view.round.publisher == STANDBY
    assert view.round.rejected == (LIAR,)


async def test_a_publication_before_all_is_held_is_refused(new_stage: SetUp) -> None:
    """Else it could say later that a contribution had never been there."""
    stage = await new_stage()

    async def hurried(honest: Federation, record: Any) -> Any:
        sum_ = Publication(study=stage.name, round=1, attempt=0, root="0e" * 32, chunks=3)
        await refused_with(lambda: stage.liar.publish(sum_), RefusalCode.NOT_YET)
        refused.set()
        return await honest.hold(record)

    refused = asyncio.Event()
    deceive(stage, hold=hurried)
    view = await stage.play()
    assert_final(stage, view)
    assert refused.is_set()


async def test_a_second_publication_is_refused(new_stage: SetUp) -> None:
    """A second sum of the same updates over another set would differ from the first by one hospital's update."""
    refused = asyncio.Event()

    async def publish(honest: Federation, publication: Publication) -> Any:
        result = await honest.publish(publication)
        another = replace(publication, root="0f" * 32)
        await refused_with(lambda: honest.publish(another), RefusalCode.ALREADY_WRITTEN, RefusalCode.WRONG_PHASE)
        refused.set()
        return result

    stage = await new_stage(trick=Trick(publish=publish))
    view = await stage.play()
    assert_final(stage, view)
    assert refused.is_set()
    assert [entry.aggregator for entry in view.publications].count(LIAR) == 1


async def test_a_sum_withheld_from_one_hospital_ends_without_it(new_stage: SetUp) -> None:
    """The others know the sum and confirm it; who can't fetch it is noted as missing, not as lying."""
    withheld = Trick(withheld_from=frozenset({CHEAT}))
    stage = await new_stage(attack_terms("verified", challenged=PATIENCE_SECONDS), trick=withheld)
    view = await stage.play()
    assert_final(stage, view)
    assert view.round.publisher == LIAR
    assert view.round.missing == (CHEAT,)
    assert CHEAT not in view.round.attested_by


async def test_a_shifted_sum_with_adjusted_fingerprints_bars_both_liars(new_stage: SetUp) -> None:
    """The aggregator adds to the sum what it likes, and the hospital claims a vector that accounts for it."""
    stage = await new_stage(trick=Trick(change=lambda place, words: _shifted(words) if place == 0 else words))
    ledger = deceive(stage, fingerprint=_adjusted(stage), list_values=_listed_adjusted(stage))
    view = await stage.play()
    assert_final(stage, view, barred=[LIAR, CHEAT])
    assert view.round.publisher == STANDBY
    assert ledger.refusals == []


SHIFT = 1 << 40


def _shifted(words: Words) -> Words:
    words[0, 7] = (int(words[0, 7]) + SHIFT) % SET.modulus
    return words


def _shift_value(stage: Stage, challenge: str) -> fingerprint.Value:
    words = np.zeros((1, 2 * SET.degree), dtype=np.uint64)
    words[0, 7] = SHIFT
    return fingerprint.Challenge(challenge, SET, 3).chunk_values(words, 0)[0]


def _plus(value: Any, amount: fingerprint.Value) -> Any:
    return fingerprint.to_record(fingerprint.add([fingerprint.from_record(value, SET), amount], SET))


def _adjusted(stage: Stage) -> Any:
    """Claim, for the own vector, what it and the shift together would have: for the liar's publication only."""

    async def write(honest: Federation, record: Fingerprint) -> Any:
        state = (await stage.view_of(CHEAT)).round
        if state.publisher == LIAR and state.challenge is not None:
            record = replace(record, own=_plus(record.own, _shift_value(stage, state.challenge)))
        return await honest.fingerprint(record)

    return write


def _listed_adjusted(stage: Stage) -> Any:
    async def write(honest: Federation, record: Listing) -> Any:
        state = (await stage.view_of(CHEAT)).round
        if record.vector == CHEAT and state.publisher == LIAR and state.challenge is not None:
            first = _plus(record.values[0], _shift_value(stage, state.challenge))
            record = replace(record, values=(first, *record.values[1:]))
        return await honest.list_values(record)

    return write


# ---- played beside the others


@pytest.mark.parametrize("attack", WRONG_SUMS)
async def test_a_wrong_sum_bars_its_aggregator(plays: Plays, attack: str) -> None:
    await plays[attack]


async def a_wrong_sum(trick: Trick, new_stage: SetUp) -> None:
    stage = await new_stage(trick=trick)
    view = await stage.play()
    assert_final(stage, view, barred=[LIAR])
    assert view.round.publisher == STANDBY
    assert view.round.rejected == (LIAR,)
    # It neither publishes in the next round nor is it taken up there.
    assert [bar.party for bar in (await stage.study()).bars] == [LIAR]


PLAYS = {name: partial(a_wrong_sum, trick) for name, trick in WRONG_SUMS.items()}
