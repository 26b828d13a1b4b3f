"""The JSON-RPC on the real network, as web3.py uses it: contracts of OpenZeppelin's, conflicts, restarts."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from served import WAIT_SECONDS, ServedRpc, artifact, fresh_key
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.contract import Contract
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, Web3RPCError
from web3.types import TxParams
from web3.utils.subscriptions import LogsSubscription, NewHeadsSubscription

from consilium_network.network import Network
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile
from consilium_trail.blocks.block import decode_block

pytestmark = pytest.mark.network

IDLE = Web3.to_checksum_address("0x" + "00" * 19 + "ee")


@pytest.fixture(scope="module")
def owner() -> LocalAccount:
    return fresh_key()


@pytest.fixture(scope="module")
def coin(served: ServedRpc, owner: LocalAccount) -> Contract:
    return served.deploy(owner, "Coin")


@pytest.fixture(scope="module")
def slots(served: ServedRpc, owner: LocalAccount) -> Contract:
    return served.deploy(owner, "Slots")


def test_the_chain_is_the_channel(served: ServedRpc, owner: LocalAccount, network: Network) -> None:
    eth = served.web3.eth
    assert (eth.gas_price, eth.max_priority_fee, eth.syncing) == (0, 0, False)
    assert served.web3.net.version == str(served.chain_id)
    assert served.web3.client_version.startswith("Consilium/")
    receipt = served.receipt(_signed(served, owner, to=IDLE))
    block = eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert [each["hash"] for each in block["transactions"]] == [receipt["transactionHash"]]  # type: ignore[index]
    assert block["parentHash"] == eth.get_block(receipt["blockNumber"] - 1)["hash"]
    assert abs(block["timestamp"] - time.time()) < WAIT_SECONDS
    assert eth.get_block("earliest")["number"] == 0
    headers = asyncio.run(_headers(network, receipt["blockNumber"]))
    assert (bytes(block["hash"]), bytes(block["transactionsRoot"])) == headers


async def _headers(network: Network, number: int) -> tuple[bytes, bytes]:
    """Return header hash and data hash as another organisation's peer has them."""
    async with Gateway.connect(Profile.load(network.profile("hungary", "client"))) as gateway:
        async for raw in gateway.network().blocks(number, number + 1):
            header = decode_block(raw.content).header
    return header.hash(), header.data_hash


def _signed(served: ServedRpc, account: LocalAccount, **fields: Any) -> Any:
    filled: TxParams = {
        "nonce": served.web3.eth.get_transaction_count(account.address, "pending"),
        "gas": 100_000,
        "value": 0,  # type: ignore[typeddict-item]
        "chainId": served.chain_id,
        **fields,  # type: ignore[typeddict-item]
    }
    if "gasPrice" not in filled:
        filled.update(maxFeePerGas=0, maxPriorityFeePerGas=0)  # type: ignore[typeddict-item]
    return served.web3.eth.send_raw_transaction(account.sign_transaction(filled).raw_transaction)


def test_openzeppelins_token_and_roles_work_unchanged(served: ServedRpc, owner: LocalAccount, coin: Contract) -> None:
    minter, holder = fresh_key(), fresh_key()
    role = coin.functions.MINTER().call()
    with pytest.raises(ContractCustomError) as refused:
        served.send(minter, coin.functions.mint(holder.address, 5))
    selector = served.web3.keccak(text="AccessControlUnauthorizedAccount(address,bytes32)")[:4].hex()
    assert str(refused.value.data).startswith(f"0x{selector}")
    served.transact(owner, coin.functions.grantRole(role, minter.address))
    minted = served.transact(minter, coin.functions.mint(holder.address, 1000))
    (event,) = coin.events.Transfer().process_receipt(minted)
    assert (event["args"]["to"], event["args"]["value"]) == (holder.address, 1000)
    served.transact(holder, coin.functions.approve(minter.address, 300))
    served.transact(minter, coin.functions.transferFrom(holder.address, minter.address, 200))
    assert coin.functions.balanceOf(holder.address).call() == 800
    assert coin.functions.allowance(holder.address, minter.address).call() == 100
    served.transact(owner, coin.functions.revokeRole(role, minter.address))
    with pytest.raises(ContractCustomError):
        coin.functions.mint(holder.address, 1).call({"from": minter.address})


