"""`consilium client`: sign the policy, move keys into a token's care, check before joining, run the agent."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

from consilium_client.configuration import HospitalConfiguration, load_configuration
from consilium_client.errors import PolicyRefusalError

EXAMPLES = """examples:
  consilium client sign-policy policy.yaml --profile profiles/admin.yaml
  consilium client seal-with-token --config hospital.yaml --passphrase-file passphrase
  consilium client check --config hospital.yaml
  consilium client run --config hospital.yaml --until-finished

docs/hospitals.md explains the files."""


def register(parser: argparse.ArgumentParser) -> None:
    """Add the commands to `consilium client`."""
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    sign = commands.add_parser("sign-policy", help="sign the hospital's policy with its own key")
    sign.add_argument("policy", type=Path, help="the policy's YAML file; the signature is written beside it")
    sign.add_argument("--profile", type=Path, required=True, help="whose key signs: a profile of this hospital")
    sign.set_defaults(run=_sign_policy)

    seal = commands.add_parser("seal-with-token", help="make the PKCS#11 token's key that seals the hospital's secrets")
    seal.add_argument(
        "--config", type=Path, required=True, help="the hospital's configuration, with the field keystore"
    )
    seal.add_argument("--passphrase-file", type=Path, help="what sealed them so far; or CONSILIUM_PASSPHRASE")
    seal.set_defaults(run=_seal_with_token)

    check = commands.add_parser("check", help="say before joining whether table, task, budget, disk and clock are fit")
    check.add_argument("--config", type=Path, required=True, help="the hospital's configuration file")
    check.add_argument("--json", action="store_true", help="print the answers as JSON")
    check.set_defaults(run=_check)

    run = commands.add_parser("run", help="run the hospital's agent")
    run.add_argument("--config", type=Path, required=True, help="the hospital's configuration file")
    run.add_argument("--until-finished", action="store_true", help="exit once every study has all its final rounds")
    run.set_defaults(run=_run)


def _sign_policy(arguments: argparse.Namespace) -> int:
    from consilium_client.policy import sign_policy
    from consilium_peers.profile import Profile

    if not arguments.policy.is_file():
        raise PolicyRefusalError(f"no policy at {arguments.policy}")
    written = sign_policy(arguments.policy, Profile.load(arguments.profile).load_identity())
    print(f"signed: {written}")
    return 0


def _seal_with_token(arguments: argparse.Namespace) -> int:
    from consilium_client.hospital import only_agent
    from consilium_client.keystore import seal_with_token

    configuration = load_configuration(arguments.config)
    with only_agent(configuration.state):
        moved = seal_with_token(configuration, arguments.passphrase_file)
    print(f"{configuration.sealing_key} seals the secrets from now on; taken over from the passphrase: {moved}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from consilium_client.readiness import check_readiness

    configuration = load_configuration(arguments.config)
    findings = asyncio.run(check_readiness(configuration))
    if arguments.json:
        print(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.passed else 'FAIL'}  {finding.subject:<18} {finding.detail}")
    return 0 if all(finding.passed for finding in findings) else 1


def _run(arguments: argparse.Namespace) -> int:
    from consilium_peers.logs import log_as_json

    log_as_json()
    configuration = load_configuration(arguments.config)
    return asyncio.run(_run_until_stopped(configuration, arguments.until_finished))


async def _run_until_stopped(configuration: HospitalConfiguration, until_finished: bool) -> int:
    from consilium_client.hospital import run_hospital

    task = asyncio.create_task(run_hospital(configuration, until_finished=until_finished))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        print("stopped; start it again to go on where it was", file=sys.stderr)
    return 0
