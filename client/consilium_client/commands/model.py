"""`consilium model`: export the trained model, take a partner's, apply it to a table."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from consilium_peers.commands.arguments import study_name

EXAMPLES = """examples:
  consilium model export heart --config hospital.yaml --out heart.safetensors
  consilium model import from-a-partner.safetensors --config hospital.yaml
  consilium model show heart.safetensors
  consilium model predict heart.safetensors --study study.yaml --table patients.csv --out scores.csv"""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium model`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    export = commands.add_parser("export", help="write the study's newest final model with its hash and lineage")
    export.add_argument("study", type=study_name, help="the study's identifier")
    export.add_argument("--config", type=Path, required=True, help="the hospital's configuration file")
    export.add_argument("--out", type=Path, required=True, help="the file to write (safetensors)")
    export.set_defaults(run=_export)

    take = commands.add_parser("import", help="take a partner's export, where this hospital can't derive the model")
    take.add_argument("model", type=Path, help="a file that 'model export' wrote at another hospital")
    take.add_argument("--config", type=Path, required=True, help="the hospital's configuration file")
    take.set_defaults(run=_import)

    show = commands.add_parser("show", help="check a model file and print its hash and lineage")
    show.add_argument("model", type=Path, help="a file that 'model export' wrote")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_show)

    predict = commands.add_parser("predict", help="apply a model to a CSV table")
    predict.add_argument("model", type=Path, help="a file that 'model export' wrote")
    predict.add_argument("--study", type=Path, required=True, help="the study file: its task and columns")
    predict.add_argument("--table", type=Path, required=True, help="a CSV file with the study's columns")
    predict.add_argument("--out", type=Path, help="where to write the scores (default: standard output)")
    predict.set_defaults(run=_predict)


def _export(arguments: argparse.Namespace) -> int:
    from consilium_client.configuration import load_configuration
    from consilium_client.model_file import export_model

    card = asyncio.run(export_model(load_configuration(arguments.config), arguments.study, arguments.out))
    print(f"wrote {arguments.out}: model {card.model} of study {card.study}, round {card.round}")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from consilium_client.configuration import load_configuration
    from consilium_client.model_file import import_model

    card = asyncio.run(import_model(load_configuration(arguments.config), arguments.model))
    print(f"model {card.model} of study {card.study}, round {card.round}, is the newest one and is here now")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from consilium_client.model_file import read_model

    card = read_model(arguments.model).card
    if arguments.json:
        print(json.dumps(card.as_dict(), indent=2))
        return 0
    print(f"model {card.model}\nstudy {card.study}, round {card.round}, attested by {', '.join(card.attested_by)}")
    for step in card.lineage:
        print(f"  round {step.round:>4}  {step.base[:16]} -> {step.model[:16]}  {', '.join(step.participants)}")
    return 0


def _predict(arguments: argparse.Namespace) -> int:
    from consilium_client.model_file import predict

    lines = predict(arguments.model, arguments.study, arguments.table)
    if arguments.out is None:
        print("\n".join(lines))
    else:
        arguments.out.write_text("\n".join(lines) + "\n")
        print(f"wrote {len(lines) - 1} scores to {arguments.out}")
    return 0
