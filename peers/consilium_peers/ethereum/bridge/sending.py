"""Sends transactions to a public chain: asked beforehand what they would do, priced, signed, and waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consilium_peers.ethereum.bridge.chain_node import ChainNode, call_object
from consilium_peers.ethereum.bridge.interface import BridgeInterface
from consilium_peers.ethereum.errors import BridgeRefusedError, ChainError
from consilium_proto.ethereum.scalars import as_data
from consilium_proto.rewards.addresses import with_checksum

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

# What is executed may take a little more than was estimated a block earlier.
_GAS_MARGIN_PERCENT = 15
# Twice the base fee is enough for six full blocks in a row (EIP-1559 raises it by an eighth at most).
_BASE_FEE_FACTOR = 2
_DEFAULT_TIP = 10**9

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that is in a block: its hash, the gas that it took, what it cost (wei), a contract it created."""

    transaction: str
    gas_used: int
    cost: int
    contract: bytes | None


@dataclass(frozen=True, slots=True)
class _Price:
    """The fields of a transaction that say what it pays, and the most wei that a unit of gas costs."""

    fields: dict[str, int]
    highest: int


class Payer:
    """An account with a key, on one chain."""

    def __init__(self, node: ChainNode, account: LocalAccount) -> None:
        self.node = node
        self._account = account

    @property
    def address(self) -> bytes:
        """The account's address (20 bytes)."""
        return bytes.fromhex(self._account.address[2:])

    def send(self, to: bytes | None, data: bytes, say: Say) -> Sent:
        """Send a transaction and wait until it is in a block; what would fail is refused before it is sent.

        Args:
            to: the contract; None creates one.
            data: the call, or what creates the contract.
            say: is told what it will cost before anything is sent.

        Raises:
            BridgeRefusedError: the contract would refuse it, or did after all.
            ChainError: the chain can't be asked, or the account can't pay.
        """
        gas = self._estimate(to, data)
        price = self._price()
        say(
            f"about {gas} gas, at most {ether(gas * price.highest)} ETH, paid by {with_checksum(as_data(self.address))}"
        )
        fields: dict[str, Any] = {
            "chainId": self.node.chain_id(),
            "nonce": self.node.number("eth_getTransactionCount", as_data(self.address), "pending"),
            "gas": gas + gas * _GAS_MARGIN_PERCENT // 100,
            "value": 0,
            "data": data,
            **price.fields,
        }
        if to is not None:
            fields["to"] = with_checksum(as_data(to))
        signed = self._account.sign_transaction(fields)
        sent = self.node.ask("eth_sendRawTransaction", as_data(bytes(signed.raw_transaction)))
        say(f"sent as {sent}")
        return self._mined(str(sent))

    def _estimate(self, to: bytes | None, data: bytes) -> int:
        try:
            return self.node.number("eth_estimateGas", call_object(to, data, self.address))
        except ChainError as error:
            if error.data:
                raise BridgeInterface.shared().refusal(error.data) from None
            raise

    def _price(self) -> _Price:
        block = self.node.ask("eth_getBlockByNumber", "latest", False)
        base = block.get("baseFeePerGas") if isinstance(block, dict) else None
        if base is None:
            price = self.node.number("eth_gasPrice")
            return _Price({"gasPrice": price}, price)
        try:
            tip = self.node.number("eth_maxPriorityFeePerGas")
        except ChainError:
            tip = _DEFAULT_TIP
        highest = _BASE_FEE_FACTOR * int(base, 16) + tip
        return _Price({"maxFeePerGas": highest, "maxPriorityFeePerGas": tip}, highest)

    def _mined(self, transaction: str) -> Sent:
        receipt = self.node.receipt(transaction)
        gas_used = int(receipt["gasUsed"], 16)
        if int(receipt["status"], 16) != 1:
            raise BridgeRefusedError(
                f"transaction {transaction} was sent, took {gas_used} gas and failed: another one came before it"
            )
        contract = receipt.get("contractAddress")
        return Sent(
            transaction=transaction.lower(),
            gas_used=gas_used,
            cost=gas_used * int(receipt.get("effectiveGasPrice", "0x0"), 16),
            contract=None if contract is None else bytes.fromhex(contract[2:]),
        )


def ether(wei: int) -> str:
    """Return an amount of wei in ether."""
    return f"{wei / 10**18:.6f}"
