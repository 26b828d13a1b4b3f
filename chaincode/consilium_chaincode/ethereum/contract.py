"""Chaincode `evm`, composed of its parts as the federation's is: a file for each group of functions."""

from __future__ import annotations

from collections.abc import Callable

from consilium_chaincode.ethereum.bridge_functions import BridgeFunctions
from consilium_chaincode.ethereum.heights import Heights, PeerMetrics
from consilium_chaincode.ethereum.question_functions import QuestionFunctions
from consilium_chaincode.ethereum.reading_functions import ReadingFunctions
from consilium_chaincode.ethereum.resolution_functions import ResolutionFunctions
from consilium_chaincode.ethereum.reward_functions import RewardFunctions
from consilium_chaincode.ethereum.transaction_functions import TransactionFunctions
from consilium_chaincode.federation.contract import endorser_clock

_PEER_METRICS = PeerMetrics()


class EthereumContract(
    TransactionFunctions, QuestionFunctions, ReadingFunctions, ResolutionFunctions, RewardFunctions, BridgeFunctions
):
    """All functions of the EVM on the ledger. Tests and replays give a clock and heights of their own."""

    def __init__(
        self, clock: Callable[[], int] = endorser_clock, heights: Heights | None = _PEER_METRICS.height
    ) -> None:
        super().__init__(clock, heights)
