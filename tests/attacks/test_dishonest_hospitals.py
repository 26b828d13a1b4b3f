"""A hospital that lies, on the real network: the others end with the right model or with no round."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from attack_stage import CHEAT, SET, WITNESS, WITNESSED, Plays, SetUp, Stage, attack_terms
from dishonest_aggregators import Trick
from dishonest_hospitals import DishonestLedger, deceive, withheld
from expectations import assert_final, assert_over, check_invariants
from msgspec.structs import replace
from patience import refused_with

from consilium_client.encryption import UpdateCipher
from consilium_peers.federation import Federation
from consilium_proto import fingerprint
from consilium_proto.chunk_tree import VectorContext, chunk_digest, tree_root
from consilium_proto.rdp import GaussianSteps, epsilon_micro
from consilium_proto.records import (
    Anchor,
    Attestation,
    Disproof,
    Fingerprint,
    Listing,
    Opening,
    PrivacyEntry,
    PrivacyTerms,
    ProvedChunk,
    RoundPhase,
)
from consilium_proto.refusals import RefusalCode

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("plays")]


def off(value: Any, by: int = 1) -> Any:
    return fingerprint.to_record(fingerprint.add([fingerprint.from_record(value, SET), (by, 0)], SET))


def false_own(record: Fingerprint) -> Fingerprint:
    return replace(record, own=off(record.own))


def false_witnessed(record: Fingerprint) -> Fingerprint:
    return replace(record, witnessed=tuple(replace(entry, value=off(entry.value)) for entry in record.witnessed))


def false_sum(record: Fingerprint) -> Fingerprint:
    assert record.sum is not None
    return replace(record, sum=off(record.sum))


Change = Callable[[Fingerprint], Fingerprint]
FALSE_FINGERPRINTS: dict[str, Change] = {"own": false_own, "witnessed": false_witnessed, "sum": false_sum}


def writes(change: Change) -> Any:
    async def write(honest: Federation, record: Fingerprint) -> Any:
        return await honest.fingerprint(change(record))

    return write


def lists(change: Callable[[Listing], Listing]) -> Any:
    async def write(honest: Federation, record: Listing) -> Any:
        return await honest.list_values(change(record))

    return write


def with_first_off(record: Listing) -> Listing:
    return replace(record, values=(off(record.values[0]), *record.values[1:]))


async def test_a_chunk_that_disproves_nothing_is_refused(new_stage: SetUp) -> None:
    """The cheat starts a dispute, and shows a true chunk against the honest author's list."""
    accused = asyncio.Event()
    stage = await new_stage()

    async def accuse(honest: Federation, record: Listing) -> Any:
        result = await honest.list_values(with_first_off(record))
        await stage.until(lambda view: view.round.phase is not RoundPhase.LISTING)
        await refused_with(lambda: honest.disprove(honest_chunk(stage, record)), RefusalCode.CONFLICTING)
        accused.set()
        return result

    async def answer(honest: Federation, record: Disproof) -> Any:
        await accused.wait()  # the true disproof ends the dispute
        return await honest.disprove(record)

    deceive(stage, fingerprint=writes(false_own), list_values=accuse)
    stage.ledgers[WITNESS] = DishonestLedger(stage, {"disprove": answer}, WITNESS)
    assert_final(stage, await stage.play(), barred=[CHEAT])
    assert accused.is_set()


def honest_chunk(stage: Stage, record: Listing) -> Disproof:
    """Return the cheat's own first chunk, against its witness' list."""
    from consilium_proto.chunk_tree import inclusion_proof

    chunks = [path.read_bytes() for path in stage.site(CHEAT).journal.round(1).chunk_paths(0) or []]
    proof = inclusion_proof(vector_context(stage, CHEAT), [chunk_digest(chunk) for chunk in chunks], 0)
    return Disproof(
        study=stage.name,
        round=1,
        publication=record.publication,
        vector=CHEAT,
        author=WITNESS,
        chunk=ProvedChunk(index=0, content=chunks[0].hex(), path=tuple(step.hex() for step in proof.path)),
    )


def vector_context(stage: Stage, owner: str, label: str = "update") -> VectorContext:
    return VectorContext(stage.parties[owner].profile.channel, stage.name, 1, 1, 0, owner, label)


async def test_a_malformed_word_bars_its_owner(new_stage: SetUp) -> None:
    """No aggregator that checks would take it; one that doesn't hands it to the witness, who shows it to the ledger."""
    stage = await new_stage(trick=Trick(careless=True))
    deceive(stage, anchor=anchor_changed(stage, malformed))
    view = await stage.play()
    assert_over(stage, view, RoundPhase.EXPIRED, RoundPhase.ANCHORED, barred=[CHEAT])
    assert [entry.vector for entry in view.malformed] == [CHEAT]


