"""A node of a public chain, asked over JSON-RPC as every Ethereum client asks it."""

from __future__ import annotations

import http.client
import itertools
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from consilium_peers.ethereum.errors import ChainError
from consilium_proto.ethereum.scalars import as_data

ASK_SECONDS = 30.0
RECEIPT_SECONDS = 300.0
_POLL_SECONDS = 0.25
_MOST_BYTES = 32 << 20


class ChainNode:
    """One endpoint. Every call has a deadline; none is repeated."""

    def __init__(self, url: str) -> None:
        """Take the endpoint's address.

        Raises:
            ChainError: it isn't one of http or https.
        """
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ChainError(f"{url!r} isn't a JSON-RPC endpoint; expected http://… or https://…")
        self._url = url
        self._numbers = itertools.count(1)

    def ask(self, method: str, *parameters: Any) -> Any:
        """Send one request and return its result.

        Raises:
            ChainError: no answer in time, none that is JSON-RPC, or an error; its `data` is what a contract said.
        """
        body = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": parameters}
        headers = {"Content-Type": "application/json", "User-Agent": "consilium"}
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)  # noqa: S310, checked above
        try:
            with urllib.request.urlopen(request, timeout=ASK_SECONDS) as response:  # noqa: S310
                answer = json.loads(response.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            raise ChainError(f"{self.host} answered {method} with HTTP status {error.code}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ChainError(f"{self.host} can't be asked {method}: {error}") from None
        return self._result(method, answer)

    @property
    def host(self) -> str:
        """The endpoint without its path and query, where providers put keys."""
        parts = urllib.parse.urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")

    def chain_id(self) -> int:
        """Return the chain's id."""
        return self.number("eth_chainId")

    def number(self, method: str, *parameters: Any) -> int:
        """Ask for a number."""
        return _number(self.ask(method, *parameters), method)

    def data(self, method: str, *parameters: Any) -> bytes:
        """Ask for bytes."""
        return _bytes(self.ask(method, *parameters), method)

    def call(self, to: bytes, data: bytes, sender: bytes | None = None) -> bytes:
        """Call a contract, which changes nothing.

        Raises:
            ChainError: it reverted, or wasn't asked.
        """
        return self.data("eth_call", call_object(to, data, sender), "latest")

    def code(self, address: bytes) -> bytes:
        """Return what code lies at an address; nothing where there is none."""
        return self.data("eth_getCode", as_data(address), "latest")

    def time(self) -> int:
        """Return the time of the chain's last block, in seconds since 1970."""
        block = self.ask("eth_getBlockByNumber", "latest", False)
        if not isinstance(block, dict):
            raise ChainError(f"{self.host} has no last block")
        return _number(block.get("timestamp"), "eth_getBlockByNumber")

    def receipt(self, transaction: str, seconds: float = RECEIPT_SECONDS) -> dict[str, Any]:
        """Wait until a transaction is in a block.

        Raises:
            ChainError: it isn't after so many seconds. It may still be.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.ask("eth_getTransactionReceipt", transaction)
            if isinstance(found, dict):
                return found
            time.sleep(_POLL_SECONDS)
        raise ChainError(f"transaction {transaction} isn't in a block after {seconds:.0f} s; it may still get into one")

    def _result(self, method: str, answer: Any) -> Any:
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise ChainError(f"{self.host} doesn't answer {method} as JSON-RPC does")
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        if not isinstance(error, dict):
            raise ChainError(f"{self.host} answered {method} with the error {error!r}")
        data = error.get("data")
        # Some nodes wrap what the contract said once more.
        if isinstance(data, dict):
            data = data.get("data")
        return_data = data if isinstance(data, str) and data.startswith("0x") else ""
        raise ChainError(f"{self.host} refused {method}: {error.get('message')}", return_data)


def call_object(to: bytes | None, data: bytes, sender: bytes | None) -> dict[str, str]:
    """Return a call or transaction as JSON-RPC writes it; without `to` it creates a contract."""
    fields = {"to": to, "from": sender, "data": data}
    return {name: as_data(value) for name, value in fields.items() if value is not None}


def _number(value: Any, method: str) -> int:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise ChainError(f"{value!r} in answer to {method} isn't a number") from None


def _bytes(value: Any, method: str) -> bytes:
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise ChainError(f"{value!r} in answer to {method} isn't bytes") from None
