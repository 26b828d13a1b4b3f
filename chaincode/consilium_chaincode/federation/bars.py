"""Who is barred from a study: proved liars, until a majority of its hospitals readmits them.

Only a disproof bars, never silence: an aggregator may have refused an upload, a network may have failed. A barred party
keeps its duties in the round in which it lied, and its contribution stays in the sum: taking it out would uncancel
masks and make a second sum over another set.
"""

from __future__ import annotations

from collections.abc import Collection

from consilium_chaincode.federation.bounds import readmission_quorum
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.study import participants
from consilium_proto.records import Bar, Readmission, Round, StudyBars, StudyProgress, StudyTerms
from consilium_proto.refusals import RefusalCode

NONE = StudyBars(bars=())


def barred_parties(bars: StudyBars | None) -> frozenset[str]:
    """Return who is barred."""
    return frozenset(bar.party for bar in (bars or NONE).bars)


def after_round(bars: StudyBars | None, state: Round) -> StudyBars:
    """Return the bars with those of a round; who is barred already stays barred for the earlier one."""
    known = (bars or NONE).bars
    already = {bar.party for bar in known}
    added = [Bar(party=party, round=state.round) for party in state.barred if party not in already]
    return StudyBars(bars=tuple(sorted((*known, *added), key=lambda bar: bar.party)))


def check_readmission(bars: StudyBars | None, progress: StudyProgress, readmission: Readmission) -> None:
    """Refuse to readmit who isn't barred, or for a lie of the round that is still undecided.

    Raises:
        Refused: NOT_FOUND for a party that isn't barred since that round; WRONG_PHASE while the round is undecided:
            a liar that came back in its own round could publish the same lie again.
    """
    if Bar(party=readmission.party, round=readmission.round) not in (bars or NONE).bars:
        raise Refused(
            RefusalCode.NOT_FOUND,
            f"{readmission.party} isn't barred from study {readmission.study} since round {readmission.round}",
        )
    if progress.undecided and progress.round == readmission.round:
        raise Refused(
            RefusalCode.WRONG_PHASE, f"round {readmission.round} is undecided; readmit {readmission.party} after it"
        )


def voters(terms: StudyTerms, party: str) -> tuple[str, ...]:
    """Return whose word counts for a party's readmission: every participant's but its own."""
    return tuple(hospital for hospital in participants(terms) if hospital != party)


def readmit(
    terms: StudyTerms, bars: StudyBars | None, readmission: Readmission, approved_by: Collection[str]
) -> StudyBars:
    """Return the bars without a party once enough have approved; refuse NOT_YET otherwise."""
    approved = [hospital for hospital in voters(terms, readmission.party) if hospital in approved_by]
    needed = readmission_quorum(len(terms.participants), terms.max_colluding)
    if len(approved) < needed:
        raise Refused(
            RefusalCode.NOT_YET, f"{len(approved)} of {needed} approvals of the readmission of {readmission.party}"
        )
    return StudyBars(bars=tuple(bar for bar in (bars or NONE).bars if bar.party != readmission.party))
