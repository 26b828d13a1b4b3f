"""What the hospitals resolve about the EVM and the bridge: they approve it, and a majority's word is enacted."""

from __future__ import annotations

from consilium_chaincode.ethereum import resolutions as rules
from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.addresses import FEDERATION_ADDRESS
from consilium_chaincode.ethereum.consortium import HOSPITAL, hospitals_of
from consilium_chaincode.ethereum.contract_parts import EthereumPart
from consilium_chaincode.ethereum.environment import system_environment
from consilium_chaincode.ethereum.reward_contract import constructor_arguments
from consilium_chaincode.ethereum.system_calls import call_as_federation
from consilium_chaincode.federation.callers import ADMIN, CLIENT
from consilium_chaincode.federation.contract_parts import (
    CORRUPT_STATUS,
    answer,
    caller_of,
    check_any_reader,
    check_empty,
    takes,
)
from consilium_chaincode.federation.deadlines import CONSORTIUM_TOLERANCE
from consilium_chaincode.federation.ledger_state import LedgerState, require_unwritten
from consilium_chaincode.shim.contract import query, transaction
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.stub import ChaincodeStub, split_composite_key
from consilium_proto.canonical import decode, digest, encode
from consilium_proto.contracts import REWARD_LEDGER, load_artifact
from consilium_proto.ethereum.resolutions import (
    BridgeDecision,
    BridgeTerms,
    EvmTerms,
    PendingResolution,
    Resolution,
    ResolutionApproval,
    ResolutionArgument,
    ResolutionsView,
    RewardLedgerTerms,
)
from consilium_proto.ethereum.rewards import RewardLedgerAddress
from consilium_proto.ethereum.scalars import as_data


class ResolutionFunctions(EthereumPart):
    """Approve, Enact, ReadResolutions."""

    @transaction("Approve")
    @takes(ResolutionArgument)
    async def approve(self, stub: ChaincodeStub, argument: ResolutionArgument) -> bytes:
        """Record one hospital's approval of a resolution that could be enacted next."""
        # Who may: an admin of a hospital.
        caller = caller_of(stub, ADMIN)
        # Read: who decides and what is in force, the caller's own key.
        standing = await _standing(stub, argument.resolution)
        own_key = _approval_key(argument.resolution, caller.organization)
        existing = await LedgerState(stub).read(ResolutionApproval, own_key)
        # Check.
        caller.require_among(standing.hospitals, HOSPITAL)
        self.timestamp(stub, CONSORTIUM_TOLERANCE)
        kind, number = rules.place(argument.resolution)
        require_unwritten(existing, f"{caller.organization}'s approval of {kind} {number}")
        rules.check_successor(standing, argument.resolution)
        # Write: the caller's own key.
        await LedgerState(stub).write(own_key, ResolutionApproval(resolution=argument.resolution))
        return b""

    @transaction("Enact")
    @takes(ResolutionArgument)
    async def enact(self, stub: ChaincodeStub, argument: ResolutionArgument) -> bytes:
        """Put a resolution in force that a majority of the hospitals approved."""
        # Who may: a client or admin of a hospital; the majority has decided.
        caller = caller_of(stub, CLIENT, ADMIN)
        # Read: who decides and what is in force, every hospital's approval.
        resolution = argument.resolution
        standing = await _standing(stub, resolution)
        keys = [_approval_key(resolution, hospital) for hospital in standing.hospitals]
        approvals = await LedgerState(stub).read_all(ResolutionApproval, keys)
        # Check.
        caller.require_among(standing.hospitals, HOSPITAL)
        self.timestamp(stub, CONSORTIUM_TOLERANCE)
        rules.check_successor(standing, resolution)
        approved_by = {each for each, found in zip(standing.hospitals, approvals, strict=True) if found is not None}
        rules.check_approvals(standing, resolution, approved_by)
        # Write: the resolution; with the first terms that have rewards, their contract.
        await LedgerState(stub).write(_key_in_force(resolution), resolution)
        rewards = rules.rewards_to_create(standing, resolution)
        if rewards is not None and isinstance(resolution, EvmTerms):
            await _create_reward_ledger(stub, resolution, rewards)
        return b""

    @query("ReadResolutions")
    async def read_resolutions(self, stub: ChaincodeStub, argument: bytes = b"") -> bytes:
        """Return what is in force, and what could come next with who approved it. Anyone in the channel may ask."""
        check_empty(argument)
        return await answer(self._read_resolutions(stub))

    async def _read_resolutions(self, stub: ChaincodeStub) -> bytes:
        check_any_reader(stub)
        terms, bridge = await _terms_of_both(stub)
        decisions = () if bridge is None else await _decisions(stub, bridge.revision)
        pending = [
            *await _pending(stub, EvmTerms, 1 if terms is None else terms.revision + 1),
            *await _pending(stub, BridgeTerms, 1 if bridge is None else bridge.revision + 1),
            *await _pending(stub, BridgeDecision, len(decisions) + 1),
        ]
        revision = 0 if bridge is None else bridge.revision
        current = [each for each in pending if getattr(each.resolution, "bridge", revision) == revision]
        return encode(ResolutionsView(terms=terms, bridge=bridge, decisions=decisions, pending=tuple(current)))


