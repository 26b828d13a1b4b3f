"""A server of Ethereum's JSON-RPC as its own process, and what programs do with it through web3.py."""

from __future__ import annotations

import json
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

CONTRACTS = Path(__file__).parent / "contracts"
WAIT_SECONDS = 60
_START_SECONDS = 30


class ServedRpc:
    """`consilium evm serve` on a free port."""

    def __init__(self, profile: Path, *options: str) -> None:
        words = ["evm", "serve", "--profile", str(profile), "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "consilium_command", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self._url()
            self.web3 = Web3(Web3.HTTPProvider(self.url, request_kwargs={"timeout": WAIT_SECONDS}))
            self.chain_id = self.web3.eth.chain_id
        except BaseException:
            self.kill()
            raise

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line)
            self._lines.put(line)

    def _url(self) -> str:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if found := re.search(r"listening on (http://\S+) and", line):
                return found[1]
        raise AssertionError(f"the server didn't start: {''.join(self.said)}")

    def stop(self) -> int:
        """Let it end as Ctrl-C does; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(WAIT_SECONDS)
        self._reader.join(5)
        return code

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()

    def request(self, method: str, *parameters: Any) -> Any:
        """Return the whole answer."""
        return self.web3.provider.make_request(method, list(parameters))  # type: ignore[arg-type]

    def receipt(self, transaction: Any) -> TxReceipt:
        """Wait until a transaction is committed."""
        return self.web3.eth.wait_for_transaction_receipt(transaction, timeout=WAIT_SECONDS, poll_latency=0.02)

    def deploy(self, account: LocalAccount, name: str, *arguments: Any) -> Contract:
        """Deploy one of the tests' contracts."""
        made = self.web3.eth.contract(**artifact(name))
        receipt = self.transact(account, made.constructor(*arguments))
        return self.web3.eth.contract(address=receipt["contractAddress"], abi=artifact(name)["abi"])

    def transact(self, account: LocalAccount, call: Any) -> TxReceipt:
        """Send a call as web3.py fills it in, and wait for its receipt."""
        receipt = self.receipt(self.send(account, call))
        assert receipt["status"] == 1, receipt
        return receipt

    def send(self, account: LocalAccount, call: Any, **fields: Any) -> Any:
        """Sign and send a call; what isn't given is what web3.py asks the server for."""
        nonce = self.web3.eth.get_transaction_count(account.address, "pending")
        filled = call.build_transaction({"from": account.address, "nonce": nonce, **fields})
        return self.web3.eth.send_raw_transaction(account.sign_transaction(filled).raw_transaction)


def artifact(name: str) -> dict[str, Any]:
    """Return interface and creation code as web3.py takes them."""
    content = json.loads((CONTRACTS / f"{name}.json").read_text())
    return {"abi": content["abi"], "bytecode": content["creationCode"]}


def fresh_key() -> LocalAccount:
    """Return a key that nobody has used."""
    return Account.create()  # type: ignore[no-any-return]
