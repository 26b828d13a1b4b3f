"""`consilium study`: propose, approve, follow and close studies."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec

from consilium_client.commands import holding
from consilium_client.commands.connecting import connected, with_profile
from consilium_client.errors import TermsMismatchError
from consilium_peers.commands.arguments import study_name
from consilium_peers.errors import GatewayError
from consilium_peers.federation import Federation
from consilium_proto import canonical
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.records import Round, RoundView, StudyPhase, StudyTerms, StudyView
from consilium_proto.refusals import RefusalCode

EXAMPLES = """examples:
  consilium study digest study.yaml
  consilium study propose study.yaml --profile profiles/admin.yaml
  consilium study approve study.yaml --profile profiles/admin.yaml
  consilium study status heart --profile profiles/client.yaml --json
  consilium study list --profile profiles/client.yaml
  consilium study holders heart --round 3 --profile profiles/client.yaml
  consilium study renew-key heart --without NorthMSP --profile profiles/client.yaml
  consilium study readmit heart NorthMSP --profile profiles/admin.yaml"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium study`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    digest = commands.add_parser("digest", help="print the digests that follow from a study file")
    digest.add_argument("file", type=Path, help="the study file")
    digest.add_argument("--json", action="store_true", help="print them as JSON")
    digest.set_defaults(run=_digest)

    for name, run, summary in (
        ("propose", _propose, "propose the study of a file (an administrator of a hospital)"),
        ("approve", _approve, "approve the proposed study if it is exactly the one in the file"),
    ):
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        command.add_argument("file", type=Path, help="this hospital's copy of the study file")
        with_profile(command)
        command.set_defaults(run=run)

    for name, run, summary in (
        ("status", _status, "show where a study and its newest round stand"),
        ("close", _close, "close a study: no further round opens (the coordinator's administrator)"),
    ):
        command = commands.add_parser(name, help=summary, description=summary.capitalize() + ".")
        command.add_argument("study", type=study_name, help="the study's identifier")
        with_profile(command)
        command.add_argument("--json", action="store_true", help="print JSON")
        command.set_defaults(run=run)

    holding.register(commands)

    listing = commands.add_parser("list", help="list all studies")
    with_profile(listing)
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=_list)


def _terms_of(file: Path) -> StudyTerms:
    from consilium_client.study_file import load_study_file  # brings torch, which the other commands don't need

    return load_study_file(file).terms


def _digest(arguments: argparse.Namespace) -> int:
    terms = _terms_of(arguments.file)
    digests = {
        "study": terms.study,
        "terms": canonical.digest(terms),
        "code": terms.code,
        "schema": terms.schema,
        "initial_model": terms.initial_model,
    }
    print(json.dumps(digests, indent=2) if arguments.json else "\n".join(f"{n:<14} {d}" for n, d in digests.items()))
    return 0


def _propose(arguments: argparse.Namespace) -> int:
    terms = _terms_of(arguments.file)

    async def propose() -> None:
        async with connected(arguments.profile) as federation:
            await federation.propose_study(terms)

    asyncio.run(propose())
    print(f"proposed study {terms.study}; terms {canonical.digest(terms)}")
    print(f"reward: {_reward(terms)}")
    for remark in _remarks(terms):
        print(f"note: {remark}")
    return 0


def _remarks(terms: StudyTerms) -> list[str]:
    """Say what the choice of T means for progress."""
    spare = len(terms.participants) - max(3, terms.max_colluding + 2)
    if spare:
        return []
    return [f"with {len(terms.participants)} hospitals and T = {terms.max_colluding} no hospital may be absent"]


def _approve(arguments: argparse.Namespace) -> int:
    terms = _terms_of(arguments.file)

    async def approve() -> StudyView:
        async with connected(arguments.profile) as federation:
            view = await federation.read_study(terms.study)
            if view.study.terms != terms:
                raise TermsMismatchError(_difference(view.study.terms, terms))
            await federation.approve_study(terms.study, canonical.digest(terms))
            await _activate_if_due(federation, terms.study)
            return await federation.read_study(terms.study)

    view = asyncio.run(approve())
    print(f"approved study {terms.study} ({len(view.approvals)} approvals); it is {view.study.phase.value}")
    print(f"reward: {_reward(terms)}")
    return 0


