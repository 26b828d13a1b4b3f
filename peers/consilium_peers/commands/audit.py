"""`consilium audit`: what auditors and compliance teams ask of the ledger, export from it and verify offline."""

from __future__ import annotations

import argparse

from consilium_peers.commands import audit_blocks, audit_queries, audit_trail

EXAMPLES = """examples:
  consilium audit studies --profile profiles/auditor.yaml
  consilium audit rounds heart --profile profiles/auditor.yaml
  consilium audit participation heart NorthMSP --profile profiles/auditor.yaml --csv
  consilium audit holders heart 3 --profile profiles/auditor.yaml
  consilium audit privacy --study heart --profile profiles/auditor.yaml
  consilium audit disputes heart --profile profiles/auditor.yaml
  consilium audit lineage heart --profile profiles/auditor.yaml --json
  consilium audit certificates --at 2026-11-27T12:00:00Z --profile profiles/auditor.yaml
  consilium audit costs heart --profile profiles/auditor.yaml
  consilium audit blocks --from 100 --profile profiles/auditor.yaml
  consilium audit tx 4f1c…64 digits --profile profiles/auditor.yaml
  consilium audit history round/heart/3 --profile profiles/auditor.yaml
  consilium audit export --study heart --out trail.zip --profile profiles/compliance.yaml
  consilium audit verify trail.zip --roots roots.pem"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium audit`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    audit_queries.register(commands)
    audit_blocks.register(commands)
    audit_trail.register(commands)
