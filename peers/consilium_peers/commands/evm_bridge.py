"""`consilium evm bridge`: a bridge on a public chain is deployed, epochs are carried over, payouts claimed."""

from __future__ import annotations

import argparse
from typing import Any

from consilium_peers.commands import bridge_claiming, bridge_decisions, bridge_deployment

EXAMPLES = """examples:
  consilium evm bridge deploy --rpc https://… --profile profiles/client.yaml --roots roots.pem --key-file payer.key
  consilium evm bridge export 1 --out epoch-1.json --profile profiles/client.yaml
  consilium evm bridge submit epoch-1.json --rpc https://… --keystore wallet.json
  consilium evm bridge claim epoch-1.json --rpc https://… --keystore wallet.json --profile profiles/client.yaml --wait
  consilium evm bridge decision export 1 --out decision-1.json --profile profiles/client.yaml
  consilium evm bridge status --rpc https://… --address 0x… --profile profiles/client.yaml --roots roots.pem

The key that pays on the public chain is read from an encrypted keystore (--keystore), from a file that its owner alone
can read (--key-file), or from the environment variable CONSILIUM_ETHEREUM_KEY."""


def register(commands: Any) -> None:
    """Add `bridge` to `consilium evm`."""
    summary = "pay rewards on a public chain: deploy a bridge, carry epochs over, claim"
    parser: argparse.ArgumentParser = commands.add_parser(
        "bridge",
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    bridge_deployment.register(actions)
    bridge_claiming.register(actions)
    bridge_decisions.register(actions)
