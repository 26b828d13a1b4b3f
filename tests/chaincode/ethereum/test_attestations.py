"""What the EVM's chaincode attests for the bridge, and that nothing else of it answers anything like it."""

from __future__ import annotations

import pytest
from federation_ledger import run
from federation_world import ALPHA, HOSPITALS
from resolution_world import BRIDGE_ADDRESS, MAJORITY, OTHER_ADDRESS, addition, bridge, decision
from reward_world import RewardsLedger, account, rewarded_terms

from consilium_chaincode.ethereum.bridge_decisions import registration
from consilium_chaincode.shim.contract import Contract, transaction
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.memory_stub import Simulation
from consilium_chaincode.shim.stub import ChaincodeStub, Creator
from consilium_proto.canonical import encode
from consilium_proto.ethereum.resolutions import (
    BridgeAction,
    BridgeDecisionReference,
    BridgeTerms,
    EndorserRevocation,
    EpochVoiding,
    Pausing,
    Resolution,
    ResolutionArgument,
    Resumption,
    ThresholdChange,
)
from consilium_proto.ethereum.rewards import RewardEpochReference
from consilium_proto.ethereum.scalars import as_data, from_data, from_quantity
from consilium_proto.refusals import RefusalCode
from consilium_proto.rewards.attestation import (
    DECISION_FUNCTION,
    EPOCH_FUNCTION,
    MAGIC,
    BridgeLocation,
    decode_epoch,
)
from consilium_proto.rewards.decisions import (
    Decision,
    Pause,
    Resume,
    RevokeEndorser,
    SetThreshold,
    VoidEpoch,
    encode_decision,
)

CHAIN_ID = 31_337


@pytest.fixture
def ledger() -> RewardsLedger:
    """A channel whose first epoch of rewards has something in it."""
    made = RewardsLedger()
    made.found()
    made.enact_rewards()
    made.start_study(rewarded_terms())
    for number, hospital in enumerate(HOSPITALS):
        made.name_address(hospital, account(number))
    made.play_round()
    return made


def resolve(ledger: RewardsLedger, resolution: Resolution) -> None:
    argument = ResolutionArgument(resolution=resolution)
    for hospital in MAJORITY:
        ledger.submit_evm("Approve", argument, hospital, "admin")
    ledger.submit_evm("Enact", argument)


def epoch_reference(number: int = 1) -> RewardEpochReference:
    return RewardEpochReference(epoch=number)


def attested(ledger: RewardsLedger, function: str, argument: RewardEpochReference | BridgeDecisionReference) -> bytes:
    outcome = ledger.ask_evm(function, argument)
    assert isinstance(outcome, Simulation), outcome
    assert not outcome.writes
    assert outcome.event is None
    return outcome.result


def location(ledger: RewardsLedger, address: str = BRIDGE_ADDRESS) -> BridgeLocation:
    return BridgeLocation(ledger.ledger.channel, CHAIN_ID, from_data(address))


def test_a_closed_epoch_is_attested_as_it_was_committed(ledger: RewardsLedger) -> None:
    closed = ledger.close_epoch()
    resolve(ledger, bridge())
    found = decode_epoch(attested(ledger, EPOCH_FUNCTION, epoch_reference()), location(ledger))
    assert (found.number, found.count) == (1, len(closed.payouts))
    assert (found.total, found.root) == (from_quantity(closed.total), from_data(closed.root))


def test_an_epoch_is_attested_once_it_is_closed_and_a_bridge_is_known(ledger: RewardsLedger) -> None:
    ledger.refuse_evm(RefusalCode.NOT_FOUND, EPOCH_FUNCTION, epoch_reference(), match="no bridge")
    resolve(ledger, bridge())
    # What peers would credit isn't committed yet.
    ledger.refuse_evm(RefusalCode.NOT_FOUND, EPOCH_FUNCTION, epoch_reference(), match="no closed epoch 1")
    closing = ledger.ask_evm("CloseEpoch", epoch_reference())
    assert isinstance(closing, Simulation)
    ledger.refuse_evm(RefusalCode.NOT_FOUND, EPOCH_FUNCTION, epoch_reference(), match="no closed epoch 1")
    ledger.commit(closing)
    assert attested(ledger, EPOCH_FUNCTION, epoch_reference()).startswith(MAGIC)


