"""Datasets as files: examples in four partitions, reviewed, hashed, approved, and kept free of contamination."""

from __future__ import annotations

from ...errors import DatasetError
from .dataset import Dataset
from .example import PARTITIONS, Example
from .manifest import Approval, Manifest, Version
from .rules import Problem

__all__ = ["PARTITIONS", "Approval", "Dataset", "DatasetError", "Example", "Manifest", "Problem", "Version"]
