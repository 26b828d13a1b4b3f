"""What the federation asks of chaincode `evm`: whether a reward can be paid, and to credit a final round.

Both happen in the transaction that calls, so a round and its reward are valid together or not at all. Nothing of an
answer is used: whoever replays the federation alone can leave the EVM out.
"""

from __future__ import annotations

from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.errors import StateError
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.ethereum.rewards import RewardCheck, RoundCredit
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_proto.refusals import RefusalCode


async def check_rewards(stub: ChaincodeStub, check: RewardCheck) -> None:
    """Refuse a reward that the channel's ledger of rewards can't pay.

    Raises:
        Refused: NOT_FOUND, the channel has no chaincode that keeps rewards.
        ChaincodeError: that chaincode refuses; its message begins with a refusal code.
    """
    try:
        await stub.invoke_chaincode(EVM_CHAINCODE, b"CheckRewards", encode(check))
    except StateError as error:
        raise Refused(
            RefusalCode.NOT_FOUND,
            f"the study has a reward and chaincode {EVM_CHAINCODE} can't be asked about it ({error}); have it "
            "deployed, or propose the study without a reward",
        ) from None


async def credit_round(stub: ChaincodeStub, credit: RoundCredit) -> None:
    """Credit a round.

    Raises:
        ChaincodeError: it can't be credited, so the round doesn't become final either.
    """
    await stub.invoke_chaincode(EVM_CHAINCODE, b"CreditRound", encode(credit))
