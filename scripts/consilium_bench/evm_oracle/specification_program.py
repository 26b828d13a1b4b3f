"""Runs cases on `ethereum-execution`, in that package's own environment: JSON lines in, JSON lines out.

Nothing here can import Consilium: the specification needs an older `cryptography`. A case is what `cases.py` makes; an
answer is what `comparison.py` reads.
"""

import json
import sys
import threading
from typing import Any

from ethereum.crypto.hash import keccak256
from ethereum.exceptions import EthereumException
from ethereum.forks.osaka import fork, vm
from ethereum.forks.osaka.fork_types import Account, Address
from ethereum.forks.osaka.state import State, set_account, set_storage
from ethereum.forks.osaka.transactions import LegacyTransaction, decode_transaction
from ethereum.forks.osaka.vm.interpreter import MessageCallOutput
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException
from ethereum_types.bytes import Bytes32
from ethereum_types.numeric import U64, U256, Uint

# The specification recurses a few Python frames for each EVM call, 1024 deep.
RECURSION_LIMIT = 40_000
STACK_BYTES = 512 << 20

outputs: list[MessageCallOutput] = []
run_message = fork.process_message_call


def record_output(message: vm.Message) -> MessageCallOutput:
    """Keep what the outermost call returned: a receipt doesn't say it."""
    output = run_message(message)
    outputs.append(output)
    return output


fork.process_message_call = record_output


def load_state(accounts: dict[str, Any]) -> State:
    """Return a state with these accounts."""
    state = State()
    for name, account in accounts.items():
        address = Address(bytes.fromhex(name))
        content = Account(Uint(account["nonce"]), U256(account["balance"]), bytes.fromhex(account["code"]))
        set_account(state, address, content)
        for slot, word in account["storage"].items():
            set_storage(state, address, Bytes32(int(slot).to_bytes(32, "big")), U256(word))
    return state


def dump_state(state: State) -> dict[str, Any]:
    """Return every account of a state."""
    return {
        address.hex(): {
            "nonce": int(account.nonce),
            "balance": int(account.balance),
            "code": account.code.hex(),
            "storage": {
                str(int.from_bytes(slot, "big")): int(word)
                for slot, word in (
                    state._storage_tries[address]._data.items() if address in state._storage_tries else ()
                )
            },
        }
        for address, account in state._main_trie._data.items()
        if account is not None
    }


def load_environment(block: dict[str, Any], state: State) -> vm.BlockEnvironment:
    """Return the block; the hash of each one before it is the Keccak-256 of its number in 32 bytes."""
    number = block["number"]
    return vm.BlockEnvironment(
        chain_id=U64(block["chain_id"]),
        state=state,
        block_gas_limit=Uint(block["gas_limit"]),
        block_hashes=[keccak256(each.to_bytes(32, "big")) for each in range(max(number - 256, 0), number)],
        coinbase=Address(bytes.fromhex(block["coinbase"])),
        number=Uint(number),
        base_fee_per_gas=Uint(block["base_fee"]),
        time=U256(block["timestamp"]),
        prev_randao=Bytes32(bytes.fromhex(block["prev_randao"])),
        excess_blob_gas=U64(0),
        parent_beacon_block_root=Bytes32(bytes(32)),
    )


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    """Execute one case."""
    state = load_state(case["state"])
    environment = load_environment(case["environment"], state)
    raw = bytes.fromhex(case["raw"])
    outputs.clear()
    block_output = vm.BlockOutput()
    try:
        transaction = rlp.decode_to(LegacyTransaction, raw) if raw[0] >= 0xC0 else decode_transaction(raw)
        fork.process_transaction(environment, block_output, transaction, Uint(0))
    except (EthereumException, RLPException) as error:
        return {"invalid": type(error).__name__}
    (output,) = outputs
    return {
        "status": int(output.error is None),
        "error": type(output.error).__name__ if output.error else "",
        "gas_used": int(block_output.block_gas_used),
        "output": output.return_data.hex(),
        "logs": [
            [log.address.hex(), [topic.hex() for topic in log.topics], log.data.hex()]
            for log in block_output.block_logs
        ],
        "state": dump_state(state),
    }


def answer_lines() -> None:
    """Answer each line with a line."""
    for line in sys.stdin:
        print(json.dumps(run_case(json.loads(line))), flush=True)


if __name__ == "__main__":
    sys.setrecursionlimit(RECURSION_LIMIT)
    threading.stack_size(STACK_BYTES)
    worker = threading.Thread(target=answer_lines)
    worker.start()
    worker.join()
