"""The demo's rewards: earned on the ledger, endorsed by its peers, paid on a public chain that verifies them."""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from consilium_demo import anvil
from consilium_demo.anvil import Anvil
from consilium_demo.processes import StepError, run, run_each, run_json
from consilium_demo.scenario import HospitalFiles
from consilium_peers.ethereum.bridge.account import load_account
from consilium_peers.ethereum.bridge.public_bridge import PublicBridge
from consilium_proto.ethereum.amounts import tokens_of_amount
from consilium_proto.ethereum.scalars import as_quantity, from_data

_DELAY_SECONDS = 3600
_ETHER = 10**18
_FORK = "osaka"


def public_chain() -> str:
    """Prepare a public chain on this machine; return why there will be none, or nothing."""
    missing = anvil.missing_node()
    if not missing:
        try:
            anvil.install_node_packages()
        except StepError as error:
            return str(error)
    return missing


def name_addresses(network: Path, hospitals: list[HospitalFiles]) -> None:
    """Make each hospital a key of its own for the public chain, and let it say on the ledger that it is paid there."""
    commands = []
    for files in hospitals:
        account = _new_account(files)
        commands.append(("reward", "address", "--set", account, "--profile", _profile(network, files.name, "admin")))
    run_each(commands)


def pay(network: Path, hospitals: list[HospitalFiles], folder: Path) -> dict[str, Any]:
    """Close the epoch, carry it to a bridge on a public chain and let every hospital claim.

    Returns:
        What result.json says of it.

    Raises:
        StepError: a step fails.
    """
    started = time.monotonic()
    client = _profile(network, hospitals[0].name, "client")
    epoch = str(run_json("reward", "close-epoch", "--profile", client)["epoch"])
    with Anvil(_FORK) as chain:
        for files in hospitals:
            chain.node.ask("anvil_setBalance", _account(files), hex(_ETHER))
        bridge = _bridge(network, hospitals, folder, chain)
        carried = folder / "epoch.json"
        print(run("evm", "bridge", "export", epoch, "--out", carried, "--profile", client), end="")
        submitted = run_json("evm", "bridge", "submit", carried, *_paid_by(hospitals[0], chain))
        chain.pass_time(_DELAY_SECONDS)
        claims = _claims(network, hospitals, carried, chain)
        balances = _balances(client, hospitals, PublicBridge(chain.node, from_data(bridge)))
    gas = [claim["gas_used"] for claim in claims]
    print(
        f"epoch {epoch} carried over for {submitted['gas_used']} gas, {len(claims)} claims for at most {max(gas)} gas\n"
        + "\n".join(f"{name}: {each['ledger']} earned, {each['chain']} paid" for name, each in balances.items())
    )
    return {
        "epoch_gas": submitted["gas_used"],
        "claim_gas": max(gas),
        "balances_agree": all(each["ledger"] == each["chain"] for each in balances.values()),
        "balances": balances,
        "endorsements": len(hospitals) // 2 + 1,
        "seconds": time.monotonic() - started,
    }


def _bridge(network: Path, hospitals: list[HospitalFiles], folder: Path, chain: Anvil) -> str:
    """Deploy a bridge, let the hospitals approve it, and return its address."""
    first, terms = hospitals[0], folder / "bridge-terms.yaml"
    words = ("--profile", _profile(network, first.name, "client"), "--out", terms, "--delay", str(_DELAY_SECONDS))
    roots = network / "organizations" / first.name / "channel" / "roots.pem"
    deployed = run_json("evm", "bridge", "deploy", *words, "--roots", roots, *_paid_by(first, chain))
    approving = hospitals[: len(hospitals) // 2 + 1]
    run_each([("evm", "terms", "approve", terms, "--profile", _profile(network, h.name, "admin")) for h in approving])
    print(run("evm", "terms", "enact", terms, "--profile", _profile(network, first.name, "client")), end="")
    return str(deployed["address"])


def _claims(network: Path, hospitals: list[HospitalFiles], carried: Path, chain: Anvil) -> list[dict[str, Any]]:
    """Let every hospital claim what it earned and report that to the ledger; return what each claim took."""
    commands: list[tuple[str | Path, ...]] = []
    for files in hospitals:
        reporting = ("--profile", _profile(network, files.name, "client"), "--json")
        commands.append(("evm", "bridge", "claim", carried, *reporting, *_paid_by(files, chain)))
    return [json.loads(answer) for answer in run_each(commands)]


def _paid_by(files: HospitalFiles, chain: Anvil) -> tuple[str | Path, ...]:
    return ("--rpc", chain.url, "--key-file", _key_file(files))


def _balances(client: Path, hospitals: list[HospitalFiles], bridge: PublicBridge) -> dict[str, dict[str, str]]:
    """Return each hospital's tokens on the ledger and on the public chain."""
    earned = {each["hospital"]: each for each in run_json("reward", "balance", "--profile", client)}
    return {
        files.name: {
            "ledger": earned[files.msp_id]["balance"],
            "chain": tokens_of_amount(as_quantity(bridge.balance(from_data(_account(files).lower())))),
        }
        for files in hospitals
    }


def _key_file(files: HospitalFiles) -> Path:
    return files.folder / "payout.key"


def _new_account(files: HospitalFiles) -> str:
    path = _key_file(files)
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return _account(files)


def _account(files: HospitalFiles) -> str:
    """Return the address of a hospital's key, with its checksum."""
    return str(load_account(_key_file(files), None, str).address)


def _profile(network: Path, organization: str, user: str) -> Path:
    return network / "organizations" / organization / "profiles" / f"{user}.yaml"
