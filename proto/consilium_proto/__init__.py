"""The wire format: ledger records, ciphertext chunks, the tree over them, the aggregator's service."""