def test_openzeppelins_governor_decides_and_acts(served: ServedRpc, owner: LocalAccount) -> None:
    """Its clock is the block number, which here goes on with the channel's transactions."""
    voters = [fresh_key() for _ in range(3)]
    votes = served.deploy(owner, "Votes", [each.address for each in voters], 100)
    council = served.deploy(owner, "Council", votes.address)
    coin = served.deploy(owner, "Coin")
    served.transact(owner, coin.functions.grantRole(coin.functions.MINTER().call(), council.address))
    for each in voters:
        served.transact(each, votes.functions.delegate(each.address))
    beneficiary = fresh_key().address
    action = coin.encode_abi("mint", [beneficiary, 77])
    proposed = served.transact(
        voters[0], council.functions.propose([coin.address], [0], [bytes.fromhex(action[2:])], "grant")
    )
    number = council.events.ProposalCreated().process_receipt(proposed)[0]["args"]["proposalId"]

    def state() -> int:
        return int(council.functions.state(number).call())

    def until(wanted: int) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while state() != wanted and time.monotonic() < deadline:
            served.receipt(_signed(served, owner, to=IDLE))
        assert state() == wanted

    active, succeeded, executed = 1, 4, 7
    until(active)
    for each in voters[:2]:
        served.transact(each, council.functions.castVote(number, 1))
    until(succeeded)
    description = served.web3.keccak(text="grant")
    served.transact(voters[2], council.functions.execute([coin.address], [0], [bytes.fromhex(action[2:])], description))
    assert (state(), coin.functions.balanceOf(beneficiary).call()) == (executed, 77)


def test_transactions_of_every_type_are_taken(served: ServedRpc, slots: Contract) -> None:
    account, authority = fresh_key(), fresh_key()
    data = slots.encode_abi("note", [1, 2])
    access = [{"address": slots.address, "storageKeys": ["0x" + "00" * 31 + "01"]}]
    delegation = authority.sign_authorization({"chainId": served.chain_id, "address": slots.address, "nonce": 0})
    forms: list[dict[str, Any]] = [
        {"gasPrice": 0},
        {"gasPrice": 0, "type": 1, "accessList": access},
        {"type": 2, "accessList": access},
        {"type": 4, "authorizationList": [delegation]},
    ]
    for kind, form in zip((0, 1, 2, 4), forms, strict=True):
        sent = _signed(served, account, to=slots.address, data=data, gas=300_000, **form)
        waiting = served.web3.eth.get_transaction(sent)
        receipt = served.receipt(sent)
        found = served.web3.eth.get_transaction(sent)
        assert (receipt["status"], receipt["type"], found["type"], waiting["type"]) == (1, kind, kind, kind)
        assert (found["from"], found["chainId"], found["input"].hex()) == (account.address, served.chain_id, data[2:])
        assert _recovered(found, account)
    assert served.web3.eth.get_code(authority.address).hex() == "ef0100" + slots.address[2:].lower()
    assert len(found["authorizationList"]) == 1


def _recovered(found: Any, account: LocalAccount) -> bool:
    """Tell whether the fields that the server tells are what was signed: signing them again gives the same hash."""
    names = {
        0: ("gasPrice",),
        1: ("gasPrice", "accessList", "type"),
        2: ("maxFeePerGas", "maxPriorityFeePerGas", "accessList", "type"),
        4: ("maxFeePerGas", "maxPriorityFeePerGas", "accessList", "authorizationList", "type"),
    }[found["type"]]
    fields = {name: found[name] for name in ("nonce", "gas", "to", "value", "chainId", *names)}
    return account.sign_transaction({**fields, "data": found["input"]}).hash == found["hash"]


def test_ten_at_once_of_one_sender_keep_their_order(served: ServedRpc, slots: Contract) -> None:
    account = fresh_key()
    raws = [
        account.sign_transaction(
            {
                "nonce": nonce,
                "to": slots.address,
                "data": slots.encode_abi("note", [nonce, nonce]),
                "gas": 200_000,
                "gasPrice": 0,
                "chainId": served.chain_id,
            }
        ).raw_transaction
        for nonce in range(10)
    ]
    with ThreadPoolExecutor(10) as pool:
        sent = list(pool.map(served.web3.eth.send_raw_transaction, reversed(raws)))
    assert served.web3.eth.get_transaction_count(account.address, "pending") == 10
    receipts = [served.receipt(each) for each in reversed(sent)]
    assert [each["status"] for each in receipts] == [1] * 10
    places = [(each["blockNumber"], each["transactionIndex"]) for each in receipts]
    assert places == sorted(places)
    assert served.web3.eth.get_transaction_count(account.address) == 10


