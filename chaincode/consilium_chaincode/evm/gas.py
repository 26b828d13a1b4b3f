"""What things cost. Names as in the EIP that set them, or in the yellow paper's appendix G."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilium_chaincode.evm.errors import OutOfGas
from consilium_chaincode.evm.words import words_of

if TYPE_CHECKING:
    from consilium_chaincode.evm.frame import Frame

# Yellow paper, appendix G
GAS_JUMPDEST = 1
GAS_BASE = 2
GAS_VERY_LOW = 3
GAS_LOW = 5
GAS_MID = 8
GAS_HIGH = 10
GAS_MEMORY = 3
GAS_QUADRATIC_DIVISOR = 512
GAS_COPY = 3
GAS_KECCAK256 = 30
GAS_KECCAK256_WORD = 6
GAS_BLOCK_HASH = 20
GAS_LOG = 375
GAS_LOG_DATA = 8
GAS_LOG_TOPIC = 375
GAS_CREATE = 32_000
GAS_CODE_DEPOSIT = 200
GAS_CALL_VALUE = 9_000
GAS_CALL_STIPEND = 2_300
GAS_NEW_ACCOUNT = 25_000
GAS_EXP = 10
TX_BASE_COST = 21_000
TX_CREATE_COST = 32_000

# EIP-150: a call keeps one part in 64 back
CALL_GAS_DIVISOR = 64
SELFDESTRUCT_GAS = 5_000

# EIP-160
EXP_BYTE_GAS = 50

# EIP-170 and EIP-3860
MAX_CODE_SIZE = 0x6000
MAX_INITCODE_SIZE = 2 * MAX_CODE_SIZE
INITCODE_WORD_COST = 2

# EIP-1884
SELFBALANCE_GAS = 5

# EIP-2200, EIP-2929 and EIP-3529
COLD_SLOAD_COST = 2_100
COLD_ACCOUNT_ACCESS_COST = 2_600
WARM_STORAGE_READ_COST = 100
SSTORE_SET_GAS = 20_000
SSTORE_RESET_GAS = 5_000 - COLD_SLOAD_COST
SSTORE_SENTRY_GAS = 2_300
SSTORE_CLEARS_SCHEDULE = 4_800
MAX_REFUND_QUOTIENT = 5

# EIP-2930
ACCESS_LIST_ADDRESS_COST = 2_400
ACCESS_LIST_STORAGE_KEY_COST = 1_900

# EIP-1153
TRANSIENT_STORAGE_COST = 100

# EIP-4844
HASH_OPCODE_GAS = 3

# EIP-7623
STANDARD_TOKEN_COST = 4
TOTAL_COST_FLOOR_PER_TOKEN = 10
TOKENS_PER_NONZERO_BYTE = 4

# EIP-7702
PER_EMPTY_ACCOUNT_COST = 25_000
PER_AUTH_BASE_COST = 12_500

# EIP-7825
TRANSACTION_GAS_LIMIT_CAP = 1 << 24

# EIP-7939
CLZ_GAS = 5

# Precompiled contracts: yellow paper appendix E, EIP-152, 196, 197 and 1108, 2537, 4844, 7823 and 7883, 7951
ECRECOVER_GAS = 3_000
SHA256_GAS, SHA256_WORD_GAS = 60, 12
RIPEMD160_GAS, RIPEMD160_WORD_GAS = 600, 120
IDENTITY_GAS, IDENTITY_WORD_GAS = 15, 3
MODEXP_MIN_GAS = 500
BN254_ADD_GAS = 150
BN254_MUL_GAS = 6_000
BN254_PAIRING_GAS, BN254_PAIRING_PAIR_GAS = 45_000, 34_000
BLAKE2F_ROUND_GAS = 1
POINT_EVALUATION_GAS = 50_000
BLS12_G1ADD_GAS, BLS12_G1MUL_GAS, BLS12_MAP_FP_TO_G1_GAS = 375, 12_000, 5_500
BLS12_G2ADD_GAS, BLS12_G2MUL_GAS, BLS12_MAP_FP2_TO_G2_GAS = 600, 22_500, 23_800
BLS12_PAIRING_GAS, BLS12_PAIRING_PAIR_GAS = 37_700, 32_600
P256VERIFY_GAS = 6_900


def charge_gas(frame: Frame, amount: int) -> None:
    """Take gas before anything that depends on it is done.

    Raises:
        OutOfGas: less is left.
    """
    if frame.gas < amount:
        raise OutOfGas(f"{amount} gas needed, {frame.gas} left")
    frame.gas -= amount


def memory_cost(words: int) -> int:
    """Return what a memory of so many words costs in all."""
    return GAS_MEMORY * words + words * words // GAS_QUADRATIC_DIVISOR


def copy_cost(size: int) -> int:
    """Return what copying `size` bytes costs, besides the memory."""
    return GAS_COPY * words_of(size)


def init_code_cost(size: int) -> int:
    """Return what analysing `size` bytes of init code costs (EIP-3860)."""
    return INITCODE_WORD_COST * words_of(size)


def all_but_one_64th(gas: int) -> int:
    """Return how much of the gas a frame may pass on at most (EIP-150)."""
    return gas - gas // CALL_GAS_DIVISOR
