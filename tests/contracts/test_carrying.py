"""What the program does at a bridge: it refuses beforehand what the contract would refuse, waits, pays, and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bridge_stage import BridgeStage
from carried_things import carried_epoch, carried_pause
from eth_account import Account

import consilium_command
from consilium_peers.ethereum.bridge.carrying import (
    bridge_in_force,
    claiming,
    payout_at,
    payout_to,
    submit,
    wait_for_claims,
)
from consilium_peers.ethereum.bridge.sending import Payer
from consilium_peers.ethereum.errors import BridgeFileError, BridgeProofError, BridgeRefusedError, ChainError
from consilium_proto.ethereum.resolutions import BridgeTerms
from consilium_proto.ethereum.scalars import as_data

ETHER = 10**18


def nonce(payer: Payer) -> int:
    return payer.node.number("eth_getTransactionCount", as_data(payer.address), "pending")


def silent(_: str) -> None: ...


def test_an_epoch_is_submitted_and_claimed(stage: BridgeStage, payer: Payer) -> None:
    carried, said = carried_epoch(stage), []
    sent = submit(payer, carried, said.append)
    assert sent.gas_used <= 160_000
    assert "gas, at most" in said[0]
    assert sent.cost == ETHER - payer.node.number("eth_getBalance", as_data(payer.address), "latest")

    bridge, chosen = bridge_in_force(stage.chain.node, carried.terms), payout_at(carried, 1)
    assert payout_to(carried, as_data(chosen.account)) == chosen
    data = claiming(bridge, carried, chosen)
    with pytest.raises(BridgeRefusedError, match=r"epoch 7 can be challenged until 20.* UTC, in 3(600|599) s"):
        wait_for_claims(bridge, data, patient=False, say=silent)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stage.wait_for_claims()

    wait_for_claims(bridge, data, patient=True, say=said.append, sleep=sleep)
    assert len(slept) == 1
    assert "waiting" in said[-1]
    assert payer.send(bridge.address, data, silent).gas_used <= 90_000
    assert bridge.balance(chosen.account) == chosen.amount
    with pytest.raises(BridgeRefusedError, match="payout 1 of epoch 7 was claimed already"):
        wait_for_claims(bridge, data, patient=True, say=silent)


def test_what_the_bridge_would_refuse_is_never_sent(stage: BridgeStage, payer: Payer) -> None:
    carried = carried_epoch(stage)
    submit(payer, carried, silent)
    before = nonce(payer)
    with pytest.raises(BridgeRefusedError, match="epoch 7 was accepted already") as again:
        submit(payer, carried, silent)
    assert (again.value.name, again.value.values) == ("EpochAlreadyAccepted", (7,))
    with pytest.raises(BridgeRefusedError, match="decision 2 isn't the next one, which is 1"):
        submit(payer, carried_pause(stage, 2), silent)
    elsewhere = replace(carried, terms=BridgeTerms(revision=1, chain_id=1, address=carried.terms.address))
    with pytest.raises(BridgeRefusedError, match=r"the bridge is on chain 1, and http://127.* of chain 31337"):
        submit(payer, elsewhere, silent)
    few = replace(carried.endorsed, endorsements=carried.endorsed.endorsements[:2])
    with pytest.raises(BridgeProofError, match="endorsements of 3 organisations and counts 2"):
        submit(payer, replace(carried, endorsed=few), silent)
    nowhere = replace(carried, terms=BridgeTerms(revision=1, chain_id=31_337, address=as_data(bytes([1]) * 20)))
    with pytest.raises(ChainError, match="no bridge at that address"):
        submit(payer, nowhere, silent)
    assert nonce(payer) == before


def test_decisions_are_carried_out(stage: BridgeStage, payer: Payer) -> None:
    submit(payer, carried_pause(stage), silent)
    assert stage.functions.paused().call()
    with pytest.raises(BridgeRefusedError, match="the bridge is paused"):
        submit(payer, carried_epoch(stage), silent)


def test_who_cant_pay_is_told(stage: BridgeStage) -> None:
    with pytest.raises(ChainError, match=r"refused eth_\w+: .*[Ii]nsufficient"):
        submit(Payer(stage.chain.node, Account.create()), carried_epoch(stage), silent)


def test_payouts_that_arent_there(stage: BridgeStage) -> None:
    carried = carried_epoch(stage)
    with pytest.raises(BridgeFileError, match="epoch 7 has no payout 3, only 0 to 2"):
        payout_at(carried, 3)
    with pytest.raises(BridgeFileError, match="pays nothing to 0x"):
        payout_to(carried, as_data(bytes(20)))
    with pytest.raises(BridgeFileError, match=r"decision 1 .* pays nothing"):
        payout_at(carried_pause(stage), 0)


def test_the_command_pays_from_a_key_file(
    stage: BridgeStage, payer: Payer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`submit` and `claim` as they are typed; what is said on the way isn't part of the answer."""
    key, file = tmp_path / "payer.key", tmp_path / "epoch.json"
    account = Account.create()
    stage.chain.request("anvil_setBalance", account.address, hex(ETHER))
    key.touch(mode=0o600)
    key.write_text(account.key.hex())
    carried_epoch(stage).write(file)
    words = ["evm", "bridge", "submit", str(file), "--rpc", stage.chain.url, "--key-file", str(key), "--json"]
    assert consilium_command.main(words) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["gas_used"] <= 160_000
    assert f"paid by {account.address}" in said.err
    assert account.key.hex() not in said.out + said.err
    claim = ["evm", "bridge", "claim", str(file), "--rpc", stage.chain.url, "--key-file", str(key), "--index", "2"]
    assert consilium_command.main(claim) == 1
    assert "can be challenged until" in capsys.readouterr().err
    stage.wait_for_claims()
    assert consilium_command.main(claim) == 0
    assert "payout 2 of epoch 7, 1.000000000000000002 tokens" in capsys.readouterr().out
    assert consilium_command.main(claim) == 1
    assert (
        capsys.readouterr().err
        == "error: the bridge refuses: payout 2 of epoch 7 was claimed already (AlreadyClaimed)\n"
    )
