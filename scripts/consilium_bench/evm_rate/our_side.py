"""The token on Consilium's EVM, by the generator that chaincode drives; the state is a table of keys and values."""

from __future__ import annotations

from consilium_bench.child import answer, arguments_of, say
from consilium_bench.evm_rate import token_work
from consilium_bench.evm_rate.token_work import Call, Outcome
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.state_keys import Account, AccountKey, StateKey
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.processing import Receipt, process_transaction


class Ledger:
    """Keys and values, as the chaincode reads and writes them."""

    def __init__(self) -> None:
        self._values: dict[StateKey, bytes] = {
            AccountKey(token_work.SENDER): Account(0, token_work.BALANCE, b"").encode()
        }
        self._environment = Environment(
            chain_id=token_work.CHAIN_ID,
            number=1,
            timestamp=token_work.TIMESTAMP,
            gas_limit=token_work.BLOCK_GAS,
            base_fee=token_work.BASE_FEE,
        )

    def execute(self, call: Call) -> Outcome:
        """Execute a transaction and apply its changes."""
        transaction = Transaction(
            to=call.to,
            gas=call.gas,
            data=call.data,
            nonce=call.nonce,
            max_fee=token_work.GAS_PRICE,
            max_priority_fee=token_work.GAS_PRICE,
        )
        receipt = self._answered(transaction)
        for key, value in receipt.changes.items():
            if value:
                self._values[key] = value
            else:
                self._values.pop(key, None)
        return Outcome(receipt.status, receipt.gas_used, receipt.output, receipt.contract)

    def _answered(self, transaction: Transaction) -> Receipt:
        reading = process_transaction(self._environment, transaction, token_work.SENDER)
        try:
            key = next(reading)
            while True:
                key = reading.send(self._values.get(key, b""))
        except StopIteration as stopped:
            receipt: Receipt = stopped.value
            return receipt


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    say("Consilium's EVM")
    answer(token_work.play(Ledger().execute, given["count"]))


if __name__ == "__main__":
    main()
