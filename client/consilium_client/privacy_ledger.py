"""What a round does to the account that the ledger keeps of the hospital's data set, found before a row is looked at.

The ledger's account decides: chaincode recomputes it by the same rules (`consilium_proto.privacy_account`) and refuses
an anchor that says something else, or that the budget doesn't bear. The hospital's own account on disk
(`training.accountant`) is its record of what it trained, and can be rebuilt from the ledger.
"""

from __future__ import annotations

from msgspec.structs import replace

from consilium_client.errors import PrivacyError
from consilium_client.site import Site
from consilium_peers.federation import Federation
from consilium_proto.canonical import decode
from consilium_proto.errors import AccountFullError
from consilium_proto.privacy_account import charge, cost_of, pending_rounds, settle
from consilium_proto.rdp import MICRO
from consilium_proto.records import PrivacyAccount, PrivacyAccountReference, PrivacyEntry, RoundView


async def entry_to_anchor(site: Site, view: RoundView) -> PrivacyEntry | None:
    """Return the entry that an anchor in this round needs, with the epsilons that follow from the ledger now.

    A retry's is the one that was anchored before. Another study may anchor on the same data set in the meantime; the
    ledger then refuses the anchor as CONFLICTING, and the entry is computed anew. None without privacy noise.

    Raises:
        PrivacyError: the round would exceed the study's budget, the ledger's account is full, or the study's earlier
            rounds name another data set.
    """
    terms, state = site.terms.privacy, view.round
    draft = _trained_entry(site, state.round) or site.training.draft_entry()
    if terms is None or draft is None:
        return None
    anchored = _anchored_entry(view, site.hospital)
    if anchored is not None:
        return anchored
    await _check_data_set(site, state.round, draft.data_set)
    account = await read_settled_account(site.federation, site.hospital, draft.data_set)
    try:
        charged = charge(account, (state.study, state.round), cost_of(draft), terms)
    except AccountFullError as error:
        raise PrivacyError(str(error)) from None
    if charged.after > terms.epsilon_budget_micro:
        raise PrivacyError(
            f"round {state.round} of {state.study} would raise epsilon to {charged.after / MICRO:.6f}, by the ledger's "
            f"account; the study's budget is {terms.epsilon_budget_micro / MICRO:.6f}"
        )
    return replace(draft, epsilon_before_micro=charged.before, epsilon_after_micro=charged.after)


async def read_settled_account(federation: Federation, hospital: str, data_set: str) -> PrivacyAccount:
    """Read the account of a hospital's data set and settle what has been decided since its last anchor."""
    account = await federation.read_privacy_account(PrivacyAccountReference(hospital=hospital, data_set=data_set))
    rounds = {name: (await federation.read_round(*name)).round for name in pending_rounds(account)}
    return settle(account, hospital, rounds)


def _trained_entry(site: Site, number: int) -> PrivacyEntry | None:
    """Return the entry of the training that was done, which may have been on another number of rows than there are now.

    Its epsilons are those of the hospital's own account at that time.
    """
    held = site.journal.round(number).training()
    if held is None or held[1]["privacy"] is None:
        return None
    return decode(PrivacyEntry, held[1]["privacy"].encode())


def _anchored_entry(view: RoundView, hospital: str) -> PrivacyEntry | None:
    return next((one.anchor.privacy for one in view.anchors if one.hospital == hospital), None)


async def _check_data_set(site: Site, number: int, data_set: str) -> None:
    """Refuse what the ledger would: within a study a hospital keeps the data set that it named first."""
    for earlier in range(number - 1, 0, -1):
        anchored = _anchored_entry(await site.federation.read_round(site.terms.study, earlier), site.hospital)
        if anchored is None:
            continue
        if anchored.data_set != data_set:
            raise PrivacyError(
                f"round {earlier} of {site.terms.study} was anchored with data set {anchored.data_set[:16]}, the "
                f"configuration names {data_set[:16]}; within a study it stays the same: restore its name"
            )
        return
