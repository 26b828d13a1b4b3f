"""Signed transactions from their bytes: every field in its one valid form, and the sender by its signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilium_chaincode.evm import rlp
from consilium_chaincode.evm.delegation import Authorization
from consilium_chaincode.evm.errors import InvalidSignature, MalformedTransaction, UnsupportedTransaction
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.signatures import Signature, recover_address
from consilium_chaincode.evm.transactions.forms import Access, Transaction, TransactionType

_FIRST_LIST_BYTE = 0xC0
_LEGACY_FIELDS = 9
_UNPROTECTED_V = 27
_PROTECTED_V = 35
_SIGNATURE_FIELDS = 3
_FIELDS = {TransactionType.ACCESS_LIST: 11, TransactionType.FEE_MARKET: 12, TransactionType.SET_CODE: 13}


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction with its sender (20 bytes) and its hash (32 bytes)."""

    transaction: Transaction
    sender: bytes
    hash: bytes


def decode_transaction(raw: bytes, chain_id: int) -> SignedTransaction:
    """Read a signed transaction, as `eth_sendRawTransaction` gets it.

    A legacy transaction may be signed for no chain in particular, as before EIP-155.

    Raises:
        MalformedTransaction: not a transaction in its valid form.
        UnsupportedTransaction: a blob transaction, or of an unknown type.
        InvalidSignature: signed by nobody, or for another chain.
    """
    if not raw:
        raise MalformedTransaction("no bytes")
    if raw[0] >= _FIRST_LIST_BYTE:
        transaction, digest, signature = _read_legacy(_fields(raw, _LEGACY_FIELDS), chain_id)
    else:
        transaction, digest, signature = _read_typed(_type(raw[0]), raw, chain_id)
    return SignedTransaction(transaction, recover_address(digest, signature), keccak256(raw))


def _type(number: int) -> TransactionType:
    if number == TransactionType.BLOB:
        raise UnsupportedTransaction(
            "a blob transaction (type 3, EIP-4844): this ledger has no blobs; send types 0 to 2 or 4"
        )
    if number not in _FIELDS:
        raise UnsupportedTransaction(f"a transaction of type {number}; types 0 to 2 and 4 are taken")
    return TransactionType(number)


def _read_legacy(fields: list[rlp.Item], chain_id: int) -> tuple[Transaction, bytes, Signature]:
    nonce, price, gas, to, value, data, v_item, r, s = fields
    v = _number(v_item)
    signed: list[rlp.Item] = fields[:6]
    if v in (_UNPROTECTED_V, _UNPROTECTED_V + 1):
        y_parity = v - _UNPROTECTED_V
    else:
        y_parity = v - _PROTECTED_V - 2 * chain_id
        if y_parity not in (0, 1):
            raise InvalidSignature(
                f"v is {v}; chain {chain_id} has {_PROTECTED_V + 2 * chain_id} or one more (EIP-155)"
            )
        signed = [*signed, rlp.encode_number(chain_id), b"", b""]
    transaction = Transaction(
        to=_recipient(to),
        gas=_number(gas, 8),
        data=_bytes(data),
        value=_number(value),
        nonce=_number(nonce, 8),
        max_fee=_number(price),
        max_priority_fee=_number(price),
    )
    return transaction, keccak256(rlp.encode(signed)), Signature(y_parity, _number(r), _number(s))


def _read_typed(kind: TransactionType, raw: bytes, chain_id: int) -> tuple[Transaction, bytes, Signature]:
    fields = _fields(raw[1:], _FIELDS[kind])
    signed, signature = fields[:-_SIGNATURE_FIELDS], fields[-_SIGNATURE_FIELDS:]
    if _number(fields[0]) != chain_id:
        raise InvalidSignature(f"signed for chain {_number(fields[0])}, this is chain {chain_id}")
    authorizations = signed.pop() if kind is TransactionType.SET_CODE else []
    if kind is TransactionType.ACCESS_LIST:
        _, nonce, max_fee, gas, to, value, data, access_list = signed
        priority_fee = max_fee
    else:
        _, nonce, priority_fee, max_fee, gas, to, value, data, access_list = signed
    transaction = Transaction(
        to=_recipient(to),
        gas=_number(gas, 8),
        data=_bytes(data),
        value=_number(value),
        nonce=_number(nonce, 8),
        max_fee=_number(max_fee),
        max_priority_fee=_number(priority_fee),
        access_list=tuple(_access(each) for each in _list(access_list)),
        authorizations=tuple(_authorization(each) for each in _list(authorizations)),
        type=kind,
    )
    digest = keccak256(bytes([kind]) + rlp.encode(fields[:-_SIGNATURE_FIELDS]))
    return transaction, digest, Signature(*(_number(each) for each in signature))


def _access(item: rlp.Item) -> Access:
    address, slots = _fields_of(item, 2)
    return Access(_address(address), tuple(_slot(each) for each in _list(slots)))


def _authorization(item: rlp.Item) -> Authorization:
    chain_id, address, nonce, y_parity, r, s = _fields_of(item, 6)
    signature = Signature(_number(y_parity, 1), _number(r), _number(s))
    return Authorization(_number(chain_id), _address(address), _number(nonce, 8), signature)


def _fields(data: bytes, count: int) -> list[rlp.Item]:
    return _fields_of(rlp.decode(data), count)


def _fields_of(item: rlp.Item, count: int) -> list[rlp.Item]:
    fields = _list(item)
    if len(fields) != count:
        raise MalformedTransaction(f"a list of {len(fields)} fields where {count} are expected")
    return list(fields)


def _list(item: rlp.Item) -> Sequence[rlp.Item]:
    if isinstance(item, bytes):
        raise MalformedTransaction(f"0x{item[:32].hex()} where a list is expected")
    return item


def _bytes(item: rlp.Item) -> bytes:
    if not isinstance(item, bytes):
        raise MalformedTransaction("a list where a string is expected")
    return item


def _number(item: rlp.Item, size: int = 32) -> int:
    data = _bytes(item)
    if len(data) > size or data[:1] == b"\0":
        raise MalformedTransaction(f"0x{data[:40].hex()} isn't a number of at most {size} bytes without leading zeros")
    return int.from_bytes(data, "big")


def _address(item: rlp.Item) -> bytes:
    data = _bytes(item)
    if len(data) != 20:
        raise MalformedTransaction(f"an address has 20 bytes, 0x{data[:40].hex()} has {len(data)}")
    return data


def _recipient(item: rlp.Item) -> bytes | None:
    return _address(item) if _bytes(item) else None


def _slot(item: rlp.Item) -> int:
    data = _bytes(item)
    if len(data) != 32:
        raise MalformedTransaction(f"a storage slot's key has 32 bytes, 0x{data[:40].hex()} has {len(data)}")
    return int.from_bytes(data, "big")
