"""Accounts that run another account's code (EIP-7702): the marker, and the authorisations that set it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilium_chaincode.evm import rlp
from consilium_chaincode.evm.errors import InvalidSignature
from consilium_chaincode.evm.gas import PER_AUTH_BASE_COST, PER_EMPTY_ACCOUNT_COST
from consilium_chaincode.evm.journal import Journal
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.signatures import Signature, recover_address
from consilium_chaincode.evm.state_keys import Reading

_MARKER = b"\xef\x01\x00"
_MARKED_LENGTH = 23
_MAGIC = b"\x05"
_MAX_NONCE = (1 << 64) - 1
_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True)
class Authorization:
    """An account's permission that it may run another account's code. Chain 0 stands for every chain."""

    chain_id: int
    address: bytes
    nonce: int
    signature: Signature

    def authority(self) -> bytes:
        """Return the address of who signed.

        Raises:
            InvalidSignature: nobody did.
        """
        content = [rlp.encode_number(self.chain_id), self.address, rlp.encode_number(self.nonce)]
        return recover_address(keccak256(_MAGIC + rlp.encode(content)), self.signature)


def delegate_of(code: bytes) -> bytes | None:
    """Return the address whose code is to run instead of this one, None for code that is none of a delegation."""
    if len(code) == _MARKED_LENGTH and code.startswith(_MARKER):
        return code[len(_MARKER) :]
    return None


def apply_authorizations(journal: Journal, chain_id: int, authorizations: Sequence[Authorization]) -> Reading[None]:
    """Set the delegations that are in order, pass over the others, and count the refunds for accounts that exist."""
    for authorization in authorizations:
        if authorization.chain_id not in (0, chain_id) or authorization.nonce >= _MAX_NONCE:
            continue
        try:
            authority = authorization.authority()
        except InvalidSignature:
            continue
        journal.warm_address(authority)
        code = yield from journal.code(authority)
        if code and delegate_of(code) is None:
            continue
        account = yield from journal.account(authority)
        if account.nonce != authorization.nonce:
            continue
        if not account.is_empty:
            journal.refund += PER_EMPTY_ACCOUNT_COST - PER_AUTH_BASE_COST
        ends = authorization.address == _NOBODY
        yield from journal.set_code(authority, b"" if ends else _MARKER + authorization.address)
        yield from journal.increment_nonce(authority)
