"""A played channel that has the EVM and a ledger of rewards beside the federation, and a study that is rewarded."""

from __future__ import annotations

import federation_world as world
from ethereum_world import deploying
from played_calls import Call
from played_chain import PlayedChain
from played_membership import PlayedConsortium
from reward_world import account, evm_terms, rewarded_terms

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_proto.canonical import Record, decode
from consilium_proto.ethereum.resolutions import ResolutionArgument
from consilium_proto.ethereum.rewards import ClaimReport, PayoutAddressChange, RewardEpochReference
from consilium_proto.ethereum.scalars import EVM_CHAINCODE, as_data
from consilium_proto.ethereum.transactions import IdentityTransaction, ReceiptRecord
from consilium_proto.records import RoundReference, StudyReference

TERMS = rewarded_terms()
LOOPS = assemble("JUMPDEST", 0, "JUMP")
"""Code that runs until its gas is used up."""


class RewardedChain(PlayedChain):
    """Federation and EVM, both real contracts."""

    def __init__(self, consortium: PlayedConsortium | None = None) -> None:
        super().__init__(consortium or PlayedConsortium())
        self.contracts[EVM_CHAINCODE] = EthereumContract(clock=lambda: self.now, heights=None)
        self.ledger.chaincodes[EVM_CHAINCODE] = self.contracts[EVM_CHAINCODE]

    def copied(self) -> RewardedChain:
        """Return a chain that goes on from here, with the same members."""
        other = RewardedChain(self.consortium)
        other.now, other.raw = self.now, list(self.raw)
        other.ledger.state = dict(self.ledger.state)
        other._previous, other._configured_in = self._previous, self._configured_in
        return other

    def submit_evm(self, function: str, record: Record, organization: str, role: str = "client") -> int:
        """Commit an honest transaction of chaincode `evm` in a block of its own."""
        return self.submit(function, record, organization, role, EVM_CHAINCODE)

    def enact(self) -> None:
        """Found the consortium and put the EVM's terms into force, which creates the ledger of rewards."""
        self.found()
        self.commit(self.definition(EVM_CHAINCODE))
        argument = ResolutionArgument(resolution=evm_terms())
        for hospital in world.HOSPITALS[:3]:
            self.submit_evm("Approve", argument, hospital, "admin")
        self.submit_evm("Enact", argument, world.ALPHA)

    def name_address(self, hospital: str = world.ALPHA, number: int = 1) -> int:
        return self.submit_evm("SetPayoutAddress", PayoutAddressChange(account=account(number)), hospital, "admin")

    def close_epoch(self, number: int = 1) -> int:
        return self.submit_evm("CloseEpoch", RewardEpochReference(epoch=number), world.ALPHA)

    def report_claim(self, hospital: str = world.ALPHA, epoch: int = 1, index: int = 0) -> int:
        report = ClaimReport(epoch=epoch, index=index, chain_id=31_337, transaction=as_data(bytes([7]) * 32))
        return self.submit_evm("ReportClaim", report, hospital)

    def execution(self, to: str | None, data: bytes = b"", gas: int = 1_000_000) -> Call:
        """Return a transaction of the EVM, of Alpha's client."""
        argument = IdentityTransaction(to=to, data=as_data(data), value="0x0", gas=hex(gas), block_number=len(self.raw))
        return self.simulate("Execute", argument, world.ALPHA, chaincode=EVM_CHAINCODE)

    def create(self, code: bytes) -> str:
        """Create a contract with this code; return its address."""
        call = self.execution(None, deploying(code))
        self.commit(call)
        made = decode(ReceiptRecord, call.answer)
        assert made.contract is not None, made.error
        return made.contract

    def begin_rewarded_study(self) -> None:
        """Enact the terms, and propose and activate a study with a reward."""
        self.enact()
        self.submit("ProposeStudy", TERMS, world.ALPHA, "admin")
        self.activate(TERMS)

    def finalising(self, number: int = 1) -> Call:
        """Return the honest transaction that makes a round final and credits it."""
        return self.simulate("Advance", RoundReference(study=world.STUDY, round=number), world.ALPHA)

    def ask(self) -> int:
        """Commit a question about the study, so that the trail has all blocks up to here."""
        return self.submit("ReadStudy", StudyReference(study=world.STUDY), world.ALPHA)
