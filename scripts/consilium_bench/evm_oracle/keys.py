"""Keys of the random senders, and the transactions that they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import coincurve

from consilium_chaincode.evm import rlp
from consilium_chaincode.evm.delegation import Authorization
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.signatures import Signature
from consilium_chaincode.evm.transactions.forms import Transaction, TransactionType

_AUTHORIZATION_MAGIC = b"\x05"


@dataclass(frozen=True)
class Key:
    """A private key over secp256k1, and its address (20 bytes)."""

    private: coincurve.PrivateKey
    address: bytes

    @classmethod
    def of_number(cls, number: int) -> Key:
        """Return the key that is a number."""
        private = coincurve.PrivateKey.from_int(number)
        return cls(private, keccak256(private.public_key.format(compressed=False)[1:])[12:])

    def sign(self, digest: bytes) -> Signature:
        """Sign a digest of 32 bytes."""
        signed = self.private.sign_recoverable(digest, hasher=None)
        return Signature(signed[64], int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big"))

    def authorize(self, chain_id: int, address: bytes, nonce: int) -> Authorization:
        """Permit that this account runs another one's code (EIP-7702)."""
        content = [rlp.encode_number(chain_id), address, rlp.encode_number(nonce)]
        return Authorization(chain_id, address, nonce, self.sign(keccak256(_AUTHORIZATION_MAGIC + rlp.encode(content))))


def sign_transaction(key: Key, transaction: Transaction, chain_id: int) -> bytes:
    """Return a signed transaction's bytes, a legacy one's for this chain alone (EIP-155)."""
    kind = transaction.type
    fields = _signed_fields(transaction, chain_id)
    if kind is TransactionType.LEGACY:
        digest = keccak256(rlp.encode([*fields, rlp.encode_number(chain_id), b"", b""]))
        y_parity, r, s = key.sign(digest)
        return rlp.encode([*fields, *_numbers(35 + 2 * chain_id + y_parity, r, s)])
    prefix = bytes([kind])
    signature = key.sign(keccak256(prefix + rlp.encode(fields)))
    return prefix + rlp.encode([*fields, *_numbers(*signature)])


def _signed_fields(transaction: Transaction, chain_id: int) -> list[rlp.Item]:
    fees: list[int] = [transaction.max_fee]
    if transaction.type in (TransactionType.FEE_MARKET, TransactionType.SET_CODE):
        fees.insert(0, transaction.max_priority_fee)
    content: list[rlp.Item] = [
        *_numbers(transaction.nonce or 0, *fees, transaction.gas),
        transaction.to or b"",
        *_numbers(transaction.value),
        transaction.data,
    ]
    if transaction.type is TransactionType.LEGACY:
        return content
    accesses: list[rlp.Item] = [
        [access.address, [slot.to_bytes(32, "big") for slot in access.slots]] for access in transaction.access_list
    ]
    content = [*_numbers(chain_id), *content, accesses]
    if transaction.type is TransactionType.SET_CODE:
        content.append([_authorization(each) for each in transaction.authorizations])
    return content


def _authorization(authorization: Authorization) -> Sequence[rlp.Item]:
    chain_id, nonce = _numbers(authorization.chain_id, authorization.nonce)
    return [chain_id, authorization.address, nonce, *_numbers(*authorization.signature)]


def _numbers(*numbers: int) -> list[rlp.Item]:
    return [rlp.encode_number(number) for number in numbers]
