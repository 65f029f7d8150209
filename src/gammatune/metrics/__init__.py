"""Measures, intervals around them and objectives made of them; nothing that trains or decides comes in."""

# What were modules once, `gammatune.metrics` and `gammatune.measures`, give their public names still.
from gammatune.metrics.bootstrap import Measure, Resampled, difference, learnt, measured
from gammatune.metrics.catalogue import METRICS as RECIPES
from gammatune.metrics.catalogue import MetricName, imbalance, recipe, relevant, undefined, value
from gammatune.metrics.catalogue import MetricSpec as Recipe
from gammatune.metrics.predictions import Answers
from gammatune.metrics.thesis import Classification, Regression, classification, regression

__all__ = [
    "RECIPES", "Answers", "Classification", "Measure", "MetricName", "Recipe", "Regression", "Resampled",
    "classification", "difference", "imbalance", "learnt", "measured", "recipe", "regression", "relevant",
    "undefined", "value",
]  # fmt: skip
