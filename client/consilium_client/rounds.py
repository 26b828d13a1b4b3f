"""A hospital's part in a round: join, anchor, upload, attest; `verification` has what lies between the last two.

The way of a value: rows → weighted update → integers → masked integers → ciphertext chunks → root on the ledger →
store, and back: summed chunks → integers → next model → attested digest. What a step needs lies on disk before the
ledger hears of it, so every action may be cut off at any point and called again.
"""

from __future__ import annotations

import asyncio
import logging
import time

from consilium_client import privacy_ledger
from consilium_client.encryption import UpdateCipher
from consilium_client.errors import ClientError, PolicyRefusalError, PrivacyError, TrainingError
from consilium_client.journal import Parameters, QuantisedUpdate, RoundJournal
from consilium_client.masks import mask_slots
from consilium_client.models import derive_model, epoch_seed
from consilium_client.packing import pack
from consilium_client.policy import check_budget, check_cohort
from consilium_client.preparation import preparing
from consilium_client.quantise import quantise
from consilium_client.recording import recorded
from consilium_client.site import Site
from consilium_client.training_site import TrainedUpdate
from consilium_client.vectors import own_vector, seconds_left, vector_context
from consilium_client.verification import chain_value_for
from consilium_proto import canonical
from consilium_proto.chunk_tree import chunk_digest, tree_root
from consilium_proto.records import Anchor, Attestation, Join, PrivacyEntry, Round, RoundView

log = logging.getLogger("consilium.agent")

# An aggregator that can't be reached is tried again by the next duty; witnessing others doesn't wait for it.
UPLOAD_PATIENCE_SECONDS = 3.0


async def join(site: Site, view: RoundView) -> None:
    """Take part in an open round, if the policy allows the cohort and what the round will cost.

    Raises:
        PolicyRefusalError: the policy says no.
        PrivacyError: the study's budget doesn't bear one more round.
    """
    state = view.round
    check_cohort(site.rule, tuple(entry.hospital for entry in site.terms.participants))
    entry = await privacy_ledger.entry_to_anchor(site, view)
    if entry is not None:
        check_budget(site.rule, entry.epsilon_after_micro)
    mask_key = site.keystore.x25519(mask_key_name(state)).public_key().public_bytes_raw().hex()
    message = Join(
        study=state.study,
        round=state.round,
        samples=site.training.samples,
        mask_key=mask_key,
        chain_end=chain_value_for(site, state, 0),
    )
    journal = site.journal.round(state.round)
    journal.note(joined_at=time.time())
    await recorded(journal, "Join", site.federation.join(message))


def mask_key_name(state: Round) -> str:
    """The name in the keystore of this round's mask key."""
    return f"mask-{state.study}-{state.round}"


async def anchor(site: Site, view: RoundView) -> None:
    """Train (once), mask and encrypt over this attempt's set, and anchor the root.

    Raises:
        PolicyRefusalError: the set lacks a required partner, is too small, or differs from that of an earlier upload.
        PrivacyError: the study's budget doesn't bear this round; nothing was trained.
        TrainingError: the training failed, now or before.
    """
    state = view.round
    check_cohort(site.rule, state.participants)
    check_same_set(site, state)
    journal = site.journal.round(state.round)
    # Before training, which a budget that is spent forbids; its numbers hold unless another study anchors meanwhile.
    entry = await privacy_ledger.entry_to_anchor(site, view)
    if journal.chunk_paths(state.attempt) is None:
        key_seed, chunks = await epoch_seed(site, state), site.parameter_set.chunk_count(site.terms.parameters)
        # While the hospital trains, another process prepares what its update will be encrypted with.
        async with preparing(site.parameter_set, key_seed, state.epoch, chunks) as zeros:
            update = await _trained(site, state, journal)
            cipher = UpdateCipher(site.parameter_set, key_seed, state.epoch, site.cipher_path, zeros)
            await _encrypt(site, view, journal, update, cipher)
    context = vector_context(site, state, site.hospital)
    digests = [chunk_digest(chunk) for chunk in journal.chunks(state.attempt)]
    message = Anchor(
        study=state.study,
        round=state.round,
        attempt=state.attempt,
        root=tree_root(context, digests),
        chunks=len(digests),
        privacy=entry,
    )
    await recorded(journal, "Anchor", site.federation.anchor(message))


def check_same_set(site: Site, state: Round) -> None:
    """Refuse, without privacy noise, to encrypt for another set after an upload for the same base model.

    Two sums of the same updates over different sets differ by one hospital's update; noise that is drawn anew each
    round is what makes the difference useless.
    """
    if site.terms.privacy is not None:
        return
    for earlier in site.journal.rounds():
        uploaded = earlier.upload_begun()
        if uploaded is None or int(earlier.directory.name) == state.round or uploaded["base"] != state.base:
            continue
        if set(uploaded["participants"]) != set(state.participants):
            earlier_set, this_set = ", ".join(uploaded["participants"]), ", ".join(state.participants)
            raise PolicyRefusalError(
                f"model {state.base[:12]}: ciphertexts were sent with {earlier_set}; without privacy noise "
                f"none are made for another set ({this_set})"
            )


