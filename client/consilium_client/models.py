"""How a model follows from the one before: base + weighted sum of updates / weight, the same bits at every hospital."""

from __future__ import annotations

import asyncio
import time

import numpy as np

from consilium_client.encryption import UpdateCipher
from consilium_client.errors import JournalError, PackingError, QuantisationError, UnusableSumError
from consilium_client.journal import Parameters
from consilium_client.key_epochs import unwrap
from consilium_client.packing import unpack
from consilium_client.quantise import dequantise_sum
from consilium_client.site import Site
from consilium_client.vectors import published_sum, seconds_left
from consilium_proto.records import Round, RoundPhase, RoundView, StudyTerms, StudyView

WRAPPING_KEY = "wrapping-key"
SUM_PATIENCE_SECONDS = 5.0
# For the sum of a round that is over.
CATCH_UP_SECONDS = 120.0


def largest_cap(terms: StudyTerms) -> int:
    """The largest sample cap of a study: a hospital's update is weighted by its samples over this.

    Fixed when the study is approved, so a weight never depends on who else takes part, and a stored update stays valid
    when an attempt is retried over a smaller set.
    """
    return max(entry.sample_cap for entry in terms.participants)


def next_model(base: Parameters, summed: Parameters, samples: list[int], terms: StudyTerms) -> Parameters:
    """Apply a decrypted sum to its base model: federated averaging (McMahan et al. 2017) by sample count.

    Args:
        base: float64[P].
        summed: float64[P], the sum of all updates, each weighted by samples / largest cap.
        samples: the sample counts that joined.
        terms: the study's terms.

    Element-wise IEEE 754 operations in a fixed order, so that the result has the same bits on every machine.
    """
    weight = np.float64(sum(samples)) / np.float64(largest_cap(terms))
    result: Parameters = base + summed / weight
    return result


async def epoch_seed(site: Site, state: Round) -> bytes:
    """Open the round's key epoch with this hospital's wrapping key; a round ends under the epoch it began under.

    Raises:
        KeyEpochError: the hospital holds no key of the epoch, or what it unwraps isn't what the ledger commits to.
    """
    epoch = await site.federation.read_key_epoch(state.study, state.epoch)
    return unwrap(epoch, site.hospital, site.keystore.x25519(WRAPPING_KEY))


async def derive_model(site: Site, view: RoundView) -> str:
    """Decrypt a verified round's sum, apply it to the round's base model, store the model and return its digest.

    Only in VERIFIED, and in a round that ended FINAL after it: a sum that is decrypted unverified makes its hospital
    an oracle for the secret key (`test_nobody_decrypts_a_crafted_ciphertext`).

    Raises:
        UnusableSumError: the sum gives no model; it is noted and not decrypted again.
        KeyEpochError: this hospital can't open the round's key epoch.
        VectorWithheldError: the sum isn't to be had.
        JournalError: the base model isn't here, or the sum isn't verified.
    """
    state = view.round
    if state.phase not in (RoundPhase.VERIFIED, RoundPhase.FINAL):
        raise JournalError(f"round {state.round} is {state.phase}: an unverified sum is never decrypted")
    journal = site.journal.round(state.round)
    base = site.journal.load_model(state.base)
    if base is None:
        raise JournalError(f"round {state.round}: its base model {state.base} isn't here")
    if (reason := journal.unusable()) is not None:
        raise UnusableSumError(reason)
    timeout = seconds_left(state) if state.phase is RoundPhase.VERIFIED else CATCH_UP_SECONDS
    seed = await epoch_seed(site, state)
    vector = await published_sum(site, view, patience=SUM_PATIENCE_SECONDS, timeout=timeout)
    started = time.monotonic()
    cipher = UpdateCipher(site.parameter_set, seed, state.epoch, site.cipher_path)
    slots = await asyncio.to_thread(cipher.decrypt, iter(vector), len(vector.paths))
    try:
        sums = unpack(slots, site.parameter_set, site.terms.parameters)
        bound = site.terms.update_bound_micro / 1e6
        summed = dequantise_sum(sums, len(state.participants), bound, site.parameter_set)
    except (PackingError, QuantisationError) as error:
        reason = f"round {state.round}: {error}"
        journal.mark_unusable(reason)
        raise UnusableSumError(reason) from None
    samples = [entry.join.samples for entry in view.joins if entry.hospital in state.participants]
    digest = site.journal.save_model(next_model(base, summed, samples, site.terms))
    journal.note(decryption_seconds=time.monotonic() - started)
    return digest


async def catch_up(site: Site, study: StudyView) -> None:
    """Derive every model up to the study's newest, from the first one and the sums of the final rounds.

    A hospital that was dropped from a round, joined late or lost its state gets the model this way; one that was there
    has it already. It begins after the newest model that is here, so one that was imported (`model_file.import_model`)
    spares it rounds whose key it can't open, or whose sum is withheld from it.

    Raises:
        KeyEpochError: a round was played under a key epoch that this hospital can't open.
        VectorWithheldError: the sum of a round isn't to be had.
        JournalError: what was derived isn't what the hospitals attested.
    """
    if site.journal.load_model(site.terms.initial_model) is None:
        site.journal.save_model(site.study.initial_parameters())
    if site.journal.load_model(study.head.model) is not None:
        return
    for view in reversed(await _rounds_to_derive(site, study)):
        number, digest = view.round.round, await derive_model(site, view)
        site.journal.round(number).forget_update()
        if digest != view.round.model:
            raise JournalError(f"round {number}: derived model {digest}, but the hospitals attested {view.round.model}")


async def _rounds_to_derive(site: Site, study: StudyView) -> list[RoundView]:
    """Return the final rounds whose models aren't here, the newest first, down to one that starts from what is."""
    missing: list[RoundView] = []
    for number in range(study.head.round, 0, -1):
        view = await site.federation.read_round(site.terms.study, number)
        if view.round.phase is RoundPhase.FINAL:
            missing.append(view)
            if site.journal.load_model(view.round.base) is not None:
                break
    return missing
