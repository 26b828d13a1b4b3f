"""Gathers endorsements of an answer from organisations' peers, without ordering anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from consilium_peers.endorsing import SETTLING_SECONDS
from consilium_peers.errors import EndorseError
from consilium_peers.ethereum.endorsed_answer import EndorsedAnswer
from consilium_peers.ethereum.errors import BridgeProofError
from consilium_peers.gateway import Contract, Proposal

ENDORSE_SECONDS = 15.0
_PAUSE_SECONDS = 0.5

Outcomes = dict[str, EndorsedAnswer | EndorseError]


async def gather_endorsements(
    contract: Contract, function: str, argument: bytes, organizations: Sequence[str], wanted: int
) -> EndorsedAnswer:
    """Have the peers of organisations (MSP ids) endorse one proposal; return the answer that most of them gave.

    Every organisation is asked by itself, so that one whose peer is down or answers otherwise doesn't keep the others'
    endorsements from being gathered. Peers a block apart answer differently, so it is tried anew for a few seconds.

    Raises:
        EndorseError: every organisation refuses, as for an epoch that isn't closed.
        BridgeProofError: fewer than `wanted` organisations gave the same answer. It says what the others said.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + SETTLING_SECONDS
    while True:
        proposal = contract.propose(function, argument)
        outcomes = dict(zip(organizations, await _ask(proposal, organizations), strict=True))
        found = _together(outcomes)
        if found is not None and len(found.organizations) >= wanted:
            return found
        if clock() > deadline:
            raise _too_few(outcomes, found, wanted)
        await asyncio.sleep(_PAUSE_SECONDS)


async def _ask(proposal: Proposal, organizations: Sequence[str]) -> list[EndorsedAnswer | EndorseError]:
    return await asyncio.gather(*(_endorsed(replace(proposal, endorsing_organizations=(o,))) for o in organizations))


async def _endorsed(proposal: Proposal) -> EndorsedAnswer | EndorseError:
    try:
        transaction = await proposal.endorse(ENDORSE_SECONDS)
    except EndorseError as error:
        return error
    return EndorsedAnswer.of_prepared(transaction.envelope)


def _together(outcomes: Outcomes) -> EndorsedAnswer | None:
    """Return the answer that most organisations gave, with all endorsements of it."""
    answers = [each for each in outcomes.values() if isinstance(each, EndorsedAnswer)]
    alike = [[other for other in answers if other.payload == each.payload] for each in answers]
    if not alike:
        return None
    most = max(alike, key=len)
    return replace(most[0], endorsements=tuple(e for each in most for e in each.endorsements))


def _too_few(outcomes: Outcomes, found: EndorsedAnswer | None, wanted: int) -> Exception:
    refusals = {each: outcome for each, outcome in outcomes.items() if isinstance(outcome, EndorseError)}
    if found is None and refusals:
        return next(iter(refusals.values()))
    alike = () if found is None else found.organizations
    said = [
        f"{each}: {refusals[each].reason if each in refusals else 'another answer'}"
        for each in outcomes
        if each not in alike
    ]
    return BridgeProofError(
        f"{wanted} organisations must endorse the same answer and {len(alike)} did ({', '.join(alike) or 'nobody'}); "
        f"{'; '.join(said)}"
    )
