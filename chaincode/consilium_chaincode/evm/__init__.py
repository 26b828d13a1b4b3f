"""An Ethereum Virtual Machine, Osaka rules: a pure interpreter that asks for the state it needs and does no I/O.

Start at `execution.py`. `interpreter.py` runs frames, `instructions/` has a file for each family, `precompiles/` one
for each contract, `transactions/` what comes before and after.
"""
