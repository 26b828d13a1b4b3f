"""The study file: one commented YAML that a coordinator writes, every hospital reads, and the ledger knows by digests.

From the file follow, without any choice left, the terms that hospitals approve: the code's digest, the schema's, the
first model's. A hospital computes them from its own copy and compares them with what the ledger holds.
"""
