"""Interleaved rounds: every candidate once a round in shuffled order, and ratios taken inside the round."""

import random
import statistics
from dataclasses import dataclass
from typing import Callable, Optional


@dataclass(frozen=True)
class Candidate:
    """`sample()` measures it once and gives a Sample."""

    name: str
    sample: Callable


@dataclass(frozen=True)
class Sample:
    """One candidate in one round: processor time of the candidate (None where there is none) and of the load."""

    requests: int
    seconds: float
    cpu_ns: Optional[int]
    load_ns: int
    p50: float
    p99: float
    # By how much the generator was behind its own clock, where it goes by one.
    late: float = 0.0

    @property
    def rate(self):
        return self.requests / self.seconds

    @property
    def cpu_us(self):
        return None if self.cpu_ns is None else self.cpu_ns / self.requests / 1e3

    @property
    def busy(self):
        """Share of its core that it used."""
        return None if self.cpu_ns is None else self.cpu_ns / 1e9 / self.seconds

    @property
    def load_busy(self):
        """Share of their core that load generator and upstream used."""
        return self.load_ns / 1e9 / self.seconds


@dataclass(frozen=True)
class Spread:
    """Median and range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values):
        values = [value for value in values if value is not None]
        return cls(statistics.median(values), min(values), max(values)) if values else None


def run(candidates, rounds, told=lambda _text: None):
    """`rounds` dictionaries of samples by candidate, after one round that isn't counted."""
    order, shuffled, kept = list(candidates), random.Random(), []
    for number in range(rounds + 1):
        shuffled.shuffle(order)
        taken = {candidate.name: candidate.sample() for candidate in order}
        if number:
            samples = {candidate.name: taken[candidate.name] for candidate in candidates}
            kept.append(samples)
            told(f"round {number} of {rounds}: " + ", ".join(
                f"{candidate.name} {samples[candidate.name].rate:,.0f}/s" for candidate in candidates))
    return kept


def spread(rounds, name, figure):
    """Median and range of one candidate's figure."""
    return Spread.of(getattr(samples[name], figure) for samples in rounds)


def ratio(rounds, name, base, figure):
    """Median and range of the ratios to `base`, each within its round."""
    pairs = [(getattr(samples[name], figure), getattr(samples[base], figure)) for samples in rounds]
    return Spread.of(None if None in pair else pair[0] / pair[1] for pair in pairs)


def added(rounds, name, base, nothing, figure):
    """As `ratio`, of what each adds to `nothing`. A round in which the base adds nothing has no ratio."""
    def of(samples):
        more, less = (getattr(samples[who], figure) - getattr(samples[nothing], figure) for who in (name, base))
        return more / less if less > 0 else None
    return Spread.of(map(of, rounds))
