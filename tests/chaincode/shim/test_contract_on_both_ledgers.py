"""One suite for the ledger in memory and for real peers: what a contract sees must not depend on which it runs on."""

from __future__ import annotations

import hashlib
import json
import time
import uuid

import pytest
from ledgers import MSP_ID, Ledger, Rejected

from consilium_chaincode.shim.endorsement_policies import quorum_of

COLLECTION = f"_implicit_org_{MSP_ID}"
EVERYONE = quorum_of(2, ["ClevelandMSP", "LongBeachMSP"])


@pytest.fixture
def unique() -> str:
    """The peers' ledger outlives a test, so every test has keys of its own."""
    return uuid.uuid4().hex[:12]


async def test_binary_arguments_arrive_as_they_were_sent(ledger: Ledger) -> None:
    everything = bytes(range(256))
    assert await ledger.evaluate("Echo", everything, b"", b"\x00", "ü") == everything + b"\x00" + "ü".encode()


async def test_the_caller_and_the_time_come_from_the_proposal(ledger: Ledger) -> None:
    msp_id, role, certificate, tx_id, timestamp = json.loads(await ledger.evaluate("WhoAmI"))
    assert (msp_id, role, certificate) == (MSP_ID, "client", ledger.certificate)
    assert len(bytes.fromhex(tx_id)) == 32
    assert abs(timestamp - time.time() * 1000) < 5000


async def test_a_called_chaincode_knows_which_one_the_client_called(ledger: Ledger) -> None:
    assert await ledger.evaluate("Entry") == b"probe"
    assert await ledger.evaluate("Call", "callee", "Entry") == b"probe"


async def test_transient_data_reaches_the_contract(ledger: Ledger) -> None:
    assert await ledger.evaluate("Transient", "note", transient={"note": b"\x00\x01"}) == b"\x00\x01"
    assert await ledger.evaluate("Transient", "note") == b""


async def test_put_get_delete(ledger: Ledger, unique: str) -> None:
    value = bytes(range(256))
    assert await ledger.evaluate("Get", unique) == b""
    assert (await ledger.submit("Put", unique, value)).payload == b"written"
    assert await ledger.evaluate("Get", unique) == value
    await ledger.submit("Delete", unique)
    assert await ledger.evaluate("Get", unique) == b""


async def test_a_transaction_does_not_see_its_own_writes(ledger: Ledger, unique: str) -> None:
    assert (await ledger.submit("ReadOwnWrite", unique, "new")).payload == b"nothing"
    assert (await ledger.submit("ReadOwnWrite", unique, "newer")).payload == b"new"


@pytest.mark.parametrize("function", ["GetMany", "GetAtOnce"])
async def test_many_keys_at_once(ledger: Ledger, unique: str, function: str) -> None:
    await ledger.submit("PutMany", f"{unique}/", "3")
    keys = [f"{unique}/{n:05d}" for n in (2, 0, 7, 1)]
    assert json.loads(await ledger.evaluate(function, *keys)) == [b"2".hex(), b"0".hex(), None, b"1".hex()]


