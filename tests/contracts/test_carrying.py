"""What the program does at a bridge: it refuses beforehand what the contract would refuse, waits, pays, and says so."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anvil_chain import AnvilChain
from bridge_stage import DELAY_SECONDS, THRESHOLD, BridgeStage, registration_tuple, terms
from eth_account import Account
from fabric_consortium import CHAINCODE, CHANNEL, Consortium

import consilium_command
from consilium_peers.ethereum.bridge.bridge_state import LedgerSide, bridge_state
from consilium_peers.ethereum.bridge.carried_file import Carried
from consilium_peers.ethereum.bridge.carrying import (
    bridge_in_force,
    claiming,
    payout_at,
    payout_to,
    submit,
    wait_for_claims,
)
from consilium_peers.ethereum.bridge.feasibility import check_feasible
from consilium_peers.ethereum.bridge.public_bridge import Deployment, PublicBridge, creation
from consilium_peers.ethereum.bridge.sending import Payer
from consilium_peers.ethereum.errors import BridgeFileError, BridgeProofError, BridgeRefusedError, ChainError
from consilium_proto.contracts import REWARD_BRIDGE, REWARD_LEDGER
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    BridgeDecision,
    BridgeTerms,
    EndorserAddition,
    EndorserRevocation,
    EpochVoiding,
    Pausing,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.rewards import ClosedEpoch, EpochPayout
from consilium_proto.ethereum.scalars import as_data, as_quantity
from consilium_proto.rewards.attestation import DECISION_FUNCTION, EPOCH_FUNCTION, EpochRoot, encode_epoch
from consilium_proto.rewards.decisions import (
    Decision,
    Pause,
    Resume,
    RevokeEndorser,
    SetThreshold,
    VoidEpoch,
    encode_decision,
)
from consilium_proto.rewards.payout_tree import Payout, payout_root

ETHER = 10**18
# As `deploy` names it: the chaincode is part of what is checked.
EVM = "evm"


@pytest.fixture
def payer(chain: AnvilChain) -> Payer:
    account = Account.create()
    chain.request("anvil_setBalance", account.address, hex(ETHER))
    return Payer(chain.node, account)


def bridge_terms(stage: BridgeStage) -> BridgeTerms:
    return BridgeTerms(revision=1, chain_id=stage.location.chain_id, address=as_data(stage.bridge.address))


def carried_epoch(stage: BridgeStage, number: int = 7, payouts: int = 3) -> Carried:
    """An epoch as the ledger closes it, endorsed by three of the tests' own peers."""
    chosen = [Payout(os.urandom(20), ETHER + index) for index in range(payouts)]
    root = EpochRoot(number, sum(each.amount for each in chosen), payout_root(chosen), payouts)
    closed = ClosedEpoch(
        epoch=number,
        root=as_data(root.root),
        total=as_quantity(root.total),
        closed_at=1,
        payouts=tuple(EpochPayout(account=as_data(each.account), amount=as_quantity(each.amount)) for each in chosen),
    )
    endorsed = stage.endorsed(EPOCH_FUNCTION, encode_epoch(stage.location, root))
    return Carried(CHANNEL, bridge_terms(stage), closed, endorsed)


def carried_pause(stage: BridgeStage, number: int = 1) -> Carried:
    decision = BridgeDecision(bridge=1, number=number, action=Pausing())
    endorsed = stage.endorsed(DECISION_FUNCTION, encode_decision(stage.location, number, Pause()))
    return Carried(CHANNEL, bridge_terms(stage), decision, endorsed)


def nonce(payer: Payer) -> int:
    return payer.node.number("eth_getTransactionCount", as_data(payer.address), "pending")


def silent(_: str) -> None: ...


# ---- carrying and claiming


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


# ---- what could be carried out


def decided(action: BridgeAction, number: int = 1) -> BridgeDecision:
    return BridgeDecision(bridge=1, number=number, action=action)


def added(consortium: Consortium, number: int) -> EndorserAddition:
    key = consortium.keys[number]
    return EndorserAddition(msp_id=key.msp_id, certificate=as_data(key.certificate))


