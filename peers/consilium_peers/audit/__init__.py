"""What auditors ask of the ledger, answered out of its blocks: one file per question, rows of plain values out."""
