"""What the ledger decides about privacy: which terms it can account, which entries it takes, who can afford a round.

It recomputes each entry from integers, adds it to what the hospital's data set has spent in all studies, and refuses an
anchor that would exceed the study's budget before anything of it is uploaded. `consilium_proto.privacy_account` has the
rules of settling, which hospitals apply too.

What it can't know: whether a hospital added the noise that its entry names, sampled and clipped as it says, or has the
rows that it calls by the data set's digest. It verifies arithmetic. A hospital that invents another digest starts an
empty account with it; so within a study a hospital keeps its first digest, and in every anchor the other participants
see which one it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consilium_chaincode.federation.errors import Refused
from consilium_proto.errors import AccountFullError
from consilium_proto.privacy_account import RoundName, charge, cost_of, epsilon_of, settle
from consilium_proto.rdp import MICRO, MIN_NOISE_MILLI
from consilium_proto.records import Anchor, PrivacyAccount, PrivacyEntry, PrivacyTerms, Round, StudyPrivacy
from consilium_proto.refusals import RefusalCode


@dataclass(frozen=True, slots=True)
class Spending:
    """What the ledger holds of a hospital's data set when the hospital anchors or a round is to be opened.

    `rounds` are the states of the account's pending rounds, `newest` is the entry of the hospital's newest anchor in
    the study (none before its first).
    """

    hospital: str
    account: PrivacyAccount
    rounds: Mapping[RoundName, Round]
    newest: StudyPrivacy | None

    @property
    def settled(self) -> PrivacyAccount:
        """The account as it stands once its decided rounds are settled."""
        return settle(self.account, self.hospital, self.rounds)


def check_privacy_terms(privacy: PrivacyTerms) -> None:
    """Refuse a mechanism that can't be accounted or protects nobody: delta of 1 or more, next to no noise.

    Attack: with a noise multiplier near 0 the numbers behind epsilon have a million digits, and every anchor of such a
    study would keep the endorsers busy.
    """
    if privacy.delta_numerator >= privacy.delta_denominator:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"delta is {privacy.delta_numerator}/{privacy.delta_denominator}; it must be below 1",
        )
    if privacy.noise_multiplier_milli < MIN_NOISE_MILLI:
        raise Refused(
            RefusalCode.UNSAFE_TERMS,
            f"the noise multiplier is {privacy.noise_multiplier_milli / 1000:g}; "
            f"it must be at least {MIN_NOISE_MILLI / 1000:g}",
        )


def check_entry(terms: PrivacyTerms | None, entry: PrivacyEntry | None) -> None:
    """Refuse an anchor with an entry where the terms have none, without one where they do, or with another mechanism.

    Attacks: no entry, so that the round costs nothing; less noise than was approved; another delta or clip, at which
    epsilon looks smaller.
    """
    if terms is None and entry is None:
        return
    if terms is None or entry is None:
        need = "no privacy entry" if terms is None else "a privacy entry"
        raise Refused(RefusalCode.CONFLICTING, f"the study's terms ask for {need} in every anchor")
    for problem, found in (
        ("the sample rate is above 1", entry.sample_rate_numerator > entry.sample_rate_denominator),
        ("the noise is below the terms'", entry.noise_multiplier_milli < terms.noise_multiplier_milli),
        ("the noise can't be accounted", entry.noise_multiplier_milli < MIN_NOISE_MILLI),
        ("the clipping bound isn't the terms'", entry.clip_milli != terms.clip_milli),
        ("delta isn't the terms'", not _same_delta(entry, terms)),
    ):
        if found:
            raise Refused(RefusalCode.CONFLICTING, f"privacy entry: {problem}")


def charge_anchor(
    spending: Spending | None, terms: PrivacyTerms | None, anchor: Anchor
) -> tuple[PrivacyAccount, StudyPrivacy] | None:
    """Return the hospital's account and its newest entry in the study with a round's first anchor in them.

    None when there is nothing to charge: a retry (`spending` is None), or a study without privacy noise.

    Attacks: an entry that claims less than was spent, here or in other studies; one round more than the budget bears;
    a data set under a new name, whose account is empty.

    Raises:
        Refused: CONFLICTING for another data set than the hospital's earlier ones in this study, for epsilons other
            than those recomputed here (it names these), and when the account is full; BUDGET_EXCEEDED when the round
            would exceed the study's budget.
    """
    entry, study, number = anchor.privacy, anchor.study, anchor.round
    if spending is None or terms is None or entry is None:
        return None
    if spending.newest is not None and spending.newest.entry.data_set != entry.data_set:
        raise Refused(
            RefusalCode.CONFLICTING,
            f"{spending.hospital} anchored with data set {spending.newest.entry.data_set} before, not "
            f"{entry.data_set}; in study {study} it can only go on with that one",
        )
    try:
        charged = charge(spending.settled, (study, number), cost_of(entry), terms)
    except AccountFullError as error:
        raise Refused(RefusalCode.CONFLICTING, str(error)) from None
    if charged.after > terms.epsilon_budget_micro:
        raise Refused(
            RefusalCode.BUDGET_EXCEEDED,
            f"round {number} of {study} would raise epsilon of data set {entry.data_set[:16]} to "
            f"{charged.after / MICRO:.6f}; the study's budget is {terms.epsilon_budget_micro / MICRO:.6f}",
        )
    if (entry.epsilon_before_micro, entry.epsilon_after_micro) != (charged.before, charged.after):
        raise Refused(
            RefusalCode.CONFLICTING,
            f"the privacy entry says epsilon goes from {entry.epsilon_before_micro} to {entry.epsilon_after_micro} "
            f"millionths; it goes from {charged.before} to {charged.after}",
        )
    return charged.account, StudyPrivacy(entry=entry)


def can_afford(spending: Spending, terms: PrivacyTerms) -> bool:
    """Tell whether a hospital's data set can bear one more round like its newest; an unknown data set can."""
    if spending.newest is None:
        return True
    account = spending.settled
    costs = (*account.settled, *(pending.cost for pending in account.pending), cost_of(spending.newest.entry))
    return epsilon_of(costs, terms) <= terms.epsilon_budget_micro


def refuse_unaffordable(study: str, able: int, least: int) -> None:
    """Refuse a round for which fewer hospitals have budget left than it takes: all would train in vain, or nobody."""
    if able < least:
        raise Refused(
            RefusalCode.BUDGET_EXCEEDED,
            f"{able} participants of study {study} can afford another round and {least} are needed; "
            "close the study, or go on in a new one with a budget that its hospitals approve",
        )


def _same_delta(entry: PrivacyEntry, terms: PrivacyTerms) -> bool:
    return entry.delta_numerator * terms.delta_denominator == terms.delta_numerator * entry.delta_denominator
