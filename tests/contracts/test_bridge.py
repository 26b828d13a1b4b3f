"""The bridge's good path, and what it costs."""

from __future__ import annotations

import pytest
from anvil_chain import NODE_MISSING, NODE_REASON
from bridge_stage import BridgeStage, random_epoch

pytestmark = pytest.mark.skipif(NODE_MISSING, reason=NODE_REASON)

EPOCH_GAS = 160_000
CLAIM_GAS = 90_000


def test_an_epoch_is_carried_over_and_every_hospital_claims(
    stage: BridgeStage, capsys: pytest.CaptureFixture[str]
) -> None:
    epoch = random_epoch(7)
    epoch_gas = stage.submit(epoch)
    stage.wait_for_claims()
    claim_gas = [stage.chain.transact(stage.claim(epoch, index))["gasUsed"] for index in range(len(epoch.payouts))]
    assert [stage.balance(payout.account) for payout in epoch.payouts] == [payout.amount for payout in epoch.payouts]
    assert stage.functions.totalSupply().call() == epoch.root.total
    with capsys.disabled():
        print(f"\n  epoch with 3 of 4 endorsements {epoch_gas} gas, claims {min(claim_gas)} to {max(claim_gas)} gas")
    assert epoch_gas <= EPOCH_GAS
    assert max(claim_gas) <= CLAIM_GAS
