"""Step 6 for configurations: every change was signed as the changed part's own policy asks, and nothing else changed.

As common/configtx: an update names elements with versions. An element whose version it raises by one is changed, and
the element's modification policy, as it was before, must be satisfied by the update's signatures.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consilium_trail.blocks.configuration import ROOT, ChannelConfiguration, ConfigurationUpdate
from consilium_trail.membership import Identity, Membership, NotAMemberError
from consilium_trail.policy_evaluation import is_satisfied
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.moments import outside_period

GROUP, VALUE, POLICY = "group", "value", "policy"
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class _Element:
    """One element of a configuration: `content` is its bytes, or the names of a group's members."""

    version: int
    rule: str
    content: object


Elements = dict[tuple[str, str], _Element]
"""By kind and path."""


def check_update(
    place: Place,
    channel: str,
    before: ChannelConfiguration,
    after: ChannelConfiguration,
    membership: Membership,
    passed: datetime,
) -> None:
    """Check that a configuration follows from the one before by the update that it names.

    Raises:
        UnsoundError: it doesn't, or somebody didn't sign who had to.
    """
    update = after.update
    if update is None or update.channel != channel:
        raise UnsoundError(Step.POLICIES, place, "the configuration doesn't say which update of this channel led to it")
    signers, problems = _signers(update, membership, passed)
    now = _elements(before.tree)
    read, written = _elements(update.update.read_set), _elements(update.update.write_set)
    for key, element in read.items():
        if key not in now or now[key].version != element.version:
            raise UnsoundError(Step.POLICIES, place, f"the update was made for another version of {key[1]}")
    changed = {key: each for key, each in written.items() if key not in read or read[key].version != each.version}
    if not changed:
        raise UnsoundError(Step.POLICIES, place, "the update changes nothing")
    for key, element in changed.items():
        _check_change(place, key, element, now.get(key), before, signers, problems)
    expected = _reachable({**now, **changed})
    found = _elements(after.tree)
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            raise UnsoundError(Step.POLICIES, place, f"{key[1]} isn't as the signed update makes it")
    if after.sequence != before.sequence + 1:
        raise UnsoundError(Step.POLICIES, place, f"configuration {after.sequence} follows {before.sequence}")


def _check_change(
    place: Place,
    key: tuple[str, str],
    element: _Element,
    existing: _Element | None,
    before: ChannelConfiguration,
    signers: list[Identity],
    problems: list[str],
) -> None:
    kind, path = key
    if existing is None:
        # What is new was allowed by whoever may change the group that it is put into.
        if element.version != 0:
            raise UnsoundError(Step.POLICIES, place, f"{path} is new and has version {element.version}")
        return
    if element.version != existing.version + 1:
        raise UnsoundError(Step.POLICIES, place, f"{path} goes from version {existing.version} to {element.version}")
    rule = existing.rule
    group = path if kind == GROUP else path.rpartition("/")[0]
    name = rule if rule.startswith("/") else f"{group}/{rule}"
    policy = before.policies.get(name)
    if policy is None or not is_satisfied(policy, name.rpartition("/")[0], before, signers):
        who = ", ".join(sorted({each.msp_id for each in signers})) or "nobody"
        wrong = f" ({'; '.join(problems)})" if problems else ""
        raise UnsoundError(
            Step.POLICIES, place, f"{path} was changed by {who}{wrong}; {name or 'no policy'}: {policy} isn't satisfied"
        )


def _signers(update: ConfigurationUpdate, membership: Membership, passed: datetime) -> tuple[list[Identity], list[str]]:
    good: list[Identity] = []
    problems: list[str] = []
    for each in update.signatures:
        try:
            identity = membership.identity(each.signer)
        except NotAMemberError as error:
            problems.append(str(error))
            continue
        if not identity.trusted:
            problems.append(f"the root of {identity.msp_id} isn't among the trusted ones")
        elif late := outside_period(identity, passed):
            problems.append(late)
        elif not identity.has_signed(each.signature, each.header + update.raw):
            problems.append(f"the signature of {identity.msp_id} isn't its own")
        else:
            good.append(identity)
    return good, problems


def _elements(tree: Any) -> Elements:
    found: Elements = {}
    _collect(tree, ROOT, found)
    return found


def _collect(group: Any, path: str, found: Elements) -> None:
    if path.count("/") > _DEEPEST:
        return
    members = (frozenset(group.groups), frozenset(group.values), frozenset(group.policies))
    found[GROUP, path] = _Element(int(group.version), str(group.mod_policy), members)
    for name in group.values:
        value = group.values[name]
        found[VALUE, f"{path}/{name}"] = _Element(int(value.version), str(value.mod_policy), bytes(value.value))
    for name in group.policies:
        policy = group.policies[name]
        content = policy.policy.SerializeToString(deterministic=True)
        found[POLICY, f"{path}/{name}"] = _Element(int(policy.version), str(policy.mod_policy), content)
    for name in group.groups:
        _collect(group.groups[name], f"{path}/{name}", found)


def _reachable(elements: Elements) -> Elements:
    """Return the elements that groups still have as members: leaving one out of a changed group removes it."""
    found: Elements = {}

    def visit(path: str) -> None:
        group = elements.get((GROUP, path))
        if group is None or (GROUP, path) in found:
            return
        found[GROUP, path] = group
        assert isinstance(group.content, tuple)
        groups, values, policies = group.content
        for kind, names in ((VALUE, values), (POLICY, policies)):
            for name in names:
                key = (kind, f"{path}/{name}")
                if key in elements:
                    found[key] = elements[key]
        for name in groups:
            visit(f"{path}/{name}")

    visit(ROOT)
    return found