def test_minters_who_meet_in_a_block_all_arrive(served: ServedRpc, owner: LocalAccount) -> None:
    """Every mint changes the total supply, so of two in one block the second is invalid; its sender never sees that."""
    coin = served.deploy(owner, "Coin")
    minters = [fresh_key() for _ in range(4)]
    for each in minters:
        served.transact(owner, coin.functions.grantRole(coin.functions.MINTER().call(), each.address))

    def mint(account: LocalAccount) -> int:
        sent = [served.send(account, coin.functions.mint(account.address, 1), gas=200_000) for _ in range(3)]
        return sum(served.receipt(each)["status"] for each in sent)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(mint, minters)) == [3] * 4
    assert coin.functions.totalSupply().call() == 12


@pytest.mark.parametrize("listed", [False, True])
def test_estimates_and_access_lists_are_exact(
    served: ServedRpc, coin: Contract, owner: LocalAccount, listed: bool
) -> None:
    """With the estimate a transaction succeeds, with one unit less it fails; with the list it needs what is said."""
    served.transact(owner, coin.functions.mint(owner.address, 10))
    data = coin.encode_abi("transfer", [fresh_key().address, 1])
    asked: TxParams = {"from": owner.address, "to": coin.address, "data": data}  # type: ignore[typeddict-item]
    form: dict[str, Any] = {}
    if listed:
        answer = served.web3.eth.create_access_list(asked)
        asked["accessList"] = form["accessList"] = answer["accessList"]
    gas = served.web3.eth.estimate_gas(asked)
    receipts = [
        served.receipt(_signed(served, owner, to=coin.address, data=data, gas=limit, **form))
        for limit in (gas - 1, gas)
    ]
    assert [each["status"] for each in receipts] == [0, 1]
    if listed:
        assert receipts[1]["gasUsed"] == answer["gasUsed"]


def test_failures_are_what_web3_knows(served: ServedRpc, slots: Contract, owner: LocalAccount) -> None:
    with pytest.raises(ContractLogicError, match="execution reverted: no note today"):
        slots.functions.fail(0).call()
    with pytest.raises(ContractCustomError) as custom:
        slots.functions.fail(1).call()
    assert str(custom.value.data).startswith("0x" + served.web3.keccak(text="Forbidden(uint256)")[:4].hex())
    for how in (2, 3):
        with pytest.raises(ContractPanicError):
            slots.functions.fail(how).call()
    with pytest.raises(ContractLogicError, match="no note today"):
        slots.functions.fail(0).build_transaction({"from": owner.address})
    failed = served.receipt(_signed(served, owner, to=slots.address, data=slots.encode_abi("fail", [0])))
    assert failed["status"] == 0
    assert b"no note today" in bytes.fromhex(failed["revertReason"][2:])  # type: ignore[typeddict-item]
    for fields, words in (
        ({"nonce": 0, "gas": 90_000}, "nonce too low"),
        ({"gas": 20_000}, "intrinsic gas too low"),
        ({"value": 1}, "insufficient funds"),
    ):
        with pytest.raises(Web3RPCError, match=words):
            _signed(served, owner, to=IDLE, **fields)


def test_logs_and_filters_tell_what_happened(served: ServedRpc, slots: Contract) -> None:
    account, other = fresh_key(), fresh_key()
    mine = slots.events.Noted.create_filter(from_block="latest", argument_filters={"by": account.address})
    blocks = served.web3.eth.filter("latest")
    pending = served.web3.eth.filter("pending")
    first = served.transact(account, slots.functions.note(1, 11))
    served.transact(other, slots.functions.note(1, 12))
    second = served.transact(account, slots.functions.note(2, 13))
    assert [each["args"]["value"] for each in mine.get_new_entries()] == [11, 13]
    assert mine.get_new_entries() == []
    assert first["blockHash"] in blocks.get_new_entries()
    assert {first["transactionHash"], second["transactionHash"]} <= set(pending.get_new_entries())
    found = slots.events.Noted.get_logs(
        from_block=first["blockNumber"], argument_filters={"by": [account.address, other.address], "topic": 1}
    )
    assert [each["args"]["value"] for each in found] == [11, 12]
    assert served.web3.eth.uninstall_filter(mine.filter_id)


