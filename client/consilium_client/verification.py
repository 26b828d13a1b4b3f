"""A hospital's part in checking a published sum: confirm, reveal, fingerprint, and win the dispute if there is one.

What is computed here is what chaincode would compute of the same chunks, so an honest hospital's lists can't be
disproved, and every false list about a vector that it holds differs from its own in some chunk.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from consilium_client.disputes import others_lists, to_list
from consilium_client.errors import (
    AggregatorRefusalError,
    AggregatorUnavailableError,
    ChallengeError,
)
from consilium_client.recording import recorded
from consilium_client.site import Site
from consilium_client.vector_fingerprints import Kind, chunk_values
from consilium_client.vectors import (
    StoredVector,
    check_unchanged,
    first_malformed,
    own_vector,
    published_sum,
    seconds_left,
    vector_context,
    witnessed_vector,
)
from consilium_proto.fingerprint import Challenge, Value, challenge_seed, to_record
from consilium_proto.records import (
    Disproof,
    Fingerprint,
    FingerprintValue,
    Held,
    Listing,
    MalformedChunk,
    Reveal,
    Round,
    RoundView,
    WitnessedFingerprint,
)
from consilium_proto.reveal_chain import SECRET_SIZE, chain_value
from consilium_proto.witnesses import witnessed_by

log = logging.getLogger("consilium.agent")

# A vector that isn't at an aggregator yet is asked for again by the next duty.
WITNESS_PATIENCE_SECONDS = 1.5
# A share of the phase after which a hospital writes its fingerprints without the sum that is withheld from it.
_SHARE_FOR_SUM = 0.4


def reveal_secret(site: Site, study: str, round_number: int) -> bytes:
    """Return the start of this round's hash chain, drawn and stored at the first call."""
    name = reveal_secret_name(study, round_number)
    secret = site.keystore.load(name)
    if secret is None:
        secret = secrets.token_bytes(SECRET_SIZE)
        site.keystore.store(name, secret)
    return secret


def reveal_secret_name(study: str, round_number: int) -> str:
    """The name in the keystore of this round's hash chain."""
    return f"reveal-{study}-{round_number}"


def chain_value_for(site: Site, state: Round, publication: int) -> str:
    """Return the value of this hospital's hash chain for a publication, 0 for the chain's end."""
    secret = reveal_secret(site, state.study, state.round)
    return chain_value(state.study, state.round, site.hospital, secret, publication)


async def hold(site: Site, view: RoundView) -> None:
    """Fetch, check and confirm the vectors that this hospital witnesses; show what is malformed.

    Raises:
        VectorWithheldError: one of them isn't at any aggregator yet.
        AggregatorRefusalError: every aggregator refuses one of them, or serves something else.
    """
    confirmed = {entry.owner for entry in view.held if entry.witness == site.hospital}
    expected = witnessed_by(view.round.participants, site.hospital, site.terms.max_colluding)
    missing = [owner for owner in expected if owner not in confirmed]
    absent: AggregatorRefusalError | AggregatorUnavailableError | None = None
    for place, owner in enumerate(missing):
        # One share more than there are vectors: the own upload mustn't wait until the deadline for one that drips.
        share = seconds_left(view.round) / (len(missing) - place + 1)
        try:
            await _hold(site, view, owner, share)
        except (AggregatorRefusalError, AggregatorUnavailableError) as error:
            absent = error  # the others don't wait for this one
    if absent is not None:
        raise absent


async def _hold(site: Site, view: RoundView, owner: str, timeout: float) -> None:
    state = view.round
    vector = await witnessed_vector(site, view, owner, patience=WITNESS_PATIENCE_SECONDS, timeout=timeout)
    if not await _show_malformed(site, view, vector):
        message = Held(study=state.study, round=state.round, attempt=state.attempt, owner=owner)
        await recorded(site.journal.round(state.round), "Hold", site.federation.hold(message))


async def reveal(site: Site, view: RoundView) -> None:
    """Reveal the hash chain's value, now that the sum is published and can't be changed any more."""
    state = view.round
    value = chain_value_for(site, state, state.publication)
    message = Reveal(study=state.study, round=state.round, publication=state.publication, value=value)
    await recorded(site.journal.round(state.round), "Reveal", site.federation.reveal(message))


async def fingerprint(site: Site, view: RoundView) -> None:
    """Write the fingerprints of the own vector, the witnessed ones and the sum, if it is to be had.

    Raises:
        ChallengeError: the ledger's challenge doesn't follow from what was written.
        VectorWithheldError: the sum isn't to be had, and there is still time to ask for it again.
    """
    state = view.round
    challenge = open_challenge(site, view)
    sum_vector = await _sum_in_time(site, view)
    if sum_vector is not None and await _show_malformed(site, view, sum_vector):
        return
    started = time.monotonic()
    witnessed = []
    for owner in witnessed_by(state.participants, site.hospital, site.terms.max_colluding):
        value = await _total(site, challenge, await _vector(site, view, owner))
        witnessed.append(WitnessedFingerprint(owner=owner, value=value))
    message = Fingerprint(
        study=state.study,
        round=state.round,
        publication=state.publication,
        own=await _total(site, challenge, await _vector(site, view, site.hospital)),
        witnessed=tuple(witnessed),
        sum=None if sum_vector is None else await _total(site, challenge, sum_vector),
    )
    journal = site.journal.round(state.round)
    journal.note(fingerprint_seconds=time.monotonic() - started)
    await recorded(journal, "Fingerprint", site.federation.fingerprint(message))


