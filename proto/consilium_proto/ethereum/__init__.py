"""What chaincode `evm` takes, answers and keeps: the EVM's terms, transactions and receipts, rewards, the bridge.

All are canonical records (`consilium_proto.canonical`); numbers that may pass 2^53, addresses, hashes and bytes are
written as Ethereum's JSON-RPC writes them (`scalars`).
"""
