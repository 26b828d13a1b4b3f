"""The aggregator: takes ciphertexts, adds them up, holds no key."""