async def _activate_if_due(federation: Federation, study: str) -> None:
    """Whoever gives the deciding approval also activates; an answer 'not yet', or that it is active, is fine."""
    try:
        await federation.activate_study(study)
    except GatewayError as error:
        if error.refusal not in (RefusalCode.NOT_YET, RefusalCode.WRONG_PHASE, RefusalCode.ALREADY_WRITTEN):
            raise


def _difference(ledger: StudyTerms, file: StudyTerms) -> str:
    ours, theirs = msgspec.to_builtins(file), msgspec.to_builtins(ledger)
    # Only one of them may have a reward.
    field = next(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
    return (
        f"the proposed study {file.study} isn't the one in the file: {field} is {theirs.get(field)!r} on the ledger "
        f"and {ours.get(field)!r} in the file"
    )


def _reward(terms: StudyTerms) -> str:
    """Say what a final round is worth."""
    if terms.reward is msgspec.UNSET:
        return "none"
    tokens = tokens_of_amount(terms.reward.pot)
    return f"{tokens} tokens for each final round, shared by samples of which {terms.reward.weight_cap} count at most"


def _status(arguments: argparse.Namespace) -> int:
    async def read() -> tuple[StudyView, RoundView | None]:
        async with connected(arguments.profile) as federation:
            view = await federation.read_study(arguments.study)
            newest = await federation.read_round(arguments.study, view.head.round) if view.head.round else None
            return view, newest

    view, newest = asyncio.run(read())
    document: dict[str, Any] = {
        "study": view.study.terms.study,
        "phase": view.study.phase.value,
        "approvals": list(view.approvals),
        "rounds": view.study.terms.rounds,
        "final_rounds": view.head.final_rounds,
        "model": view.head.model,
        "epoch": view.head.epoch,
        "barred": msgspec.to_builtins(view.bars),
        "reward": _reward_document(view.study.terms),
        "finished": view.study.phase is StudyPhase.CLOSED or view.head.final_rounds >= view.study.terms.rounds,
        "round": None if newest is None else msgspec.to_builtins(newest.round),
    }
    if arguments.json:
        print(json.dumps(document, indent=2))
        return 0
    progress = f"{document['final_rounds']} of {document['rounds']} rounds final"
    print(f"study {document['study']}: {document['phase']}, {progress}")
    print(f"approved by {', '.join(view.approvals) or 'nobody yet'}")
    print(f"model {document['model']}")
    print(f"reward: {_reward(view.study.terms)}")
    if newest is not None:
        state = newest.round
        print(f"round {state.round}, attempt {state.attempt}: {state.phase.value}, {len(state.participants)} hospitals")
        for remark in _silence(state):
            print(remark)
    for bar in view.bars:
        print(f"barred since round {bar.round}: {bar.party} (proved to have lied)")
    return 0


def _reward_document(terms: StudyTerms) -> dict[str, Any] | None:
    if terms.reward is msgspec.UNSET:
        return None
    return {"per_round": tokens_of_amount(terms.reward.pot), "weight_cap": terms.reward.weight_cap}


def _silence(state: Round) -> list[str]:
    """Say who fell silent or was rejected in a round: what the ledger notes, which is no proof of a fault."""
    remarks = [f"silent: {hospital}" for hospital in state.missing]
    remarks += [f"not confirmed: {pair.owner}'s vector by {pair.witness}" for pair in state.unheld]
    return remarks + [f"sum rejected: {aggregator}'s" for aggregator in state.rejected]


def _close(arguments: argparse.Namespace) -> int:
    async def close() -> None:
        async with connected(arguments.profile) as federation:
            await federation.close_study(arguments.study)

    asyncio.run(close())
    print(json.dumps({"study": arguments.study, "phase": "CLOSED"}) if arguments.json else f"closed {arguments.study}")
    return 0


def _list(arguments: argparse.Namespace) -> int:
    async def read() -> list[str]:
        async with connected(arguments.profile) as federation:
            return list((await federation.list_studies()).studies)

    studies = asyncio.run(read())
    print(json.dumps(studies) if arguments.json else "\n".join(studies) or "no studies yet")
    return 0
