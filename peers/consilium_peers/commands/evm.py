"""`consilium evm`: the EVM on the channel, as hospitals decide about it and programs use it."""

from __future__ import annotations

import argparse

from consilium_peers.commands import evm_bridge, evm_serve, evm_terms

EXAMPLES = """examples:
  consilium evm terms show --profile profiles/client.yaml
  consilium evm terms approve terms.yaml --profile profiles/admin.yaml
  consilium evm serve --profile profiles/client.yaml
  consilium evm bridge status --rpc https://… --profile profiles/client.yaml"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium evm`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    evm_terms.register(commands)
    evm_bridge.register(commands)
    evm_serve.register(commands)
