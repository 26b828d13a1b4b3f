"""The token on py-evm, in that package's own environment: its newest rules, its own chain, a state in memory.

Both sides are told who sent a transaction, so no signature is verified. Blocks aren't closed: py-evm hashes no tries
and writes nothing to its database while it is timed.
"""

from __future__ import annotations

from importlib.metadata import version

from eth.chains.base import MiningChain
from eth.db.atomic import AtomicDB
from eth.vm.forks.prague import PragueVM
from eth.vm.spoof import SpoofTransaction

from consilium_bench.child import answer, arguments_of, say
from consilium_bench.evm_rate import token_work
from consilium_bench.evm_rate.token_work import Call, Outcome

# EIP-155's of the chain. The signature itself is none: the sender is told.
_RECOVERY_ID = 2 * token_work.CHAIN_ID + 35


class Chain:
    """A chain whose first block is never closed."""

    def __init__(self) -> None:
        kind = MiningChain.configure("MeasuredChain", vm_configuration=((0, PragueVM),), chain_id=token_work.CHAIN_ID)
        header = {
            "difficulty": 0,
            "gas_limit": token_work.BLOCK_GAS,
            "timestamp": token_work.TIMESTAMP - 12,
            "base_fee_per_gas": token_work.BASE_FEE,
        }
        sender = {"balance": token_work.BALANCE, "nonce": 0, "code": b"", "storage": {}}
        chain = kind.from_genesis(AtomicDB(), header, {token_work.SENDER: sender})
        self._vm = chain.get_vm()
        self._builder = self._vm.get_transaction_builder()
        self._header = self._vm.get_header().copy(base_fee_per_gas=token_work.BASE_FEE)

    def execute(self, call: Call) -> Outcome:
        """Execute a transaction as the part of a block."""
        signed = self._builder.new_transaction(
            call.nonce, token_work.GAS_PRICE, call.gas, call.to or b"", 0, call.data, v=_RECOVERY_ID, r=1, s=1
        )
        # Its own check of form would recover the sender from the signature.
        told = SpoofTransaction(signed, sender=token_work.SENDER, validate=lambda: None)
        receipt, computation = self._vm.apply_transaction(self._header, told)
        contract = None if call.to else computation.msg.storage_address
        return Outcome(int(computation.is_success), receipt.gas_used, computation.output, contract)


def main() -> None:
    """Run as a child of the benchmark."""
    given = arguments_of()
    say(f"py-evm {version('py-evm')}")
    answer(token_work.play(Chain().execute, given["count"]) | {"version": version("py-evm")})


if __name__ == "__main__":
    main()
