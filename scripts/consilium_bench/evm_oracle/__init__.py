"""The EVM beside Ethereum's executable specification: random transactions on random states, and no difference."""
