"""A client's way to the ledger: identities, proposals, commits, events."""