async def test_more_keys_than_one_message_takes(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutMany", f"{unique}/", "2500")
    values = json.loads(await ledger.evaluate("GetMany", *(f"{unique}/{n:05d}" for n in range(2501))))
    assert [None if value is None else int(bytes.fromhex(value)) for value in values] == [*range(2500), None]
    entries = json.loads(await ledger.evaluate("Range", f"{unique}/", f"{unique}0"))
    assert [int(value) for _, value in entries] == list(range(2500))


async def test_large_values(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutLarge", unique, str(2 << 20))
    assert await ledger.evaluate("Get", unique) == bytes(range(256)) * (8 << 10)
    argument = b"\x00\x01" * (3 << 20)
    assert await ledger.evaluate("Echo", argument) == argument


async def test_ranges_start_inside_and_end_outside_in_the_order_of_bytes(ledger: Ledger, unique: str) -> None:
    names = ["a", "b", "c", "ä", "z", "€", "😀"]
    await ledger.submit("Put", *(word for name in names for word in (unique + name, name)))
    entries = json.loads(await ledger.evaluate("Range", unique, unique + "\U0010ffff"))
    assert [value for _, value in entries] == sorted(names, key=str.encode)
    entries = json.loads(await ledger.evaluate("Range", unique + "b", unique + "z"))
    assert entries == [[unique + "b", "b"], [unique + "c", "c"]]


async def test_an_open_range_has_no_composite_keys(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutComposite", "hidden", unique, "1")
    await ledger.submit("Put", unique, "seen")
    values = [value for _, value in json.loads(await ledger.evaluate("Range", "", ""))]
    assert "seen" in values
    assert "hidden" not in values


async def test_a_range_may_be_left_early(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutMany", f"{unique}/", "150")
    found = json.loads(await ledger.evaluate("First", f"{unique}/", f"{unique}0", f"{unique}/00149"))
    assert found == [f"{unique}/00000", [b"149".hex()]]


async def test_pages_follow_each_other(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutMany", f"{unique}/", "5")
    keys, bookmark, sizes = [], "", []
    while not sizes or bookmark:
        page, bookmark = json.loads(await ledger.evaluate("Page", f"{unique}/", f"{unique}0", "2", bookmark))
        keys += page
        sizes.append(len(page))
    assert keys == [f"{unique}/{n:05d}" for n in range(5)]
    assert sizes == [2, 2, 1]


async def test_reading_pages_and_writing_do_not_go_together(ledger: Ledger, unique: str) -> None:
    with pytest.raises(Rejected):
        await ledger.submit("PageAndPut", unique, unique + "z", unique)
    assert await ledger.evaluate("Get", unique) == b""


async def test_composite_keys_by_their_first_attributes(ledger: Ledger, unique: str) -> None:
    for attributes in (("1", "x"), ("1", "y"), ("10", "x"), ("2", "x")):
        await ledger.submit("PutComposite", "v", unique, *attributes)
    assert json.loads(await ledger.evaluate("ByPartialKey", unique, "1")) == [["1", "x", "v"], ["1", "y", "v"]]
    assert len(json.loads(await ledger.evaluate("ByPartialKey", unique))) == 4
    assert json.loads(await ledger.evaluate("ByPartialKey", unique[:-1])) == []


async def test_history_is_newest_first(ledger: Ledger, unique: str) -> None:
    written = await ledger.submit("Put", unique, "1")
    deleted = await ledger.submit("Delete", unique)
    again = await ledger.submit("Put", unique, "2")
    history = json.loads(await ledger.evaluate("History", unique))
    assert [(tx_id, bytes.fromhex(value), gone) for tx_id, value, _, gone in history] == [
        (again.tx_id, b"2", False),
        (deleted.tx_id, b"", True),
        (written.tx_id, b"1", False),
    ]
    times = [when for _, _, when, _ in history]
    assert times == sorted(times, reverse=True)


async def test_private_data_comes_in_as_transient_data(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutPrivate", COLLECTION, unique, transient={"value": b"private"})
    assert await ledger.evaluate("GetPrivate", COLLECTION, unique) == b"private"
    assert await ledger.evaluate("Get", unique) == b""
    assert await ledger.evaluate("PrivateHash", COLLECTION, unique) == hashlib.sha256(b"private").digest()
    found = json.loads(await ledger.evaluate("PrivateRange", COLLECTION, unique, unique + "z"))
    assert found == [[unique, "private"]]


async def test_purged_private_data_is_gone(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutPrivate", COLLECTION, unique, transient={"value": b"private"})
    await ledger.submit("Purge", COLLECTION, unique)
    assert await ledger.evaluate("GetPrivate", COLLECTION, unique) == b""
    assert await ledger.evaluate("PrivateHash", COLLECTION, unique) == b""


async def test_a_collection_that_does_not_exist_is_an_error(ledger: Ledger, unique: str) -> None:
    if type(ledger).__name__ == "MemoryProbe":
        return  # it has every collection that is asked for
    with pytest.raises(Rejected, match="collection"):
        await ledger.evaluate("GetPrivate", "no-such-collection", unique)


async def test_a_keys_policy_is_stored_with_it(ledger: Ledger, unique: str) -> None:
    await ledger.submit("PutWithPolicy", unique, "1", EVERYONE)
    assert await ledger.evaluate("GetPolicy", unique) == EVERYONE
    assert await ledger.evaluate("GetPolicy", unique + "other") == b""


async def test_a_policy_for_a_key_without_a_value_is_refused(ledger: Ledger, unique: str) -> None:
    with pytest.raises(Rejected, match="has no value"):
        await ledger.submit("SetPolicy", unique, EVERYONE)


async def test_a_write_keeps_its_policy_over_a_call(ledger: Ledger, unique: str) -> None:
    outcome = await ledger.submit("PutThenCall", unique, EVERYONE, "callee", "Echo", "answer")
    assert outcome.payload == b"answer"
    assert await ledger.evaluate("GetPolicy", unique) == EVERYONE


async def test_called_chaincodes_have_a_state_of_their_own(ledger: Ledger, unique: str) -> None:
    assert (await ledger.submit("Call", "callee", "Put", unique, "theirs")).payload == b"written"
    assert await ledger.evaluate("Get", unique) == b""
    assert await ledger.evaluate("Call", "callee", "Get", unique) == b"theirs"


async def test_a_called_chaincodes_refusal_is_the_callers(ledger: Ledger) -> None:
    with pytest.raises(Rejected, match="not like this"):
        await ledger.submit("Call", "callee", "Reject", "not like this")


@pytest.mark.parametrize("name", ["nothing-of-the-kind", "probe"])
async def test_neither_strangers_nor_oneself_can_be_called(ledger: Ledger, name: str) -> None:
    with pytest.raises(Rejected, match=name if name != "probe" else "already|exists"):
        await ledger.evaluate("Call", name, "Echo", "x")


async def test_of_two_that_read_what_they_write_one_is_valid(ledger: Ledger, unique: str) -> None:
    call = ("Increment", unique)
    assert await ledger.together(call, call) == ["VALID", "MVCC_READ_CONFLICT"]
    assert await ledger.evaluate("Get", unique) == b"1"


async def test_a_new_key_in_a_range_that_was_read_is_a_phantom(ledger: Ledger, unique: str) -> None:
    count = ("CountInto", f"{unique}/", f"{unique}0", f"{unique}count")
    codes = await ledger.together(("Put", f"{unique}/1", "1"), count)
    assert codes == ["VALID", "PHANTOM_READ_CONFLICT"]


async def test_blind_writes_do_not_conflict(ledger: Ledger, unique: str) -> None:
    assert await ledger.together(("Put", unique, "1"), ("Put", unique, "2")) == ["VALID", "VALID"]
    assert await ledger.evaluate("Get", unique) == b"2"


async def test_a_new_policy_changes_a_keys_version(ledger: Ledger, unique: str) -> None:
    await ledger.submit("Put", unique, "1")
    policy = quorum_of(1, ["ClevelandMSP", "HungaryMSP", "SwitzerlandMSP", "LongBeachMSP"])
    assert await ledger.together(("SetPolicy", unique, policy), ("Increment", unique)) == [
        "VALID",
        "MVCC_READ_CONFLICT",
    ]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("Reject", "study S1 is closed"), "study S1 is closed"),
        (("Raise",), "unexpected KeyError"),
        (("NoSuchFunction",), "unknown function 'NoSuchFunction' of probe"),
        (("Get",), "Get doesn't take 0 arguments"),
        (("Get", "a", "b"), "Get doesn't take 2 arguments"),
        (("Get", ""), "must not be empty"),
        (("GetMany", "a", ""), "must not be empty"),
        (("GetPolicy", ""), "must not be empty"),
        (("History", ""), "must not be empty"),
        (("PrivateHash", COLLECTION, ""), "must not be empty"),
        (("Delete", ""), "must not be empty"),
        (("Put", "key", ""), "the value of 'key' is empty"),
        (("Page", "a", "b", "0", ""), "at least one entry"),
        (("PutComposite", "v", ""), "needs a kind"),
        (("PutComposite", "v", "kind", "a\0b"), "can't be part of a composite key"),
        (("WriteInQuery",), "WriteInQuery is a query and can't put_state"),
        (("NotBytes",), "returned str instead of bytes"),
        (("Emit", "", "x"), "an event needs a name"),
        (("Call", "callee"), "needs a function"),
        # Peers that met one of these would stop committing.
        (("SetPolicy", "key", b"\x00\xff"), "isn't a SignaturePolicyEnvelope"),
        (("SetPolicy", "key", ""), "doesn't fit its identities"),
        (("SetPolicy", "key", b"\x12\x02\x08\x07"), "doesn't fit its identities"),
    ],
)
async def test_what_is_wrong_is_refused_with_a_reason(ledger: Ledger, call: tuple[str | bytes, ...], said: str) -> None:
    if call == ("Raise",) and type(ledger).__name__ == "MemoryProbe":
        with pytest.raises(KeyError):  # in memory a contract's own fault must be seen with its traceback
            await ledger.evaluate(*call)
        return
    with pytest.raises(Rejected) as caught:
        await ledger.evaluate(*call)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_rejected_transaction_wrote_nothing(ledger: Ledger) -> None:
    with pytest.raises(Rejected):
        await ledger.submit("Reject", "no")
    assert await ledger.evaluate("Get", "rejected") == b""
