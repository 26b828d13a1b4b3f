"""Which endorsement policy holds for a chaincode: as its definition says, which the hospitals committed on the channel.

Definitions are values in the `_lifecycle` namespace (core/chaincode/lifecycle), so the blocks hold them too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fabric_protos.peer import collection_pb2, policy_pb2
from fabric_protos.peer.lifecycle import chaincode_definition_pb2, db_pb2

from consilium_trail.blocks.configuration import APPLICATION, ChannelConfiguration
from consilium_trail.blocks.policies import OutOf, Policy, Principal, Signed, rule_of
from consilium_trail.blocks.wire import parse
from consilium_trail.errors import MalformedBlockError, MalformedConfigurationError, TrailError

LIFECYCLE = "_lifecycle"
FEDERATION = "federation"
_IMPLICIT = "_implicit_org_"
_VALIDATOR = "vscc"

ReadValue = Callable[[str], bytes | None]
"""Returns a value of the `_lifecycle` namespace by its key."""


class NoDefinitionError(TrailError):
    """A chaincode has no definition that can be used, so none of its transactions is valid."""


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy and where it stands: the path of its group, or of the definition."""

    name: str
    policy: Policy

    def __str__(self) -> str:
        return f"{self.name}: {self.policy}"


def chaincode_policy(configuration: ChannelConfiguration, chaincode: str, read: ReadValue) -> PolicyInForce:
    """Return a chaincode's endorsement policy.

    Raises:
        NoDefinitionError: it has none.
    """
    if chaincode == LIFECYCLE:
        return channel_policy(configuration, f"{APPLICATION}/LifecycleEndorsement")
    raw = _field(read, chaincode, "ValidationInfo")
    try:
        info = parse(chaincode_definition_pb2.ChaincodeValidationInfo, raw, f"the definition of {chaincode}")
        if info.validation_plugin != _VALIDATOR:
            raise NoDefinitionError(f"{chaincode} is validated by {info.validation_plugin!r}, not by {_VALIDATOR}")
        return _application_policy(configuration, bytes(info.validation_parameter), chaincode)
    except (MalformedBlockError, MalformedConfigurationError) as error:
        raise NoDefinitionError(str(error)) from None


def collection_policy(
    configuration: ChannelConfiguration, chaincode: str, collection: str, read: ReadValue
) -> PolicyInForce | None:
    """Return a private collection's own endorsement policy; None when its chaincode's holds for it.

    Raises:
        NoDefinitionError: there is no such collection.
    """
    if collection.startswith(_IMPLICIT):
        return _implicit_policy(configuration, collection.removeprefix(_IMPLICIT))
    try:
        package = parse(
            collection_pb2.CollectionConfigPackage,
            _field(read, chaincode, "Collections"),
            f"collections of {chaincode}",
        )
        for each in package.config:
            static = each.static_collection_config
            if static.name == collection:
                if not static.HasField("endorsement_policy"):
                    return None
                raw = static.endorsement_policy.SerializeToString()
                return _application_policy(configuration, raw, f"{chaincode}/{collection}")
    except (MalformedBlockError, MalformedConfigurationError) as error:
        raise NoDefinitionError(str(error)) from None
    raise NoDefinitionError(f"{chaincode} has no collection {collection}")


def channel_policy(configuration: ChannelConfiguration, path: str) -> PolicyInForce:
    """Return a policy of the channel's configuration.

    Raises:
        NoDefinitionError: there is none of that name.
    """
    policy = configuration.policies.get(path)
    if policy is None:
        raise NoDefinitionError(f"the channel has no policy {path}")
    return PolicyInForce(path, policy)


def _implicit_policy(configuration: ChannelConfiguration, msp_id: str) -> PolicyInForce:
    name = configuration.application_name(msp_id)
    if name is None:
        raise NoDefinitionError(f"{msp_id} isn't an organisation of the channel")
    path = f"{APPLICATION}/{name}/Endorsement"
    if path in configuration.policies:
        return PolicyInForce(path, configuration.policies[path])
    return PolicyInForce(path, OutOf(1, (Signed(Principal(msp_id, "MEMBER")),)))


def _application_policy(configuration: ChannelConfiguration, raw: bytes, chaincode: str) -> PolicyInForce:
    policy = parse(policy_pb2.ApplicationPolicy, raw, f"the policy of {chaincode}")
    kind = policy.WhichOneof("Type")
    if kind == "channel_config_policy_reference":
        reference = str(policy.channel_config_policy_reference)
        return channel_policy(configuration, reference if reference.startswith("/") else f"{APPLICATION}/{reference}")
    if kind == "signature_policy":
        return PolicyInForce(f"definition of {chaincode}", rule_of(policy.signature_policy))
    raise NoDefinitionError(f"the definition of {chaincode} has no policy")


def _field(read: ReadValue, chaincode: str, field: str) -> bytes:
    stored = read(f"namespaces/fields/{chaincode}/{field}")
    if stored is None:
        raise NoDefinitionError(f"no definition of chaincode {chaincode} is committed on the channel")
    try:
        return bytes(parse(db_pb2.StateData, stored, f"the definition of {chaincode}").Bytes)
    except MalformedBlockError as error:
        raise NoDefinitionError(str(error)) from None
