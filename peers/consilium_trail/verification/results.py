"""The answer of a verification: sound, unsound or unreadable; what is proved; the first thing that doesn't hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from consilium_trail.archive.derived_files import DerivedFiles
from consilium_trail.archive.reading import TrailReader
from consilium_trail.errors import TrailError
from consilium_trail.facts import RoundFact
from consilium_trail.roots import TrustedRoots
from consilium_trail.verification.artifacts import CheckedArtifacts
from consilium_trail.verification.findings import Place, Step, UnsoundError


class Verdict(StrEnum):
    """What a trail is worth."""

    SOUND = "sound"
    UNSOUND = "unsound"
    UNREADABLE = "unreadable"


@dataclass(slots=True)
class Counts:
    """How much was verified; `not_replayed` counts other chaincodes' valid transactions by chaincode."""

    blocks: int = 0
    transactions: int = 0
    endorsements: int = 0
    orderer_signatures: int = 0
    not_replayed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that doesn't hold: the step that found it (None: the trail can't be read), where, and why."""

    step: Step | None
    place: Place
    reason: str

    def __str__(self) -> str:
        head = f"step {self.step.value} ({self.step.name.lower()})" if self.step else "unreadable"
        return f"{head}, {self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RoundProof:
    """What a sound trail proves of a round: its fact sheet, and who endorsed its valid transactions."""

    fact: RoundFact
    endorsed_by: tuple[str, ...]

    @property
    def policy(self) -> str:
        """The endorsement policy in force, with its place in the configuration."""
        return self.fact.policy


@dataclass(frozen=True, slots=True)
class Verification:
    """The answer.

    Attributes:
        verdict: SOUND, UNSOUND or UNREADABLE.
        finding: the first thing that doesn't hold; None when all does.
        counts: how much was verified before that.
        channel, study, genesis: which ledger and study it is about; `genesis` is the first block's hash.
        genesis_trusted: whether the trusted roots named that hash.
        exporter: the organisation that exported it.
        rounds: what is proved; nothing unless the trail is sound.
        artifacts: what ciphertexts were checked, if any were given.
    """

    verdict: Verdict
    finding: Finding | None
    counts: Counts
    channel: str = ""
    study: str = ""
    genesis: str = ""
    genesis_trusted: bool = False
    exporter: str = ""
    rounds: tuple[RoundProof, ...] = ()
    artifacts: CheckedArtifacts | None = None


def sound(
    trail: TrailReader,
    counts: Counts,
    derived: DerivedFiles,
    exporter: str,
    artifacts: CheckedArtifacts | None,
    roots: TrustedRoots,
) -> Verification:
    """Return the answer for a trail in which everything holds."""
    facts = derived.collector.facts()
    return Verification(
        verdict=Verdict.SOUND,
        finding=None,
        counts=counts,
        channel=trail.manifest.channel,
        study=trail.manifest.study,
        genesis=facts.genesis,
        genesis_trusted=roots.genesis == facts.genesis,
        exporter=exporter,
        rounds=tuple(RoundProof(each, _endorsers(each)) for each in facts.rounds),
        artifacts=artifacts,
    )


def unsound(error: UnsoundError, counts: Counts) -> Verification:
    """Return the answer for a trail in which something doesn't hold."""
    return Verification(Verdict.UNSOUND, Finding(error.step, error.place, error.reason), counts)


def unreadable(error: TrailError, place: Place, counts: Counts) -> Verification:
    """Return the answer for a trail that can't be read."""
    return Verification(Verdict.UNREADABLE, Finding(None, place, str(error)), counts)


def exit_code(verdict: Verdict) -> int:
    """Return the command line's exit code: 0 sound, 1 unsound, 2 unreadable."""
    codes: Mapping[Verdict, int] = {Verdict.SOUND: 0, Verdict.UNSOUND: 1, Verdict.UNREADABLE: 2}
    return codes[verdict]


def _endorsers(fact: RoundFact) -> tuple[str, ...]:
    valid = (each for each in fact.transactions if each.code == "VALID")
    return tuple(sorted({name for each in valid for name in each.endorsers}))
