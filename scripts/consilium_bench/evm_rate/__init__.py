"""How fast a token is minted and transferred on the EVM, beside py-evm."""
