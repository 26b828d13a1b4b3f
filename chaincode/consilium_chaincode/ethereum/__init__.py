"""Chaincode `evm`: the EVM on the ledger, what the hospitals decide about it, rewards, the bridge's attestations."""
