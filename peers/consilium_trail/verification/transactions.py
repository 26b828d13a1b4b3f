"""Steps 4 to 6 for one transaction: its creator, its endorsements, and the endorsement policies of all that it writes.

The order is that of Fabric's peers (core/committer/txvalidator/v20), so that the outcome is the validation code that
honest peers gave. Peers accept expired certificates and whatever roots the configuration names; a verifier doesn't. So
what peers accept is then judged again by the signers whose chains were valid at the time and lead to trusted roots.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime

from consilium_trail.blocks.configuration import ChannelConfiguration
from consilium_trail.blocks.policies import decode_signature_policy
from consilium_trail.blocks.read_write_sets import NamespaceSet
from consilium_trail.blocks.transactions import Envelope, Invocation, Transaction, decode_envelope, decode_invocation
from consilium_trail.definitions import LIFECYCLE, NoDefinitionError, PolicyInForce, chaincode_policy, collection_policy
from consilium_trail.errors import MalformedConfigurationError, MalformedTransactionError
from consilium_trail.membership import Identity, Membership, NotAMemberError
from consilium_trail.policy_evaluation import is_satisfied
from consilium_trail.state import Place as StatePlace
from consilium_trail.state import State
from consilium_trail.validation_codes import VALID
from consilium_trail.verification.findings import Step
from consilium_trail.verification.moments import outside_period, vouched_moment


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction before versions were looked at.

    Attributes:
        code: the validation code that honest peers give it.
        step: which check decided, for a code that isn't VALID.
        reason: why.
        transaction: decoded; None when it can't be.
        objection: why a verifier doesn't take what peers took: the step and the reason.
        policies: the endorsement policies that it satisfied.
        endorsers: who endorsed it with good signatures.
        endorsements: how many signatures were checked.
    """

    code: str
    step: Step = Step.FLAGS
    reason: str = ""
    transaction: Transaction | None = None
    objection: tuple[Step, str] | None = None
    policies: tuple[PolicyInForce, ...] = ()
    endorsers: tuple[str, ...] = ()
    endorsements: int = 0


@dataclass(frozen=True)
class Rules:
    """What transactions of a block are judged by: channel, configuration, the state before the block, the time."""

    channel: str
    configuration: ChannelConfiguration
    membership: Membership
    state: State
    passed: datetime
    used_ids: Container[str]

    def judge(
        self, raw: bytes, transaction: Transaction | None, changed_policies: set[tuple[StatePlace, str]]
    ) -> Outcome:
        """Judge a transaction.

        Args:
            raw: the transaction, as it stands in the block.
            transaction: the same, decoded; None when it can't be.
            changed_policies: keys whose own policies earlier transactions of the block change; other transactions can't
                write these in the same block. This one's are added when it is found good.
        """
        try:
            envelope = transaction.envelope if transaction else decode_envelope(raw)
            problem, creator = self._creator(envelope)
            if creator is None:
                return Outcome("BAD_CREATOR_SIGNATURE", Step.CREATORS, problem, transaction)
            call = transaction.invocation if transaction else decode_invocation(envelope)
        except MalformedTransactionError as error:
            return Outcome(error.code, Step.FLAGS, str(error))
        if call is None:
            return Outcome(VALID, transaction=transaction, objection=self._objection(creator, None))
        if envelope.tx_id in self.used_ids:
            return Outcome("DUPLICATE_TXID", reason="its id was used before", transaction=transaction)
        whole = Transaction(envelope, call)
        return self._endorsed(whole, call, creator, vouched_moment(whole), changed_policies)

    def _creator(self, envelope: Envelope) -> tuple[str, Identity | None]:
        if envelope.channel != self.channel:
            return f"it is of channel {envelope.channel!r}", None
        if envelope.creator is None:
            return "it has no creator", None
        try:
            creator = self.membership.identity(envelope.creator)
        except NotAMemberError as error:
            return str(error), None
        if not creator.has_signed(envelope.signature, envelope.payload):
            return f"the signature isn't that of its creator, of {creator.msp_id}", None
        return "", creator

    def _endorsed(
        self,
        transaction: Transaction,
        call: Invocation,
        creator: Identity,
        vouched: datetime | None,
        changed_policies: set[tuple[StatePlace, str]],
    ) -> Outcome:
        good, sound, problems = self._endorsers(call, vouched)
        count = len(call.endorsements)
        try:
            policies = tuple(self._policies(call, good, changed_policies))
        except NoDefinitionError as error:
            return Outcome("INVALID_CHAINCODE", Step.POLICIES, str(error), transaction, endorsements=count)
        except _UnsatisfiedError as error:
            step, reason = (Step.ENDORSEMENTS, problems[0]) if problems else (Step.POLICIES, str(error))
            return Outcome("ENDORSEMENT_POLICY_FAILURE", step, reason, transaction, endorsements=count)
        objection = self._objection(creator, vouched)
        if objection is None and not _is_proposer(transaction.envelope, call):
            objection = (Step.CREATORS, "who signed it isn't who proposed what was endorsed")
        if objection is None and len(sound) < len(good):
            try:
                tuple(self._policies(call, sound, set(changed_policies)))
            except _UnsatisfiedError:
                objection = (Step.ENDORSEMENTS, problems[0])
        changed_policies |= set(_changed_policies(call.sets))
        names = tuple(sorted({each.msp_id for each in sound}))
        return Outcome(VALID, Step.FLAGS, "", transaction, objection, policies, names, count)

    def _endorsers(
        self, call: Invocation, vouched: datetime | None
    ) -> tuple[list[Identity], list[Identity], list[str]]:
        """Return whose signatures peers take, whose a verifier takes, and what is wrong with the others."""
        good: list[Identity] = []
        sound: list[Identity] = []
        problems: list[str] = []
        for endorsement in call.endorsements:
            signer = endorsement.endorser
            try:
                identity = self.membership.identity(signer)
            except NotAMemberError as error:
                problems.append(f"an endorsement: {error}")
                continue
            if not identity.has_signed(endorsement.signature, call.proposal_response + signer.raw):
                problems.append(f"the endorsement of {signer.msp_id} isn't a signature of what the transaction holds")
                continue
            good.append(identity)
            if doubt := self._doubt(identity, vouched):
                problems.append(f"an endorsement: {doubt}")
            else:
                sound.append(identity)
        return good, sound, problems

    def _objection(self, creator: Identity, vouched: datetime | None) -> tuple[Step, str] | None:
        doubt = self._doubt(creator, vouched)
        return (Step.CREATORS, doubt) if doubt else None

    def _doubt(self, identity: Identity, vouched: datetime | None) -> str:
        if not identity.trusted:
            return f"the root of {identity.msp_id} isn't among the trusted ones"
        return outside_period(identity, max(self.passed, vouched) if vouched else self.passed, vouched)

    def _policies(
        self, call: Invocation, signers: Sequence[Identity], changed: set[tuple[StatePlace, str]]
    ) -> list[PolicyInForce]:
        """Check the policies of every namespace that is written, and of the chaincode called; return them."""
        written = {each.namespace: each for each in call.sets if each.changes}
        found: dict[str, PolicyInForce] = {}
        for namespace in sorted({call.chaincode, *written}):
            check = _NamespaceCheck(self, namespace, signers, changed, found)
            check.run(written.get(namespace, NamespaceSet(namespace)))
        return list(found.values())

    def read_definition(self, key: str) -> bytes | None:
        """Return a value of the lifecycle's."""
        return self.state.value(LIFECYCLE, key)