def revoked(consortium: Consortium, number: int) -> EndorserRevocation:
    return EndorserRevocation(identity=as_data(consortium.keys[number].identity_hash))


def test_decisions_that_would_block_the_bridge_are_told(stage: BridgeStage) -> None:
    """The contract and the check agree on each: what the check refuses, the contract reverts on."""
    consortium, bridge = stage.consortium, stage.bridge_at_node
    feasible: list[tuple[BridgeAction, Decision]] = [
        (Pausing(), Pause()),
        (EpochVoiding(epoch=3, root=as_data(bytes(32))), VoidEpoch(3, bytes(32))),
        (ThresholdChange(threshold=4), SetThreshold(4)),
        (revoked(consortium, 0), RevokeEndorser(consortium.keys[0].identity_hash)),
        (added(consortium, 4), consortium.keys[4].registration()),
    ]
    for action, told in feasible:
        check_feasible(bridge, decided(action))
        assert stage.bridge.refusal(stage.decision(told)) == ""
    blocking: list[tuple[BridgeAction, Decision]] = [
        (Resumption(), Resume()),
        (ThresholdChange(threshold=2), SetThreshold(2)),
        (ThresholdChange(threshold=5), SetThreshold(5)),
        (revoked(consortium, 4), RevokeEndorser(consortium.keys[4].identity_hash)),
        (added(consortium, 0), consortium.keys[0].registration()),
    ]
    for action, told in blocking:
        with pytest.raises(BridgeRefusedError):
            check_feasible(bridge, decided(action))
        assert stage.bridge.refusal(stage.decision(told)) != ""
    with pytest.raises(BridgeRefusedError, match="has carried 0 decisions out"):
        check_feasible(bridge, decided(Pausing(), 2))
    # Three of three: whoever is revoked next leaves too few.
    stage.decide(RevokeEndorser(consortium.keys[0].identity_hash))
    with pytest.raises(BridgeRefusedError, match="afterwards 2 organisations would have endorsers and 3 would have"):
        check_feasible(bridge, decided(revoked(consortium, 1), 2))
    with pytest.raises(BridgeRefusedError, match="no endorser that counts"):
        check_feasible(bridge, decided(revoked(consortium, 0), 2))


# ---- deploying, and looking at what was deployed


