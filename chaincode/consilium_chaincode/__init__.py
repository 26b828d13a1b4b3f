"""What runs on the ledger: the chaincode shim and the federation contract."""