async def list_disputed(site: Site, view: RoundView) -> None:
    """List every disputed vector of which this hospital wrote a value, chunk by chunk."""
    state = view.round
    challenge = open_challenge(site, view)
    for vector_name in to_list(view, site.hospital, site.terms.max_colluding):
        vector = await _vector(site, view, vector_name)
        values = tuple(to_record(value) for value in await _values(site, challenge, vector))
        message = Listing(
            study=state.study, round=state.round, publication=state.publication, vector=vector_name, values=values
        )
        await recorded(site.journal.round(state.round), "List", site.federation.list_values(message))


async def disprove(site: Site, view: RoundView) -> None:
    """Show, for each list that isn't this hospital's own truth, the first chunk in which it is false."""
    state = view.round
    challenge = open_challenge(site, view)
    for entry in others_lists(view, site.hospital, site.terms.max_colluding):
        vector = await _vector(site, view, entry.listing.vector)
        truth = [to_record(value) for value in await _values(site, challenge, vector)]
        false = [place for place, value in enumerate(truth) if entry.listing.values[place] != value]
        if not false:
            continue
        message = Disproof(
            study=state.study,
            round=state.round,
            publication=state.publication,
            vector=entry.listing.vector,
            author=entry.hospital,
            chunk=await asyncio.to_thread(vector.proved, false[0]),
        )
        log.warning(
            "a false list", extra={"round": state.round, "author": entry.hospital, "vector": entry.listing.vector}
        )
        await recorded(site.journal.round(state.round), "Disprove", site.federation.disprove(message))


# ---- the challenge and the vectors


def open_challenge(site: Site, view: RoundView) -> Challenge:
    """Return the round's challenge, once it is found to follow from the roots and the revealed values.

    Raises:
        ChallengeError: it doesn't: a quorum of endorsers wrote something else than the contract would.
    """
    state = view.round
    assert state.publisher is not None
    published = next(entry.publication for entry in view.publications if entry.aggregator == state.publisher)
    roots = {e.hospital: e.anchor.root for e in view.anchors if e.anchor.attempt == state.attempt}
    values = {e.hospital: e.reveal.value for e in view.reveals if e.reveal.publication == state.publication}
    expected = challenge_seed(
        vector_context(site, state, state.publisher, "sum"),
        state.publication,
        [roots[name] for name in state.participants],
        published.root,
        [values[name] for name in state.participants],
    )
    if state.challenge != expected:
        raise ChallengeError(
            f"round {state.round} has challenge {state.challenge}, and what was anchored, published and revealed makes "
            f"{expected}: don't take part; have an auditor replay the round"
        )
    return Challenge(expected, site.parameter_set, published.chunks)


async def _sum_in_time(site: Site, view: RoundView) -> StoredVector | None:
    """Return the published sum; None when most of the time for fingerprints has passed without it."""
    state = view.round
    patience = site.terms.deadlines.challenged * _SHARE_FOR_SUM
    left = state.entered / 1000 + patience - time.time()
    try:
        return await published_sum(site, view, patience=max(0.1, left), timeout=max(0.1, left))
    except (AggregatorUnavailableError, AggregatorRefusalError) as error:
        log.warning("no sum to fingerprint", extra={"round": state.round, "detail": str(error)})
        return None


async def _vector(site: Site, view: RoundView, name: str) -> StoredVector:
    """Return a vector that is found to be what its root on the ledger stands for.

    Raises:
        JournalError: the own one was changed since it was anchored.
        VectorWithheldError: another one was lost or changed, and isn't to be had again.
    """
    state = view.round
    if name == site.hospital:
        vector = own_vector(site, state)
        await asyncio.to_thread(check_unchanged, view, vector)
        return vector
    # Normally stored long since: half of what is left is for the vectors and writes that follow.
    timeout = seconds_left(state) / 2
    if name == state.publisher:
        return await published_sum(site, view, patience=WITNESS_PATIENCE_SECONDS, timeout=timeout)
    return await witnessed_vector(site, view, name, patience=WITNESS_PATIENCE_SECONDS, timeout=timeout)


async def _total(site: Site, challenge: Challenge, vector: StoredVector) -> FingerprintValue:
    return to_record(challenge.total(await _values(site, challenge, vector)))


async def _values(site: Site, challenge: Challenge, vector: StoredVector) -> list[Value]:
    kind: Kind = "sum" if vector.context.label == "sum" else "update"
    return await asyncio.to_thread(
        chunk_values, challenge, site.parameter_set, vector.context.epoch, kind, iter(vector)
    )


async def _show_malformed(site: Site, view: RoundView, vector: StoredVector) -> bool:
    """Show a malformed chunk of a vector to the ledger; False when there is none."""
    place = await asyncio.to_thread(first_malformed, site, vector)
    if place is None:
        return False
    owner, state = vector.context.owner, view.round
    if owner not in {entry.vector for entry in view.malformed}:
        log.warning("a malformed chunk", extra={"round": state.round, "owner": owner, "chunk": place})
        message = MalformedChunk(
            study=state.study, round=state.round, vector=owner, chunk=await asyncio.to_thread(vector.proved, place)
        )
        await recorded(site.journal.round(state.round), "ProveMalformed", site.federation.prove_malformed(message))
    return True
