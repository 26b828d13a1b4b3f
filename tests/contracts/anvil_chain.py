"""A public chain on this machine: Foundry's Anvil, from the npm packages that the contracts' folder locks."""

from __future__ import annotations

import json
import platform
import queue
import re
import shutil
import subprocess
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from consilium_proto.contracts import Artifact, load_artifact
from consilium_proto.rewards.keccak import keccak256

FOLDER = Path(__file__).parents[2] / "chaincode" / "contracts"
OLDEST_NODE = 20
NODE_MISSING = shutil.which("npm") is None
NODE_REASON = f"the contracts' tests need Node.js {OLDEST_NODE} or newer with npm"
P256VERIFY = "0x0000000000000000000000000000000000000100"
_PLATFORMS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_START_SECONDS = 20
_INSTALL_SECONDS = 300


def install_node_packages() -> None:
    """Bring node_modules to what the lock says, unless it is that already."""
    installed, lock = FOLDER / "node_modules" / ".package-lock.json", FOLDER / "package-lock.json"
    if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    done = subprocess.run(
        ["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
    )
    assert done.returncode == 0, f"npm ci failed:\n{done.stderr[-2000:]}"


def anvil_program() -> Path:
    machine = f"{platform.system().lower()}-{_PLATFORMS[platform.machine().lower()]}"
    return FOLDER / "node_modules" / "@foundry-rs" / f"anvil-{machine}" / "bin" / "anvil"


class AnvilChain:
    """A running chain, and an account on it with money."""

    def __init__(self, hardfork: str) -> None:
        self._process = subprocess.Popen(
            [str(anvil_program()), "--host", "127.0.0.1", "--port", "0", "--hardfork", hardfork],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
            self.web3 = Web3(Web3.HTTPProvider(self.url))
            self.payer = self.web3.eth.accounts[0]
        except BaseException:
            self.stop()
            raise

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)

    def _port(self) -> int:
        said: list[str] = []
        while True:
            try:
                said.append(self._lines.get(timeout=_START_SECONDS))
            except queue.Empty:
                raise AssertionError(f"anvil didn't start: {''.join(said)}") from None
            if found := re.search(r"Listening on 127\.0\.0\.1:(\d+)", said[-1]):
                return int(found[1])

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def deploy(self, name: str, *arguments: object, sender: str | None = None) -> Deployed:
        artifact = load_artifact(name)
        made = self.web3.eth.contract(abi=list(artifact.abi), bytecode=artifact.creation_code)
        receipt = self._mined(made.constructor(*arguments).transact({"from": sender or self.payer}))
        contract = self.web3.eth.contract(address=receipt["contractAddress"], abi=list(artifact.abi))
        return Deployed(self, artifact, contract, receipt["gasUsed"])

    def _mined(self, transaction: Any) -> TxReceipt:
        receipt = self.web3.eth.wait_for_transaction_receipt(transaction, timeout=30, poll_latency=0.01)
        assert receipt["status"] == 1, f"the transaction failed: {receipt}"
        return receipt

    def transact(self, call: Any, sender: str | None = None) -> TxReceipt:
        return self._mined(call.transact({"from": sender or self.payer}))

    def pass_time(self, seconds: int) -> None:
        self.request("evm_increaseTime", seconds)
        self.request("evm_mine")

    def request(self, method: str, *parameters: object) -> Any:
        """Send one request, and return the whole answer's result or the error's data."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
        question = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(question, timeout=30) as response:
            answer = json.loads(response.read())
        if "error" in answer:
            raise ChainError(answer["error"].get("data") or "", answer["error"]["message"])
        return answer["result"]


class ChainError(Exception):
    """An error that the chain answered: the data that a contract reverted with, and the message."""

    def __init__(self, data: str, message: str) -> None:
        super().__init__(f"{message} ({data})")
        self.data = data
        self.message = message


@dataclass
class Deployed:
    """A contract on the chain."""

    chain: AnvilChain
    artifact: Artifact
    contract: Contract
    deployment_gas: int

    def __post_init__(self) -> None:
        self._errors = {
            keccak256(f"{each['name']}({','.join(part['type'] for part in each['inputs'])})".encode())[:4].hex(): each
            for each in self.artifact.abi
            if each["type"] == "error"
        }

    @property
    def address(self) -> bytes:
        return bytes.fromhex(self.contract.address[2:])

    def refusal(self, call: Any, sender: str | None = None) -> str:
        """Return the name of the error that a call is refused with; empty if it isn't refused."""
        data = call._encode_transaction_data()
        try:
            self.chain.request(
                "eth_call", {"from": sender or self.chain.payer, "to": self.contract.address, "data": data}, "latest"
            )
        except ChainError as error:
            known = self._errors.get(error.data[2:10])
            return known["name"] if known else f"{error.message} {error.data[:74]}"
        return ""