async def _trained(site: Site, state: Round, journal: RoundJournal) -> QuantisedUpdate:
    held = journal.training()
    if held is None:
        await asyncio.to_thread(_train, site, state, journal)
        log.info("trained", extra={"study": state.study, "round": state.round})
        held = journal.training()
        assert held is not None
    update, costs = held
    if costs["privacy"] is not None:
        entry = canonical.decode(PrivacyEntry, costs["privacy"].encode())
        # An account that was lost and rebuilt from the ledger doesn't know yet of a round that wasn't anchored.
        site.training.count(state.round, entry)
    return update


def _train(site: Site, state: Round, journal: RoundJournal) -> None:
    base = site.journal.load_model(state.base)
    assert base is not None, "the agent derives the base model before it acts in a round"
    started = time.monotonic()
    trained, update = _train_once(site, state, journal, base)
    entry = None if trained.privacy is None else canonical.encode(trained.privacy).decode()
    journal.save_training(update, {"privacy": entry, "samples": site.training.samples})
    journal.note(training_seconds=time.monotonic() - started)


def _train_once(
    site: Site, state: Round, journal: RoundJournal, base: Parameters
) -> tuple[TrainedUpdate, QuantisedUpdate]:
    reason = journal.training_failure()
    if reason is None:
        try:
            trained = site.training.train(base, state.round)
            return trained, quantise(trained.weighted_update, site.terms.update_bound_micro / 1e6, site.parameter_set)
        except PrivacyError:
            raise  # refused before any row was looked at
        except Exception as error:  # whatever a hospital's own task raises
            reason = str(error) if isinstance(error, ClientError) else f"{type(error).__name__}: {error}"
            journal.fail_training(reason)
    raise TrainingError(f"round {state.round} failed in training and isn't trained again: {reason}")


async def _encrypt(
    site: Site, view: RoundView, journal: RoundJournal, update: QuantisedUpdate, cipher: UpdateCipher
) -> None:
    state = view.round
    started = time.monotonic()
    slots = pack(update, site.parameter_set)
    peers = {
        entry.hospital: entry.join.mask_key
        for entry in view.joins
        if entry.hospital in state.participants and entry.hospital != site.hospital
    }
    own = site.keystore.x25519(mask_key_name(state))
    context = vector_context(site, state, site.hospital)
    masked = mask_slots(slots, own, site.hospital, peers, context, site.parameter_set.plain_bits)
    await asyncio.to_thread(journal.save_chunks, state.attempt, cipher.encrypt(masked))
    journal.note(encryption_seconds=time.monotonic() - started)
    log.info("encrypted", extra={"study": state.study, "round": state.round, "attempt": state.attempt})


async def upload(site: Site, view: RoundView, barred: frozenset[str] = frozenset()) -> None:
    """Send the anchored chunks to an aggregator; what it holds already isn't sent again.

    Aggregators whose sum the round has rejected, and those in `barred`, are passed over.
    """
    state = view.round
    journal = site.journal.round(state.round)
    vector = own_vector(site, state)
    if journal.upload_begun() is None:
        journal.begin_upload(state.participants, state.base)
    started = time.monotonic()
    report = await site.aggregators.upload(
        vector.context,
        list(vector.paths),
        passing_over={*state.rejected, *barred},
        spread=site.terms.deadlines.anchored / 3,
        patience=UPLOAD_PATIENCE_SECONDS,
        # What was sent needn't be sent again: witnessing others has its turn in between.
        timeout=seconds_left(state) / 3,
    )
    figures = journal.figures()
    journal.note(
        upload_seconds=figures.get("upload_seconds", 0.0) + time.monotonic() - started,
        bytes_up=figures.get("bytes_up", 0) + report.bytes_sent,
        uploaded_at=time.time(),
    )


async def attest(site: Site, view: RoundView) -> None:
    """Derive the round's model from the verified sum and attest its digest.

    Raises:
        UnusableSumError: the sum gives no model; the hospital attests nothing.
    """
    state = view.round
    journal = site.journal.round(state.round)
    journal.note(aggregation_seconds=max(0.0, time.time() - journal.figures().get("uploaded_at", time.time())))
    digest = await derive_model(site, view)
    assert state.publisher is not None
    message = Attestation(study=state.study, round=state.round, publication=state.publisher, model=digest)
    await recorded(journal, "Attest", site.federation.attest(message))