class _UnsatisfiedError(Exception):
    """The signers don't satisfy a policy."""


@dataclass
class _NamespaceCheck:
    """Checks one namespace: keys' own policies first, then collections', then the chaincode's.

    As core/common/validation/statebased: the chaincode's policy is needed for every key without one of its own, and
    for a transaction that writes nothing.
    """

    rules: Rules
    namespace: str
    signers: Sequence[Identity]
    changed: set[tuple[StatePlace, str]]
    found: dict[str, PolicyInForce]

    def run(self, written: NamespaceSet) -> None:
        some = False
        for place, key in _written_keys(written):
            if (place, key) in self.changed:
                raise _UnsatisfiedError(f"an earlier transaction of the block changes the policy of {key!r}")
            own = self.rules.state.policy(place, key)
            if own:
                self._require(self._own(own, key))
            else:
                self._require(self._of_place(place))
            some = True
        if not some:
            self._require(self._of_place((self.namespace, "")))

    def _own(self, raw: bytes, key: str) -> PolicyInForce:
        try:
            return PolicyInForce(f"policy of the key {key!r}", decode_signature_policy(raw))
        except MalformedConfigurationError as error:
            raise _UnsatisfiedError(str(error)) from None

    def _of_place(self, place: StatePlace) -> PolicyInForce:
        namespace, collection = place
        configuration = self.rules.configuration
        if collection:
            own = collection_policy(configuration, namespace, collection, self.rules.read_definition)
            if own is not None:
                return own
        return chaincode_policy(configuration, namespace, self.rules.read_definition)

    def _require(self, policy: PolicyInForce) -> None:
        if policy.name in self.found:
            return
        group = policy.name.rpartition("/")[0]
        if not is_satisfied(policy.policy, group, self.rules.configuration, self.signers):
            names = ", ".join(sorted({each.msp_id for each in self.signers})) or "nobody"
            raise _UnsatisfiedError(f"{policy} isn't satisfied by {names}")
        self.found[policy.name] = policy


def _is_proposer(envelope: Envelope, call: Invocation) -> bool:
    return envelope.creator is not None and envelope.creator.raw == call.proposer


def _written_keys(written: NamespaceSet) -> list[tuple[StatePlace, str]]:
    place = (written.namespace, "")
    found = [(place, write.key) for write in written.writes] + [(place, each.key) for each in written.metadata_writes]
    for collection in written.collections:
        private = (written.namespace, collection.name)
        found += [(private, write.key_hash.hex()) for write in collection.writes]
        found += [(private, each.key) for each in collection.metadata_writes]
    return found


def _changed_policies(sets: Sequence[NamespaceSet]) -> list[tuple[StatePlace, str]]:
    found: list[tuple[StatePlace, str]] = []
    for each in sets:
        found += [((each.namespace, ""), write.key) for write in each.metadata_writes]
        for collection in each.collections:
            found += [((each.namespace, collection.name), write.key) for write in collection.metadata_writes]
    return found
