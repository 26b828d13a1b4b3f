"""Whether signers satisfy a policy, as Fabric decides it (common/cauthdsl, common/policies/implicitmeta.go)."""

from __future__ import annotations

from collections.abc import Sequence

from consilium_trail.blocks.configuration import ChannelConfiguration
from consilium_trail.blocks.policies import ImplicitMeta, OutOf, Policy, Rule, Signed
from consilium_trail.membership import Identity


def is_satisfied(policy: Policy, group: str, configuration: ChannelConfiguration, signers: Sequence[Identity]) -> bool:
    """Tell whether signers satisfy a policy.

    Args:
        policy: the policy.
        group: the path of the group that it stands in; only a rule over the groups below needs it.
        configuration: the channel's.
        signers: whose signatures are good; one that is named twice counts once.
    """
    distinct = list({(each.msp_id, each.certificate): each for each in signers}.values())
    if isinstance(policy, ImplicitMeta):
        return _implicit(policy, group, configuration, distinct)
    return _rule(policy, distinct, [False] * len(distinct))


def _implicit(
    policy: ImplicitMeta, group: str, configuration: ChannelConfiguration, signers: Sequence[Identity]
) -> bool:
    members = configuration.groups.get(group, ())
    satisfied = 0
    for name in members:
        path = f"{group}/{name}"
        below = configuration.policies.get(f"{path}/{policy.of}")
        if below is not None and is_satisfied(below, path, configuration, signers):
            satisfied += 1
    needed = {"ANY": 1, "ALL": len(members), "MAJORITY": len(members) // 2 + 1}[policy.rule]
    return satisfied >= (needed if members else 0)


def _rule(rule: Rule, signers: Sequence[Identity], used: list[bool]) -> bool:
    """Evaluate a rule and mark the signers that it uses up: none counts for two principals."""
    if isinstance(rule, Signed):
        for position, signer in enumerate(signers):
            if not used[position] and signer.satisfies(rule.by):
                used[position] = True
                return True
        return False
    assert isinstance(rule, OutOf)
    satisfied = 0
    for each in rule.rules:
        attempt = list(used)
        if _rule(each, signers, attempt):
            satisfied += 1
            used[:] = attempt
    return satisfied >= rule.count
