"""Fabric's chaincode lifecycle from Python: install at a peer, approve for an organisation, commit to the channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from fabric_protos.peer import policy_pb2
from fabric_protos.peer.lifecycle import lifecycle_pb2

from consilium_network.chaincode_package import Package
from consilium_network.errors import LifecycleError
from consilium_network.peer_administration import call_own_peer
from consilium_peers.errors import PeersError
from consilium_peers.gateway import Gateway
from consilium_peers.profile import Profile

LIFECYCLE = "_lifecycle"
VERSION = "1"
_ENDORSEMENT = "/Channel/Application/Endorsement"
_WAIT_SECONDS = 30.0
_INSTALLED = "already successfully installed"
_APPROVED, _OTHERWISE = "attempted to redefine", "with different parameters"


async def install(admin: Path, package: Package) -> None:
    """Install a package at the own peer of an admin (by profile); one that is there already is left alone.

    Raises:
        LifecycleError: the peer refuses or doesn't answer.
    """
    argument = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=package.content).SerializeToString()
    try:
        answer = await call_own_peer(admin, LIFECYCLE, "InstallChaincode", argument, error=LifecycleError)
    except LifecycleError as error:
        if _INSTALLED in str(error):
            return
        raise
    found = lifecycle_pb2.InstallChaincodeResult.FromString(answer).package_id
    if found != package.package_id:
        raise LifecycleError(f"the peer calls the package {found}, expected {package.package_id}")


async def committed_sequence(admin: Path, name: str) -> int:
    """Return the sequence of the chaincode's definition, as the admin's own peer knows it; 0 when there is none."""
    argument = lifecycle_pb2.QueryChaincodeDefinitionArgs(name=name).SerializeToString()
    try:
        answer = await _query(admin, "QueryChaincodeDefinition", argument)
    except LifecycleError as error:
        if "is not defined" in str(error):
            return 0
        raise
    return int(lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(answer).sequence)


async def approve(admin: Path, name: str, sequence: int, package_id: str) -> None:
    """Approve a definition for an organisation, and say which package its peer runs for it; once is enough.

    Raises:
        LifecycleError: it isn't endorsed or not committed.
    """
    source = lifecycle_pb2.ChaincodeSource(local_package=lifecycle_pb2.ChaincodeSource.Local(package_id=package_id))
    argument = _definition(
        lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs, name, sequence, source=source
    ).SerializeToString()
    organization = Profile.load(admin).organization
    try:
        await _submit(
            admin, "ApproveChaincodeDefinitionForMyOrg", argument, [organization], f"{organization} can't approve"
        )
    except LifecycleError as error:
        if _APPROVED not in str(error) or _OTHERWISE in str(error):
            raise


async def commit(admin: Path, name: str, sequence: int, hospitals: Sequence[str]) -> None:
    """Commit a definition that enough hospitals approved; `hospitals` are the MSP ids that endorse it.

    Raises:
        LifecycleError: too few approved, or it isn't endorsed or not committed.
    """
    argument = _definition(lifecycle_pb2.CommitChaincodeDefinitionArgs, name, sequence).SerializeToString()
    await _submit(admin, "CommitChaincodeDefinition", argument, hospitals, "can't commit")


async def wait_until_approved(admin: Path, name: str, sequence: int, hospitals: Sequence[str]) -> None:
    """Wait until the admin's own peer knows that all `hospitals` (MSP ids) approved.

    Peers endorse a commit by what they know, and a peer that is a block behind would give another answer.
    """
    argument = _definition(lifecycle_pb2.CheckCommitReadinessArgs, name, sequence).SerializeToString()

    async def approved() -> bool:
        answer = await _query(admin, "CheckCommitReadiness", argument)
        approvals = lifecycle_pb2.CheckCommitReadinessResult.FromString(answer).approvals
        return all(approvals.get(each, False) for each in hospitals)

    await _until(approved, f"not all approvals of {name} arrived at the own peer of {admin.parent.parent.name}")


async def wait_until_usable(admin: Path, name: str, sequence: int) -> None:
    """Wait until the admin's own peer knows the committed definition."""

    async def usable() -> bool:
        return await committed_sequence(admin, name) >= sequence

    await _until(usable, f"{name} did not arrive at the own peer of {admin.parent.parent.name}")


async def _until(condition: Callable[[], Awaitable[bool]], failure: str) -> None:
    deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while not await condition():
        if asyncio.get_running_loop().time() > deadline:
            raise LifecycleError(f"{failure} within {_WAIT_SECONDS:.0f} seconds")
        await asyncio.sleep(0.1)


async def _query(admin: Path, function: str, argument: bytes) -> bytes:
    return await call_own_peer(admin, LIFECYCLE, function, argument, error=LifecycleError, in_channel=True)


def _definition(kind: Any, name: str, sequence: int, **more: Any) -> Any:
    policy = policy_pb2.ApplicationPolicy(channel_config_policy_reference=_ENDORSEMENT)
    return kind(
        name=name,
        version=VERSION,
        sequence=sequence,
        endorsement_plugin="escc",
        validation_plugin="vscc",
        validation_parameter=policy.SerializeToString(),
        **more,
    )


async def _submit(admin: Path, function: str, argument: bytes, organizations: Sequence[str], failed: str) -> None:
    try:
        async with Gateway.connect(Profile.load(admin)) as gateway:
            contract = gateway.network().contract(LIFECYCLE)
            await contract.submit(function, argument, endorsing_organizations=organizations)
    except PeersError as error:
        raise LifecycleError(f"{failed} the chaincode: {error}") from None