def malformed(chunks: list[bytes]) -> list[bytes]:
    """Set every bit of a word, which is then above q."""
    first = bytearray(chunks[0])
    first[64 : 64 + 8] = b"\xff" * 8
    return [bytes(first), *chunks[1:]]


def anchor_changed(stage: Stage, change: Callable[[list[bytes]], list[bytes]]) -> Any:
    """Anchor, and later upload, other chunks than the agent has made."""

    async def anchor(honest: Federation, record: Anchor) -> Any:
        paths = stage.site(CHEAT).journal.round(1).chunk_paths(record.attempt) or []
        chunks = change([path.read_bytes() for path in paths])
        for path, chunk in zip(paths, chunks, strict=True):
            path.write_bytes(chunk)
        root = tree_root(vector_context(stage, CHEAT), [chunk_digest(chunk) for chunk in chunks])
        return await honest.anchor(replace(record, root=root))

    return anchor


PRIVACY = PrivacyTerms(
    noise_multiplier_milli=1000,
    clip_milli=1000,
    delta_numerator=1,
    delta_denominator=1000,
    epsilon_budget_micro=3_000_000,
)


def entry(stage: Stage, hospital: str, steps: int) -> PrivacyEntry:
    """What a round of so many steps costs a hospital's data set, which is new with the study."""
    after = epsilon_micro([GaussianSteps(1, 10, PRIVACY.noise_multiplier_milli, steps)], 1, 1000)
    return PrivacyEntry(
        data_set=hashlib.sha256(f"{stage.name} {hospital}".encode()).hexdigest(),
        sample_rate_numerator=1,
        sample_rate_denominator=10,
        noise_multiplier_milli=PRIVACY.noise_multiplier_milli,
        clip_milli=PRIVACY.clip_milli,
        steps=steps,
        delta_numerator=PRIVACY.delta_numerator,
        delta_denominator=PRIVACY.delta_denominator,
        epsilon_before_micro=0,
        epsilon_after_micro=after,
    )


HONEST_STEPS, TOO_MANY_STEPS = 5, 500


async def test_a_stale_epoch_is_refused(new_stage: SetUp) -> None:
    """Nobody opens a round under an old key, and a round that was in SEALED under it is void."""
    stage = await new_stage()
    async with stage.running(CHEAT):
        await stage.until(lambda view: len(view.joins) == 3)
        await stage.open_next_epoch()
        view = await stage.until(lambda seen: seen.round.phase.decided)
    check_invariants(stage, view)
    assert view.round.phase is RoundPhase.VOID
    opening = Opening(study=stage.name, round=2, base=stage.terms.initial_model, epoch=1)
    # The agents may have opened the round under the new key by now.
    reasons = (RefusalCode.STALE_EPOCH, RefusalCode.CONFLICTING, RefusalCode.WRONG_PHASE)
    await refused_with(lambda: stage.parties["ClevelandMSP"].client.open_round(opening), *reasons)


# ---- played beside the others


@pytest.mark.parametrize("vector", FALSE_FINGERPRINTS)
async def test_a_false_fingerprint_bars_its_author(plays: Plays, vector: str) -> None:
    """Its list must add up to what it wrote, so one of its chunks is off, and whoever holds that chunk shows it."""
    await plays[f"{vector}, listed"]


async def a_false_fingerprint(change: Change, new_stage: SetUp) -> None:
    stage = await new_stage()
    ledger = deceive(stage, fingerprint=writes(change), list_values=lists(with_first_off))
    view = await stage.play()
    assert_final(stage, view, barred=[CHEAT])
    assert {entry.author for entry in view.disproofs} == {CHEAT}
    assert ledger.refusals == []


@pytest.mark.parametrize("vector", FALSE_FINGERPRINTS)
async def test_a_false_fingerprint_without_a_list_is_removed(plays: Plays, vector: str) -> None:
    """What nobody lists counts for nothing; silence is no proof of a lie."""
    await plays[f"{vector}, not listed"]


async def a_false_fingerprint_without_a_list(change: Change, new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("listing"))
    deceive(stage, fingerprint=writes(change), list_values=withheld)
    assert_final(stage, await stage.play())


async def test_a_list_that_doesnt_add_up_is_refused(plays: Plays) -> None:
    await plays["a list that doesn't add up"]


