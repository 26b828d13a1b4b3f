"""What people and scripts ask of the ledger from the command line."""
