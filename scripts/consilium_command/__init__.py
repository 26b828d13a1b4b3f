"""The `consilium` program: one sub-command per role, each loaded only when it is asked for.

A machine that has one role's packages installed can run that role; the others answer with what to install.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from typing import NamedTuple

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class Role(NamedTuple):
    """A sub-command: the module whose `register` fills its parser, its extra, its errors' base, one line of help."""

    module: str
    extra: str
    summary: str


ROLES = {
    "network": Role("consilium_network.command", "", "bring the Fabric network up and down, look at it"),
    "chaincode": Role("consilium_chaincode.serve", "", "run a hospital's chaincode service"),
    "aggregator": Role("consilium_aggregator.command", "aggregator", "run an aggregator, which sees only ciphertexts"),
    "client": Role("consilium_client.commands.client", "client", "run a hospital's agent, check before joining"),
    "study": Role("consilium_client.commands.study", "client", "propose, approve, follow studies"),
    "audit": Role("consilium_peers.commands.audit", "audit", "ask the ledger, export a trail, verify one offline"),
    "reward": Role("consilium_peers.commands.reward", "rewards", "show what hospitals earned, say where it is paid"),
    "evm": Role("consilium_peers.commands.evm", "evm", "decide about the EVM on the channel, serve it to wallets"),
    "model": Role("consilium_client.commands.model", "client", "export the trained model, apply it to a table"),
}

EXAMPLES = """examples:
  consilium network up --directory build/network
  consilium study propose study.yaml --profile admin.yaml
  consilium client run --config hospital.yaml
  consilium model predict model.safetensors --table patients.csv

Each command explains itself: consilium ROLE --help. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every expected error is one line on standard error."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="consilium",
        description="Federated learning among hospitals on a Hyperledger Fabric ledger.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    roles = parser.add_subparsers(dest="role", metavar="ROLE", required=True)
    for name, role in ROLES.items():
        sub = roles.add_parser(name, help=role.summary, description=role.summary.capitalize() + ".")
        if words[:1] == [name]:
            _register(role, name, sub)
    parsed = parser.parse_args(words)
    return _run(parsed)


def _register(role: Role, name: str, parser: argparse.ArgumentParser) -> None:
    try:
        module = importlib.import_module(role.module)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("consilium_"):
            raise
        extra = f"consilium[{role.extra}]" if role.extra else "consilium"
        raise SystemExit(
            f"error: 'consilium {name}' needs {error.name}, which isn't installed: pip install '{extra}'"
        ) from None
    module.register(parser)


def _run(parsed: argparse.Namespace) -> int:
    try:
        return int(parsed.run(parsed) or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_FAILED
    except Exception as error:
        if not _is_expected(error):
            logging.getLogger("consilium").debug("unexpected", exc_info=error)
            print(f"error: unexpected {type(error).__name__}: {error}", file=sys.stderr)
        else:
            print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED


def _is_expected(error: Exception) -> bool:
    """Our packages' own errors are worded for people; anything else is a defect and says its type."""
    return type(error).__module__.startswith("consilium_") or isinstance(error, OSError)
