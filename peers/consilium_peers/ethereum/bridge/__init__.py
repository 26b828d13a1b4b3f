"""The way to the bridge on a public chain: endorsements of the ledger's answers, and the contract that verifies them."""
