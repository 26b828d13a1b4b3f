"""Step 9: the sums behind every verified round and every charged epsilon, added up once more.

The replay has done so already, in the contract's own code. Here it is arithmetic alone, from what the hospitals wrote:
the fingerprints that stand undisputed must add up to the published sum's, and epsilon must follow from the account.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from consilium_chaincode.federation import state_keys
from consilium_proto.canonical import Record, decode
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.privacy_account import epsilon_of
from consilium_proto.records import (
    Anchor,
    Disproof,
    Fingerprint,
    FingerprintValue,
    Listing,
    PrivacyAccount,
    Round,
    RoundPhase,
    Study,
    StudyTerms,
)
from consilium_trail.blocks.transactions import Invocation
from consilium_trail.definitions import FEDERATION
from consilium_trail.verification.findings import Place, Step, UnsoundError

R = TypeVar("R", bound=Record)
_SUMMED = (RoundPhase.VERIFIED, RoundPhase.FINAL)


class _RoundEvidence:
    """What was written about a round's publications."""

    def __init__(self) -> None:
        self.fingerprints: dict[int, dict[str, Fingerprint]] = {}
        self.listed: set[tuple[int, str, str]] = set()
        self.disproved: set[tuple[int, str, str]] = set()


class SumCheck:
    """Adds up what valid transactions wrote; rounds that are decided are forgotten."""

    def __init__(self) -> None:
        self._terms: dict[str, StudyTerms] = {}
        self._rounds: dict[tuple[str, int], _RoundEvidence] = {}

    def check(self, place: Place, author: str, call: Invocation) -> None:
        """Take in a valid transaction.

        Raises:
            UnsoundError: a sum that it completes is wrong.
        """
        if call.chaincode != FEDERATION:
            return
        written = {w.key: w.value for each in call.sets if each.namespace == FEDERATION for w in each.writes}
        if call.function == "Fingerprint" and (found := _record(Fingerprint, call.arguments[0])):
            self._evidence(found.study, found.round).fingerprints.setdefault(found.publication, {})[author] = found
        elif call.function == "List" and (listing := _record(Listing, call.arguments[0])):
            entry = (listing.publication, author, listing.vector)
            self._evidence(listing.study, listing.round).listed.add(entry)
        elif call.function == "Disprove" and (disproof := _record(Disproof, call.arguments[0])):
            entry = (disproof.publication, disproof.author, disproof.vector)
            self._evidence(disproof.study, disproof.round).disproved.add(entry)
        elif call.function == "Anchor" and (anchor := _record(Anchor, call.arguments[0])):
            self._check_epsilon(place, author, anchor, written)
        elif call.function == "Advance":
            self._check_round(place, call)
        elif call.function == "ProposeStudy" and (terms := _record(StudyTerms, call.arguments[0])):
            study = _record(Study, written.get(state_keys.study(terms.study)))
            if study is not None:
                self._terms[terms.study] = study.terms

    def _check_round(self, place: Place, call: Invocation) -> None:
        state = _record(Round, call.answer)
        if state is None:
            return
        if state.phase in _SUMMED:
            evidence = self._evidence(state.study, state.round)
            problem = _wrong_sum(self._terms.get(state.study), state, evidence)
            if problem:
                raise UnsoundError(Step.SUMS, place, f"round {state.round} of {state.study}: {problem}")
        if state.phase.decided:
            self._rounds.pop((state.study, state.round), None)

    def _check_epsilon(self, place: Place, author: str, anchor: Anchor, written: dict[str, bytes | None]) -> None:
        terms = self._terms.get(anchor.study)
        entry = anchor.privacy
        if entry is None or terms is None or terms.privacy is None:
            return
        account = _record(PrivacyAccount, written.get(state_keys.privacy_account(author, entry.data_set)))
        if account is None:
            return  # a retry, which was charged in its first attempt
        costs = [*account.settled, *(each.cost for each in account.pending)]
        spent = epsilon_of(costs, terms.privacy)
        if spent != entry.epsilon_after_micro or spent > terms.privacy.epsilon_budget_micro:
            raise UnsoundError(
                Step.SUMS,
                place,
                f"{author} has spent epsilon {spent} millionths; {entry.epsilon_after_micro} is written and "
                f"{terms.privacy.epsilon_budget_micro} allowed",
            )

    def _evidence(self, study: str, number: int) -> _RoundEvidence:
        return self._rounds.setdefault((study, number), _RoundEvidence())


def _wrong_sum(terms: StudyTerms | None, state: Round, evidence: _RoundEvidence) -> str:
    """Say what is wrong with a verified round's sum; nothing if it is right."""
    if terms is None or state.publisher is None:
        return "no study or no publication is known"
    found = evidence.fingerprints.get(state.publication, {})
    claims: dict[str, dict[str, FingerprintValue]] = {}
    for author, written in found.items():
        claims.setdefault(author, {})[author] = written.own
        for each in written.witnessed:
            claims.setdefault(each.owner, {})[author] = each.value
        if written.sum is not None:
            claims.setdefault(state.publisher, {})[author] = written.sum
    values: dict[str, tuple[int, int]] = {}
    for vector in (*state.participants, state.publisher):
        standing = _standing(vector, claims.get(vector, {}), state.publication, evidence)
        if len(standing) != 1:
            return f"{len(standing)} fingerprints of {vector}'s vector stand, not one"
        (value,) = standing
        values[vector] = int(value[0], 16), int(value[1], 16)
    modulus = parameter_set(terms.parameter_set).modulus
    for row in (0, 1):
        total = sum(values[name][row] for name in state.participants) % modulus
        if total != values[state.publisher][row]:
            return (
                f"the hospitals' fingerprints add up to {total:016x}, the sum has {values[state.publisher][row]:016x}"
            )
    return ""


def _standing(
    vector: str, claims: dict[str, FingerprintValue], publication: int, evidence: _RoundEvidence
) -> set[FingerprintValue]:
    """Return the values of a vector that nobody contradicts, or whose author listed them and wasn't disproved."""
    values = set(claims.values())
    if len(values) <= 1:
        return values
    return {
        value
        for author, value in claims.items()
        if (publication, author, vector) in evidence.listed and (publication, author, vector) not in evidence.disproved
    }


def _record(kind: type[R], raw: bytes | None) -> R | None:
    try:
        return None if raw is None else decode(kind, raw)
    except (WireError, msgspec.MsgspecError):
        return None
