"""Pure statistics on sequences and arrays: what the gate decides with, and what the drift SQL is tested against."""

from __future__ import annotations

from .agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha, youden_threshold
from .comparisons import (
    DifferenceTest,
    McNemarTest,
    PairedDifference,
    benjamini_hochberg,
    mcnemar_test,
    paired_difference,
    welch_test,
)
from .distances import jensen_shannon_distance, population_stability_index
from .e_detector import EDetector, e_detector
from .estimates import (
    PredictionPoweredMean,
    WeightedMean,
    clustered_standard_error,
    prediction_powered_mean,
    proportion_interval,
    weighted_mean,
)
from .power import minimum_detectable_effect, required_sample_size
from .regression import RegressionVerdict, detect_regression
from .samples import Interval
from .sequential import Cusum, betting_capital, confidence_sequence, cusum

__all__ = [
    "Cusum",
    "DifferenceTest",
    "EDetector",
    "Interval",
    "McNemarTest",
    "PairedDifference",
    "PredictionPoweredMean",
    "RegressionVerdict",
    "WeightedMean",
    "benjamini_hochberg",
    "betting_capital",
    "clustered_standard_error",
    "cohen_kappa",
    "confidence_sequence",
    "cusum",
    "detect_regression",
    "e_detector",
    "fleiss_kappa",
    "jensen_shannon_distance",
    "krippendorff_alpha",
    "mcnemar_test",
    "minimum_detectable_effect",
    "paired_difference",
    "population_stability_index",
    "prediction_powered_mean",
    "proportion_interval",
    "required_sample_size",
    "weighted_mean",
    "welch_test",
    "youden_threshold",
]
