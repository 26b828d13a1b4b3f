"""What the interpreter reads, from the ledger: each key once, and many at once where it is known before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.pace import Pace
from consilium_chaincode.evm.state_keys import (
    Account,
    AccountKey,
    AnyStorageKey,
    CodeKey,
    SlotKey,
    StateKey,
    StoredKey,
    Turn,
)
from consilium_chaincode.evm.transactions.forms import Access
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.refusals import RefusalCode

PREFETCH_LIMIT = 5_000
"""The most keys that one transaction may have read in advance."""


class LedgerReads:
    """The EVM's state in one Fabric transaction; it stays what it was when that began."""

    def __init__(self, stub: ChaincodeStub) -> None:
        self._stub = stub
        self._values: dict[StoredKey, bytes] = {}
        self._pace = Pace()

    async def value(self, key: StateKey) -> bytes:
        """Return a key's value, empty if it has none; let others have their turn where the interpreter offers one."""
        if isinstance(key, Turn):
            await self._pace.turn()
            return b""
        if isinstance(key, AnyStorageKey):
            # The ledger began empty, so no address has storage before it has code or a nonce.
            return b""
        known = self._values.get(key)
        if known is None:
            known = self._values[key] = await self._stub.get_state(state_keys.state(key)) or b""
        return known

    async def prefetch(self, accounts: Iterable[bytes], entries: Iterable[Access]) -> None:
        """Read accounts, those of `entries` with their slots, in one request, and in a second one their codes.

        Raises:
            Refused: more than `PREFETCH_LIMIT` keys.
        """
        entries = tuple(entries)
        wanted: dict[StoredKey, None] = dict.fromkeys(AccountKey(each) for each in accounts)
        for entry in entries:
            wanted[AccountKey(entry.address)] = None
            wanted.update((SlotKey(entry.address, slot), None) for slot in entry.slots)
        if len(wanted) > PREFETCH_LIMIT:
            raise Refused(
                RefusalCode.MALFORMED,
                f"{len(wanted)} keys to read in advance; at most {PREFETCH_LIMIT} are allowed, so list fewer",
            )
        await self._load(list(wanted))
        held = (Account.decode(self._values[key]) for key in wanted if isinstance(key, AccountKey))
        await self._load(list(dict.fromkeys(CodeKey(account.code_hash) for account in held if account.code_hash)))

    def entries(self) -> tuple[Access, ...]:
        """Return the accounts and slots that were read, in the form that `prefetch` takes, sorted."""
        slots: dict[bytes, list[int]] = {key.address: [] for key in self._values if isinstance(key, AccountKey)}
        for key in self._values:
            if isinstance(key, SlotKey):
                slots.setdefault(key.address, []).append(key.slot)
        return tuple(Access(address, tuple(sorted(slots[address]))) for address in sorted(slots))

    async def _load(self, keys: Sequence[StoredKey]) -> None:
        missing = [key for key in keys if key not in self._values]
        if missing:
            values = await self._stub.get_states([state_keys.state(key) for key in missing])
            self._values.update((key, value or b"") for key, value in zip(missing, values, strict=True))
