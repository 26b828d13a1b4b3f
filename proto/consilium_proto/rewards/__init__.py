"""What both ledgers agree on about rewards: the tree over an epoch's payouts, and the attestations of it."""