async def a_list_that_doesnt_add_up(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("listing"))
    ledger = deceive(stage, fingerprint=writes(false_own), list_values=lists(lambda record: record))
    assert_final(stage, await stage.play())
    assert set(ledger.refusals) == {RefusalCode.CONFLICTING}


async def test_a_false_model_hash_is_left_out(plays: Plays) -> None:
    await plays["a false model hash"]


async def a_false_model_hash(new_stage: SetUp) -> None:
    async def attest(honest: Federation, record: Attestation) -> Any:
        return await honest.attest(replace(record, model="fa" * 32))

    stage = await new_stage(attack_terms("verified"))
    deceive(stage, attest=attest)
    view = await stage.play()
    assert_final(stage, view)
    assert set(view.round.attested_by) == set(stage.parties) - {CHEAT}


async def test_a_copied_root_cant_be_filled(plays: Plays) -> None:
    """A leaf binds its owner, so the chunks under somebody else's root aren't chunks of one's own vector."""
    await plays["a copied root"]


async def a_copied_root(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("anchored"))

    async def anchor(honest: Federation, record: Anchor) -> Any:
        view = await stage.until(lambda seen: any(entry.hospital == WITNESSED for entry in seen.anchors))
        copied = next(entry.anchor for entry in view.anchors if entry.hospital == WITNESSED)
        return await honest.anchor(replace(record, root=copied.root))

    deceive(stage, anchor=anchor)
    view = await stage.play()
    assert_over(stage, view, RoundPhase.EXPIRED, RoundPhase.ANCHORED)
    assert CHEAT in {pair.owner for pair in view.round.unheld}


async def test_another_rounds_chunks_change_no_model(plays: Plays) -> None:
    """Ciphertexts that were made under other masks are well-formed, but the sum's masks don't cancel: no model."""
    await plays["another round's chunks"]


async def another_rounds_chunks(new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("verified"))

    def earlier(chunks: list[bytes]) -> list[bytes]:
        cipher = UpdateCipher(SET, stage.key_seed, 1)
        generator = np.random.default_rng(5)
        slots = generator.integers(0, 1 << SET.plain_bits, (len(chunks), SET.degree), dtype=np.uint64)
        return list(cipher.encrypt(slots))

    deceive(stage, anchor=anchor_changed(stage, earlier))
    view = await stage.play()
    assert_over(stage, view, RoundPhase.VOID, RoundPhase.VERIFIED, missing=view.round.missing)


BEYOND_BUDGET = {"the truth": RefusalCode.BUDGET_EXCEEDED, "less": RefusalCode.CONFLICTING}


@pytest.mark.parametrize("claimed", BEYOND_BUDGET)
async def test_an_anchor_beyond_the_budget_is_refused(plays: Plays, claimed: str) -> None:
    """The ledger computes epsilon itself, from the steps that an entry names; the others go on without the hospital."""
    await plays[f"beyond the budget, claiming {claimed}"]


async def an_anchor_beyond_the_budget(claimed: str, new_stage: SetUp) -> None:
    stage = await new_stage(attack_terms("sealed", privacy=PRIVACY))
    stage.entries = {name: entry(stage, name, HONEST_STEPS) for name in stage.parties}

    async def anchor(honest: Federation, record: Anchor) -> Any:
        steps = TOO_MANY_STEPS if claimed == "the truth" else 2 * HONEST_STEPS
        costly = entry(stage, CHEAT, steps)
        if claimed == "less":
            costly = replace(costly, epsilon_after_micro=entry(stage, CHEAT, HONEST_STEPS).epsilon_after_micro)
        return await honest.anchor(replace(record, privacy=costly))

    ledger = deceive(stage, anchor=anchor)
    view = await stage.play()
    assert_final(stage, view, without=[CHEAT])
    assert set(ledger.refusals) == {BEYOND_BUDGET[claimed]}


# The longest first: nothing is left to wait for alone in the end.
PLAYS = (
    {"a copied root": a_copied_root}
    | {
        f"beyond the budget, claiming {claimed}": partial(an_anchor_beyond_the_budget, claimed)
        for claimed in BEYOND_BUDGET
    }
    | {
        f"{vector}, not listed": partial(a_false_fingerprint_without_a_list, change)
        for vector, change in FALSE_FINGERPRINTS.items()
    }
    | {
        "a list that doesn't add up": a_list_that_doesnt_add_up,
        "a false model hash": a_false_model_hash,
        "another round's chunks": another_rounds_chunks,
    }
    | {f"{vector}, listed": partial(a_false_fingerprint, change) for vector, change in FALSE_FINGERPRINTS.items()}
)
