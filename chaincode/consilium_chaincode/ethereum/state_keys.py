"""The name of every key that chaincode `evm` keeps on the ledger.

Accounts, codes and slots are keys of their own, so that two transactions of the EVM conflict only where they touch the
same. Addresses, slots and hashes are written as lower-case hex without 0x. The values of accounts, codes and slots are
the EVM's own bytes, all others are canonical records.
"""

from __future__ import annotations

from consilium_chaincode.evm.state_keys import AccountKey, CodeKey, StoredKey
from consilium_chaincode.shim.composite_keys import composite_key

RECEIPT_KIND = "receipt"
BRIDGE_DECISION_KIND = "bridge-decision"
RESOLUTION_APPROVAL_KIND = "resolution-approval"
ROUND_REWARD_KIND = "round-reward"
CLAIM_KIND = "claim"


def account(address: bytes) -> str:
    """An account of the EVM: nonce, balance, code hash."""
    return composite_key("account", address.hex())


def code(code_hash: bytes) -> str:
    """A contract's code by its hash; written once."""
    return composite_key("code", code_hash.hex())


def slot(address: bytes, number: int) -> str:
    """A slot of a contract's storage."""
    return composite_key("slot", address.hex(), f"{number:064x}")


def state(key: StoredKey) -> str:
    """The key on the ledger of what the interpreter asks for or changes."""
    if isinstance(key, AccountKey):
        return account(key.address)
    if isinstance(key, CodeKey):
        return code(key.code_hash)
    return slot(key.address, key.slot)


def receipt(transaction_hash: bytes) -> str:
    """The receipt of a transaction of the EVM, by its hash; written once, by that transaction."""
    return composite_key(RECEIPT_KIND, transaction_hash.hex())


def evm_terms() -> str:
    """The terms in force; written by Enact."""
    return composite_key("evm-terms")


def bridge_terms() -> str:
    """The bridge's terms in force; written by Enact."""
    return composite_key("bridge-terms")


def bridge_decision(bridge: int, number: int) -> str:
    """A decision about the bridge of that revision of its terms; written once by Enact."""
    return composite_key(BRIDGE_DECISION_KIND, str(bridge), str(number))


def resolution_approval(kind: str, number: int, digest: str, hospital: str) -> str:
    """One hospital's approval of one resolution; written by that hospital."""
    return composite_key(RESOLUTION_APPROVAL_KIND, kind, str(number), digest, hospital)


def reward_ledger() -> str:
    """The address of the contract that keeps the rewards; written once by Enact."""
    return composite_key("reward-ledger")


def round_reward(study: str, number: int) -> str:
    """What a round credited; written once by CreditRound."""
    return composite_key(ROUND_REWARD_KIND, study, str(number))


def payout_address(hospital: str) -> str:
    """Where a hospital is paid; written by that hospital's SetPayoutAddress."""
    return composite_key("payout-address", hospital)


def reward_epoch(number: int) -> str:
    """A closed epoch of rewards; written once by CloseEpoch."""
    return composite_key("reward-epoch", str(number))


def claim(epoch: int, index: int, hospital: str) -> str:
    """A hospital's word that a payout was claimed on the public chain."""
    return composite_key(CLAIM_KIND, str(epoch), str(index), hospital)
