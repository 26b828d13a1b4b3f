"""Policies, decoded: rules over principals, and rules over the policies of a group's members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fabric_protos.common import policies_pb2
from fabric_protos.msp import msp_principal_pb2

from consilium_trail.blocks.wire import parse, parse_identity
from consilium_trail.errors import MalformedBlockError, MalformedConfigurationError

_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Principal:
    """Who may sign: a role in an organisation, or one identity.

    Attributes:
        msp_id: the organisation.
        role: MEMBER, ADMIN, CLIENT, PEER or ORDERER; empty for one identity.
        identity: the serialized identity; empty for a role.
    """

    msp_id: str
    role: str = ""
    identity: bytes = b""

    def __str__(self) -> str:
        return f"'{self.msp_id}.{self.role.lower()}'" if self.role else f"one identity of {self.msp_id}"


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature of a principal."""

    by: Principal

    def __str__(self) -> str:
        return str(self.by)


@dataclass(frozen=True, slots=True)
class OutOf:
    """At least `count` of the rules, each satisfied by signers of its own."""

    count: int
    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return f"OutOf({self.count}, {', '.join(str(rule) for rule in self.rules)})"


Rule = Signed | OutOf


@dataclass(frozen=True, slots=True)
class ImplicitMeta:
    """`rule` (ANY, ALL or MAJORITY) of the policies called `of` in the groups below."""

    rule: str
    of: str

    def __str__(self) -> str:
        return f"{self.rule} {self.of}"


Policy = Signed | OutOf | ImplicitMeta


def decode_policy(message: Any) -> Policy:
    """Decode a `common.Policy` of a configuration.

    Raises:
        MalformedConfigurationError: it isn't one that Fabric can evaluate.
    """
    kind = policies_pb2.Policy.PolicyType
    try:
        if message.type == kind.SIGNATURE:
            return decode_signature_policy(bytes(message.value))
        if message.type == kind.IMPLICIT_META:
            meta = parse(policies_pb2.ImplicitMetaPolicy, message.value, "the policy")
            return ImplicitMeta(policies_pb2.ImplicitMetaPolicy.Rule.Name(meta.rule), str(meta.sub_policy))
    except (MalformedBlockError, ValueError) as error:
        raise MalformedConfigurationError(str(error)) from None
    raise MalformedConfigurationError(f"policies of type {message.type} can't be evaluated")


def decode_signature_policy(raw: bytes) -> Rule:
    """Decode a serialized `common.SignaturePolicyEnvelope`.

    Raises:
        MalformedConfigurationError: it isn't one that can be evaluated.
    """
    try:
        return rule_of(parse(policies_pb2.SignaturePolicyEnvelope, raw, "the policy"))
    except MalformedBlockError as error:
        raise MalformedConfigurationError(str(error)) from None


def rule_of(envelope: Any) -> Rule:
    """Return the rule in a `common.SignaturePolicyEnvelope` message.

    Raises:
        MalformedConfigurationError: it can't be evaluated.
    """
    if envelope.version != 0:
        raise MalformedConfigurationError(f"signature policies of version {envelope.version} can't be evaluated")
    return _rule(envelope.rule, [_principal(each) for each in envelope.identities], 0)


def _rule(message: Any, principals: list[Principal], depth: int) -> Rule:
    kind = message.WhichOneof("Type")
    if kind == "signed_by" and 0 <= message.signed_by < len(principals):
        return Signed(principals[message.signed_by])
    if kind == "n_out_of" and depth < _DEEPEST:
        rules = tuple(_rule(each, principals, depth + 1) for each in message.n_out_of.rules)
        return OutOf(int(message.n_out_of.n), rules)
    raise MalformedConfigurationError("a signature policy's rule doesn't fit its identities, or is nested too deeply")


def _principal(message: Any) -> Principal:
    kinds = msp_principal_pb2.MSPPrincipal.Classification
    try:
        if message.principal_classification == kinds.ROLE:
            role = parse(msp_principal_pb2.MSPRole, message.principal, "a principal")
            return Principal(str(role.msp_identifier), msp_principal_pb2.MSPRole.MSPRoleType.Name(role.role))
        if message.principal_classification == kinds.IDENTITY:
            raw = bytes(message.principal)
            return Principal(parse_identity(raw, "a principal")[0], identity=raw)
    except (MalformedBlockError, ValueError) as error:
        raise MalformedConfigurationError(str(error)) from None
    raise MalformedConfigurationError(f"principals of class {message.principal_classification} can't be evaluated")
