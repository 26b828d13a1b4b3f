"""`consilium audit studies | rounds | participation | holders | privacy …`: what auditors ask, one command each."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from consilium_peers.audit.certificates import CertificateState, certificates_at
from consilium_peers.audit.disputes import DisputeStep, disputes
from consilium_peers.audit.errors import AuditError
from consilium_peers.audit.history import History, read_history
from consilium_peers.audit.key_holders import Holder, key_holders
from consilium_peers.audit.lineage import NEWEST, LineageStep, lineage
from consilium_peers.audit.moments import read_moment
from consilium_peers.audit.participation import Act, participation
from consilium_peers.audit.privacy_spent import Account, Spending, accounts, spendings
from consilium_peers.audit.rewards import CLAIMS_ARE_REPORTS, Payout, Reward, payouts, rewards
from consilium_peers.audit.round_costs import RoundCost, round_costs
from consilium_peers.audit.studies import StudySummary, study_summaries
from consilium_peers.audit.transitions import Transition, transitions
from consilium_peers.commands.arguments import epoch_number, organization, round_number, study_name
from consilium_peers.commands.connecting import add_command, add_formats, network_of, say_progress, show
from consilium_peers.federation import Federation

Question = Callable[[History, argparse.Namespace], Sequence[Any]]


def register(commands: Any) -> None:
    """Add the commands to `consilium audit`."""
    add_formats(add_command(commands, "studies", "list all studies and where they stand", _studies, "studies"))

    summary = "show a study's rounds with every transition and its transaction"
    rounds = _question(commands, "rounds", summary, "rounds heart --round 3", Transition, _rounds)
    rounds.add_argument("study", type=study_name, help="the study's identifier")
    rounds.add_argument("--round", type=round_number, help="this round alone")

    summary = "show what one organisation did in a study, and where it was silent"
    part = _question(commands, "participation", summary, "participation heart NorthMSP", Act, _participation)
    part.add_argument("study", type=study_name, help="the study's identifier")
    part.add_argument("organization", type=organization, help="the MSP id of a hospital or aggregator")

    summary = "show who could decrypt a round"
    holders = _question(commands, "holders", summary, "holders heart 3", Holder, _holders)
    holders.add_argument("study", type=study_name, help="the study's identifier")
    holders.add_argument("round", type=round_number, help="the round's number")

    summary = "show every privacy entry, by hospital, data set and study"
    privacy = _question(commands, "privacy", summary, "privacy --study heart", Spending, _spendings)
    accounts_ = _question(
        commands, "accounts", "show what each data set has spent in all", "accounts --study heart", Account, _accounts
    )
    for each in (privacy, accounts_):
        each.add_argument("--study", type=study_name, help="of this study alone")
        each.add_argument("--hospital", type=organization, help="of this hospital alone (MSP id)")

    summary = "show a study's disputes, step by step, with the culprit"
    disputed = _question(commands, "disputes", summary, "disputes heart --round 3", DisputeStep, _disputes)
    disputed.add_argument("study", type=study_name, help="the study's identifier")
    disputed.add_argument("--round", type=round_number, help="of this round alone")

    summary = "show where a model comes from, back to the initial model: code, data commitments, updates, keys"
    line = _question(commands, "lineage", summary, "lineage heart --model 9f86d081", LineageStep, _lineage)
    line.add_argument("study", type=study_name, help="the study's identifier")
    line.add_argument("--model", default=NEWEST, help="its digest, or 8 digits of it or more (default: the newest)")

    summary = "show which certificates were valid, revoked or expired at a moment"
    certificates = _question(
        commands, "certificates", summary, "certificates --at 2026-11-27T12:00:00Z", CertificateState, _certificates
    )
    certificates.add_argument("--at", type=_moment, help="the moment (ISO 8601, UTC unless it says otherwise; now)")

    summary = "show what each round cost the ledger: transactions, bytes, how soon they were seen"
    costs = _question(commands, "costs", summary, "costs heart", RoundCost, _costs)
    costs.add_argument("study", type=study_name, help="the study's identifier")

    summary = "show what a study's rounds credited to whom, and where that is paid"
    rewarded = _question(commands, "rewards", summary, "rewards heart", Reward, _rewards)
    rewarded.add_argument("study", type=study_name, help="the study's identifier")

    summary = "show the payouts of closed epochs of rewards, and which of them hospitals reported as claimed"
    claims = _question(commands, "claims", summary, "claims --epoch 1", Payout, _claims)
    claims.description = f"{claims.description} {CLAIMS_ARE_REPORTS}"
    claims.add_argument("--epoch", type=epoch_number, help="of this epoch alone")


def _question(
    commands: Any, name: str, summary: str, example: str, kind: type[Any], answer: Question
) -> argparse.ArgumentParser:
    """Add a command that folds the whole ledger and shows rows of one kind."""

    def run(arguments: argparse.Namespace) -> int:
        show(arguments, answer(asyncio.run(_read(arguments)), arguments), kind)
        return 0

    parser = add_command(commands, name, summary, run, example)
    add_formats(parser)
    return parser


async def _read(arguments: argparse.Namespace) -> History:
    async with network_of(arguments) as network:
        return await read_history(network, say_progress)


def _moment(text: str) -> datetime:
    try:
        return read_moment(text)
    except AuditError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _studies(arguments: argparse.Namespace) -> int:
    async def read() -> tuple[StudySummary, ...]:
        async with network_of(arguments) as network:
            return await study_summaries(Federation(network.contract()))

    show(arguments, asyncio.run(read()), StudySummary)
    return 0


def _rounds(history: History, arguments: argparse.Namespace) -> Sequence[Transition]:
    return transitions(history, arguments.study, arguments.round)


def _participation(history: History, arguments: argparse.Namespace) -> Sequence[Act]:
    return participation(history, arguments.study, arguments.organization)


def _holders(history: History, arguments: argparse.Namespace) -> Sequence[Holder]:
    return key_holders(history, arguments.study, arguments.round)


def _spendings(history: History, arguments: argparse.Namespace) -> Sequence[Spending]:
    return spendings(history, arguments.study, arguments.hospital)


def _accounts(history: History, arguments: argparse.Namespace) -> Sequence[Account]:
    return accounts(history, arguments.study, arguments.hospital)


def _disputes(history: History, arguments: argparse.Namespace) -> Sequence[DisputeStep]:
    return disputes(history, arguments.study, arguments.round)


def _lineage(history: History, arguments: argparse.Namespace) -> Sequence[LineageStep]:
    return lineage(history, arguments.study, arguments.model)


def _certificates(history: History, arguments: argparse.Namespace) -> Sequence[CertificateState]:
    return certificates_at(history, arguments.at or datetime.now(UTC))


def _costs(history: History, arguments: argparse.Namespace) -> Sequence[RoundCost]:
    return round_costs(history, arguments.study)


def _rewards(history: History, arguments: argparse.Namespace) -> Sequence[Reward]:
    return rewards(history, arguments.study)


def _claims(history: History, arguments: argparse.Namespace) -> Sequence[Payout]:
    # On standard error, so that no form of the answer is without it.
    print(CLAIMS_ARE_REPORTS, file=sys.stderr)
    return payouts(history, arguments.epoch)
