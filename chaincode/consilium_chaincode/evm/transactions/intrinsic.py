"""What a transaction costs before anything runs, and the least that its data costs in all (EIP-7623)."""

from __future__ import annotations

from typing import NamedTuple

from consilium_chaincode.evm.gas import (
    ACCESS_LIST_ADDRESS_COST,
    ACCESS_LIST_STORAGE_KEY_COST,
    PER_EMPTY_ACCOUNT_COST,
    STANDARD_TOKEN_COST,
    TOKENS_PER_NONZERO_BYTE,
    TOTAL_COST_FLOOR_PER_TOKEN,
    TX_BASE_COST,
    TX_CREATE_COST,
    init_code_cost,
)
from consilium_chaincode.evm.transactions.forms import Transaction


class IntrinsicGas(NamedTuple):
    """Gas that is gone before execution starts, and the floor below which the whole transaction can't cost."""

    charged: int
    floor: int


def intrinsic_gas(transaction: Transaction) -> IntrinsicGas:
    """Return what the transaction itself costs."""
    data = transaction.data
    zeros = data.count(0)
    tokens = zeros + TOKENS_PER_NONZERO_BYTE * (len(data) - zeros)
    charged = TX_BASE_COST + STANDARD_TOKEN_COST * tokens
    if transaction.to is None:
        charged += TX_CREATE_COST + init_code_cost(len(data))
    for access in transaction.access_list:
        charged += ACCESS_LIST_ADDRESS_COST + ACCESS_LIST_STORAGE_KEY_COST * len(access.slots)
    charged += PER_EMPTY_ACCOUNT_COST * len(transaction.authorizations)
    return IntrinsicGas(charged, TX_BASE_COST + TOTAL_COST_FLOOR_PER_TOKEN * tokens)
