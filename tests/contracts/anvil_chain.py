"""A public chain for tests: the demo's, with web3 to deploy and call contracts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from web3 import Web3
from web3.contract import Contract
from web3.types import TxReceipt

from consilium_demo.anvil import Anvil, missing_node
from consilium_peers.ethereum.errors import ChainError
from consilium_proto.contracts import Artifact, load_artifact
from consilium_proto.rewards.keccak import keccak256

NODE_REASON = missing_node()
NODE_MISSING = bool(NODE_REASON)
P256VERIFY = "0x0000000000000000000000000000000000000100"


class AnvilChain(Anvil):
    """A running chain, and an account on it with money."""

    def __init__(self, hardfork: str) -> None:
        super().__init__(hardfork)
        self.web3 = Web3(Web3.HTTPProvider(self.url))
        self.payer = self.web3.eth.accounts[0]

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

    def request(self, method: str, *parameters: object) -> Any:
        """Send one request, and return its result."""
        return self.node.ask(method, *parameters)


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
            return known["name"] if known else f"{error} {error.data[:74]}"
        return ""
