"""What encryption, verification and the ledger cost, against their targets and against NVIDIA FLARE: `make bench`."""
