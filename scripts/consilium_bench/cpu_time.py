"""Processor time by stage: user and system time of this process, its threads and the children it waited for."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

# What every client does in the same way with the sum is measured so often; its median counts for each of them. One page
# fault more or less in large arrays would otherwise count ten times.
REPETITIONS = 3


class Stages:
    """Adds up processor seconds under names. Stages don't nest."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        """Count what is done inside to a stage."""
        before = processor_seconds()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + processor_seconds() - before


def medians(repeated: Sequence[Stages]) -> dict[str, float]:
    """Return each stage's median over several measurements of the same work."""
    return {stage: statistics.median(each.seconds[stage] for each in repeated) for stage in repeated[0].seconds}


def processor_seconds() -> float:
    """Return the processor time spent so far. A child's counts from the moment that it was waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
