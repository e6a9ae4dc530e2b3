"""Decides which spans are kept, and with what known probability, between the durable log and the insert."""

from .config import SamplingConfig, SamplingRule
from .rules import Decision
from .sampler import Sampled, Sampler

__all__ = ["Decision", "Sampled", "Sampler", "SamplingConfig", "SamplingRule", "build_sampler"]


def build_sampler(config: SamplingConfig) -> Sampler:
    """The sampler of a `[sampling]` table; `keeps_everything` when the table drops nothing."""
    return Sampler(config)