async def test_subscriptions_reach_web3(served: ServedRpc, slots: Contract) -> None:
    account = fresh_key()
    heads: list[Any] = []
    logs: list[Any] = []

    async def on_head(context: Any) -> None:
        heads.append(context.result)

    async def on_log(context: Any) -> None:
        logs.append(context.result)

    async with AsyncWeb3(WebSocketProvider(served.url.replace("http", "ws"))) as web3:
        await web3.subscription_manager.subscribe(
            [NewHeadsSubscription(handler=on_head), LogsSubscription(address=slots.address, handler=on_log)]
        )
        listening = asyncio.create_task(web3.subscription_manager.handle_subscriptions())
        receipt = await asyncio.to_thread(served.transact, account, slots.functions.note(5, 55))
        async with asyncio.timeout(WAIT_SECONDS):
            while not logs or receipt["blockHash"] not in [each["hash"] for each in heads]:
                await asyncio.sleep(0.02)
        listening.cancel()
    assert logs[0]["transactionHash"] == receipt["transactionHash"]


def test_the_identity_acts_through_the_server(served: ServedRpc, slots: Contract) -> None:
    (address,) = served.web3.eth.accounts
    sent = slots.functions.note(9, 99).transact({"from": address})
    # The answer comes once it is committed.
    receipt = served.web3.eth.get_transaction_receipt(sent)
    assert (receipt["status"], receipt["from"]) == (1, address)
    assert receipt["fabricTransactionId"] == bytes(sent).hex()  # type: ignore[typeddict-item]
    assert slots.functions.noted(9).call() == 99


def test_a_killed_server_loses_nothing_that_it_accepted(
    roomy_network: Network, slots: Contract, tmp_path: Path
) -> None:
    """It is killed while transactions of three senders are on their way; the next one goes on with them."""
    profile, accounts = roomy_network.profile("hungary", "client"), [fresh_key() for _ in range(3)]
    first = ServedRpc(profile, "--state", str(tmp_path / "state"))
    try:
        sent = [
            _signed(first, each, to=slots.address, data=slots.encode_abi("note", [turn, 1]), gas=200_000)
            for turn in range(5)
            for each in accounts
        ]
    finally:
        first.kill()
    second = ServedRpc(profile, "--state", str(tmp_path / "state"))
    try:
        assert [second.receipt(each)["status"] for each in sent] == [1] * 15
        assert [second.web3.eth.get_transaction_count(each.address) for each in accounts] == [5] * 3
    finally:
        assert second.stop() == 0


def test_ctrl_c_lets_arrive_what_is_on_its_way(roomy_network: Network, served: ServedRpc, slots: Contract) -> None:
    account = fresh_key()
    leaving = ServedRpc(roomy_network.profile("cleveland", "client"))
    sent = [
        _signed(leaving, account, to=slots.address, data=slots.encode_abi("note", [turn, 1]), gas=200_000)
        for turn in range(4)
    ]
    assert leaving.stop() == 0
    assert [served.receipt(each)["status"] for each in sent] == [1] * 4


def test_folders_of_others_are_refused(roomy_network: Network, served: ServedRpc, tmp_path: Path) -> None:
    profile = roomy_network.profile("cleveland", "client")
    first = ServedRpc(profile, "--state", str(tmp_path / "state"))
    with pytest.raises(AssertionError, match="another server uses"):
        ServedRpc(profile, "--state", str(tmp_path / "state"))
    assert first.stop() == 0
    with pytest.raises(AssertionError, match="names no peer of AggregatorMSP itself"):
        ServedRpc(roomy_network.profile("aggregator", "client"))


def test_the_cap_is_what_the_hospitals_resolved(served: ServedRpc, owner: LocalAccount) -> None:
    assert served.web3.eth.get_block("latest")["gasLimit"] == 6_000_000
    assert served.web3.eth.get_block("earliest")["gasLimit"] == 0
    with pytest.raises(Web3RPCError, match="exceeds block gas limit"):
        _signed(served, owner, to=IDLE, gas=6_000_001)
    with pytest.raises(Web3RPCError, match="max initcode size exceeded"):
        _signed(served, owner, data=artifact("Council")["bytecode"] + "00" * 50_000, gas=6_000_000)
