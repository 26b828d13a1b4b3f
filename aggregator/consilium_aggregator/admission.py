"""Which vectors the aggregator takes and gives: decided by the ledger, for the organisation that the TLS certificate names.

Nothing is taken before the round is ANCHORED: an attempt that falls short of its hospitals must not leave ciphertexts
anywhere, since two sums of the same updates over different sets differ by one hospital's update.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_aggregator.errors import RefusedError
from consilium_aggregator.ledger import LedgerReader
from consilium_aggregator.vectors import VectorName
from consilium_proto.chunk_tree import VectorContext, check_root
from consilium_proto.chunks import decode_update, update_chunk_size
from consilium_proto.errors import TreeMismatchError, WireError
from consilium_proto.parameter_sets import ParameterSet, parameter_set
from consilium_proto.records import RoundPhase, RoundView, StudyView


@dataclass(frozen=True)
class AdmittedVector:
    """An anchored vector: what its chunks have to satisfy."""

    name: VectorName
    epoch: int
    parameter_set: ParameterSet

    def check_chunk(self, content: bytes) -> None:
        """Refuse a chunk that can't be added: truncated, oversized, of another set, version or epoch, or a word ≥ q.

        Raises:
            RefusedError: what is wrong with it.
        """
        try:
            decode_update(self.parameter_set, self.epoch, content)
        except WireError as error:
            raise RefusedError(f"{self.name.owner}'s chunk: {error}") from None

    @property
    def chunk_size(self) -> int:
        """The size in bytes of each chunk."""
        return update_chunk_size(self.parameter_set)


class Admission:
    """Decides with the ledger's word."""

    def __init__(self, channel: str, ledger: LedgerReader) -> None:
        self._channel = channel
        self._ledger = ledger

    async def admit_update(self, caller: str, name: VectorName, digests: tuple[bytes, ...]) -> AdmittedVector:
        """Admit the manifest of a hospital's update.

        Raises:
            RefusedError: it isn't the caller's own, the round isn't ANCHORED, the attempt isn't the current one, the
                caller isn't one of its hospitals, or the digests don't give the anchored root.
        """
        if caller != name.owner:
            raise RefusedError(f"{caller} can't upload a vector of {name.owner}")
        view = await self._ledger.round(name.study, name.round)
        state = view.round
        if state.phase is not RoundPhase.ANCHORED:
            raise RefusedError(f"round {name.round} of {name.study} is {state.phase.value}; uploads need ANCHORED")
        if name.attempt != state.attempt or caller not in state.participants:
            raise RefusedError(
                f"round {name.round} of {name.study} is in attempt {state.attempt} of {', '.join(state.participants)}; "
                f"attempt {name.attempt} of {caller} isn't part of it"
            )
        anchor = next(entry.anchor for entry in view.anchors if entry.hospital == caller)
        context = VectorContext(self._channel, name.study, state.epoch, name.round, name.attempt, caller, "update")
        try:
            check_root(anchor.root, context, digests)
        except TreeMismatchError as error:
            raise RefusedError(f"not what {caller} anchored: {error}") from None
        except WireError as error:
            raise RefusedError(f"the manifest of {caller} is malformed: {error}") from None
        study = await self._ledger.study(name.study)
        return AdmittedVector(name, state.epoch, parameter_set(study.study.terms.parameter_set))

    async def check_reader(self, caller: str, study: str) -> None:
        """Refuse sums to everybody but the study's own hospitals.

        Raises:
            RefusedError: the caller isn't one of them.
        """
        view = await self._ledger.study(study)
        if caller not in {participant.hospital for participant in view.study.terms.participants}:
            raise RefusedError(f"{caller} isn't a hospital of study {study}")


def sum_context(channel: str, study: StudyView, view: RoundView, aggregator: str) -> VectorContext:
    """Return what an aggregator's sum of a round is bound to."""
    state = view.round
    return VectorContext(channel, study.study.terms.study, state.epoch, state.round, state.attempt, aggregator, "sum")