def test_epochs_are_attested_for_the_bridge_in_force_alone(ledger: RewardsLedger) -> None:
    ledger.close_epoch()
    resolve(ledger, bridge())
    resolve(ledger, bridge(revision=2, address=OTHER_ADDRESS))
    answer = attested(ledger, EPOCH_FUNCTION, epoch_reference())
    assert decode_epoch(answer, location(ledger, OTHER_ADDRESS)).number == 1
    assert ledger.read_evm(BridgeTerms, "ReadBridge").address == OTHER_ADDRESS


ROOT = bytes(range(32))


@pytest.mark.parametrize(
    ("before", "action", "expected"),
    [
        ((), EndorserRevocation(identity=as_data(ROOT)), RevokeEndorser(ROOT)),
        ((), ThresholdChange(threshold=3), SetThreshold(3)),
        ((), Pausing(), Pause()),
        ((Pausing(),), Resumption(), Resume()),
        ((), EpochVoiding(epoch=7, root=as_data(ROOT)), VoidEpoch(7, ROOT)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_enacted_decisions_are_attested(
    ledger: RewardsLedger, before: tuple[BridgeAction, ...], action: BridgeAction, expected: Decision
) -> None:
    resolve(ledger, bridge())
    for number, each in enumerate((*before, action), 1):
        resolve(ledger, decision(each, number))
    number = len(before) + 1
    answer = attested(ledger, DECISION_FUNCTION, BridgeDecisionReference(number=number))
    assert answer == encode_decision(location(ledger), number, expected)


def test_an_added_endorser_is_attested_with_the_key_in_its_certificate(ledger: RewardsLedger) -> None:
    resolve(ledger, bridge())
    added = addition()
    resolve(ledger, decision(added))
    answer = attested(ledger, DECISION_FUNCTION, BridgeDecisionReference(number=1))
    assert answer == encode_decision(location(ledger), 1, registration(added))


def test_what_was_approved_and_not_enacted_isnt_attested(ledger: RewardsLedger) -> None:
    resolve(ledger, bridge())
    for hospital in HOSPITALS:
        ledger.submit_evm("Approve", ResolutionArgument(resolution=decision(Pausing())), hospital, "admin")
    reference = BridgeDecisionReference(number=1)
    ledger.refuse_evm(RefusalCode.NOT_FOUND, DECISION_FUNCTION, reference, match="no enacted decision 1")


def test_another_bridges_decisions_arent_attested(ledger: RewardsLedger) -> None:
    """The new bridge was never told to pause; its first decision is to come."""
    resolve(ledger, bridge())
    resolve(ledger, decision(Pausing()))
    resolve(ledger, bridge(revision=2, address=OTHER_ADDRESS))
    reference = BridgeDecisionReference(number=1)
    ledger.refuse_evm(RefusalCode.NOT_FOUND, DECISION_FUNCTION, reference, match="bridge of revision 2")


class Between(Contract):
    """A chaincode that passes on what another one answers."""

    name = "between"

    @transaction("Ask")
    async def ask(self, stub: ChaincodeStub, function: bytes, argument: bytes) -> bytes:
        return await stub.invoke_chaincode("evm", function, argument)


def test_nothing_is_attested_by_way_of_another_chaincode(ledger: RewardsLedger) -> None:
    """The bridge would see the other chaincode's name; the answer isn't given to begin with."""
    ledger.close_epoch()
    resolve(ledger, bridge())
    creator = Creator(msp_id=ALPHA, certificate=b"", role="client")
    asking = ledger.ledger.simulate(
        Between(), "Ask", EPOCH_FUNCTION.encode(), encode(epoch_reference()), creator=creator, timestamp=ledger.now
    )
    with pytest.raises(ChaincodeError, match="FORBIDDEN"):
        run(asking)