def deployment(organizations: int = 4, chaincode: str = EVM, delay: int = DELAY_SECONDS) -> Deployment:
    return Deployment("Consilium Reward", "CSR", CHANNEL, chaincode, organizations // 2 + 1, delay)


def test_a_bridge_is_deployed_and_recognised(chain: AnvilChain, consortium: Consortium, payer: Payer) -> None:
    keys = consortium.keys[:4]
    sent = payer.send(None, creation(deployment(), keys), silent)
    assert sent.contract is not None
    bridge = PublicBridge(chain.node, sent.contract)
    bridge.check_code(deployment(), keys)
    assert [each.key for each in bridge.endorsers()] == keys
    state = bridge_state(bridge, LedgerSide(CHANNEL, tuple(keys), (), 0))
    assert (state.doubts, state.threshold, state.organizations) == ((), 3, 4)
    assert all(each.counts and each.signs_now for each in state.endorsers)
    for other in (deployment(delay=1), deployment(chaincode="other")):
        with pytest.raises(BridgeProofError, match="isn't that of a bridge"):
            bridge.check_code(other, keys)


def test_a_bridge_that_isnt_as_the_ledger_has_it_is_doubted(
    chain: AnvilChain, consortium: Consortium, stage: BridgeStage
) -> None:
    keys = consortium.keys[:4]
    ledger = LedgerSide(CHANNEL, tuple(keys), (), 0)
    assert bridge_state(stage.bridge_at_node, ledger).doubts == ("it was deployed for another chaincode than evm",)
    others = LedgerSide("trial", tuple(consortium.keys[1:5]), (), 0)
    assert bridge_state(stage.bridge_at_node, others).doubts == (
        "it was deployed for another channel than trial",
        "it was deployed for another chaincode than evm",
        "the peers that endorse now for Hospital4MSP don't count",
        "endorsers 0 count, and no peer signs as them now",
    )
    other = chain.deploy(REWARD_LEDGER, "Consilium Reward", "CSR", chain.payer, 1, 1)
    with pytest.raises(BridgeProofError, match="isn't that of a bridge"):
        PublicBridge(chain.node, other.address).check_code(deployment(), keys)


def test_an_epoch_is_shown_as_it_stands(chain: AnvilChain, consortium: Consortium, payer: Payer) -> None:
    keys = consortium.keys[:4]
    made = chain.deploy(
        REWARD_BRIDGE,
        (*terms(THRESHOLD)[:3], CHAINCODE, THRESHOLD, DELAY_SECONDS),
        [registration_tuple(key) for key in keys],
    )
    stage = BridgeStage(chain, consortium, made, numbers={key.identity_hash: i for i, key in enumerate(keys)})
    carried = carried_epoch(stage, payouts=1)
    assert isinstance(carried.what, ClosedEpoch)
    ledger = LedgerSide(CHANNEL, tuple(keys), (carried.what,), 0)

    def shown() -> tuple[str, str]:
        (epoch,) = bridge_state(stage.bridge_at_node, ledger).epochs
        return epoch.state, epoch.unpaid

    assert shown() == ("not submitted", "1")
    submit(payer, carried, silent)
    assert shown() == ("open to challenge", "1")
    stage.wait_for_claims()
    assert shown() == ("claimable", "1")
    bridge = stage.bridge_at_node
    payer.send(bridge.address, claiming(bridge, carried, payout_at(carried, 0)), silent)
    assert shown() == ("paid", "0")
    falsified = replace_root(carried.what)
    (epoch,) = bridge_state(bridge, LedgerSide(CHANNEL, tuple(keys), (falsified,), 0)).epochs
    assert epoch.state == "accepted under another root"


def replace_root(closed: ClosedEpoch) -> ClosedEpoch:
    return ClosedEpoch(
        epoch=closed.epoch, root=as_data(bytes(32)), total=closed.total, closed_at=1, payouts=closed.payouts
    )


# ---- files


ANOTHER = as_data(bytes([7]) * 20)


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content["epoch"]["payouts"][0].update(account=ANOTHER),
        lambda content: content["epoch"]["payouts"][0].update(amount="0x1"),
        lambda content: content["epoch"].update(epoch=8),
        lambda content: content["bridge"].update(address=ANOTHER),
        lambda content: content["bridge"].update(chain_id=1),
        lambda content: content.update(channel="trial"),
        lambda content: content["endorsed"].update(payload=content["endorsed"]["payload"][:-2] + "00"),
        lambda content: content["endorsed"]["endorsements"][0].update(
            signature=content["endorsed"]["endorsements"][1]["signature"]
        ),
    ],
    ids=["account", "amount", "epoch", "bridge", "chain", "channel", "answer", "signature"],
)
def test_a_file_that_was_altered_is_refused(
    untouched: BridgeStage, tmp_path: Path, alter: Callable[[Any], None]
) -> None:
    path = tmp_path / "epoch.json"
    carried = carried_epoch(untouched)
    carried.write(path)
    assert Carried.read(path) == carried
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BridgeProofError):
        Carried.read(path)


def test_what_is_no_such_file_is_named(untouched: BridgeStage, tmp_path: Path) -> None:
    path = tmp_path / "epoch.json"
    carried_epoch(untouched).write(path)
    content = json.loads(path.read_text())
    for text in ("", "{}", "[1]", json.dumps({**content, "format": "consilium-bridge-2"}), "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(BridgeFileError, match="isn't a file of"):
            Carried.read(path)
    path.write_text(json.dumps({name: value for name, value in content.items() if name != "epoch"}))
    with pytest.raises(BridgeFileError, match="neither one epoch nor one decision"):
        Carried.read(path)
    with pytest.raises(BridgeFileError, match="can't be read"):
        Carried.read(tmp_path / "absent.json")


def test_decisions_go_into_files_as_well(stage: BridgeStage, tmp_path: Path) -> None:
    carried = carried_pause(stage)
    carried.write(tmp_path / "pause.json")
    assert Carried.read(tmp_path / "pause.json") == carried