async def _standing(stub: ChaincodeStub, resolution: Resolution) -> rules.Standing:
    """Return who decides, and what is in force of what matters to a resolution."""
    hospitals = await hospitals_of(stub)
    terms, bridge = await _terms_of_both(stub)
    if bridge is None or not isinstance(resolution, BridgeDecision):
        return rules.Standing(hospitals, terms, bridge)
    return rules.Standing(hospitals, terms, bridge, await _decisions(stub, bridge.revision))


async def _terms_of_both(stub: ChaincodeStub) -> tuple[EvmTerms | None, BridgeTerms | None]:
    ledger = LedgerState(stub)
    return (
        await ledger.read(EvmTerms, state_keys.evm_terms()),
        await ledger.read(BridgeTerms, state_keys.bridge_terms()),
    )


async def _decisions(stub: ChaincodeStub, bridge: int) -> tuple[BridgeDecision, ...]:
    entries = stub.by_partial_key(state_keys.BRIDGE_DECISION_KIND, str(bridge))
    found = [decode(BridgeDecision, entry.value) async for entry in entries]
    return tuple(sorted(found, key=lambda decision: decision.number))


async def _pending(stub: ChaincodeStub, kind: type[Resolution], number: int) -> list[PendingResolution]:
    """Return the resolutions of a series that were approved under a number, by their digests."""
    approved: dict[str, list[str]] = {}
    resolutions: dict[str, Resolution] = {}
    async for entry in stub.by_partial_key(state_keys.RESOLUTION_APPROVAL_KIND, rules.series(kind), str(number)):
        *_, found, hospital = split_composite_key(entry.key)[1]
        approved.setdefault(found, []).append(hospital)
        resolutions[found] = decode(ResolutionApproval, entry.value).resolution
    return [
        PendingResolution(resolution=resolutions[each], approved_by=tuple(sorted(approved[each])))
        for each in sorted(approved)
    ]


async def _create_reward_ledger(stub: ChaincodeStub, terms: EvmTerms, rewards: RewardLedgerTerms) -> None:
    code = load_artifact(REWARD_LEDGER).creation_code + constructor_arguments(rewards, FEDERATION_ADDRESS)
    receipt = await call_as_federation(stub, None, code, system_environment(stub, terms))
    if receipt.contract is None:
        raise ChaincodeError("the contract of the rewards has no address although it was created", CORRUPT_STATUS)
    address = RewardLedgerAddress(contract=as_data(receipt.contract))
    await LedgerState(stub).write(state_keys.reward_ledger(), address)


def _key_in_force(resolution: Resolution) -> str:
    if isinstance(resolution, EvmTerms):
        return state_keys.evm_terms()
    if isinstance(resolution, BridgeTerms):
        return state_keys.bridge_terms()
    return state_keys.bridge_decision(resolution.bridge, resolution.number)


def _approval_key(resolution: Resolution, hospital: str) -> str:
    kind, number = rules.place(resolution)
    return state_keys.resolution_approval(kind, number, digest(resolution), hospital)
