"""Measures, intervals around them and objectives made of them; nothing that trains or decides comes in."""

# What were modules once, `gammatune.metrics` and `gammatune.measures`, give their public names still.
from gammatune.metrics.bootstrap import Measure as Measure
from gammatune.metrics.bootstrap import Resampled as Resampled
from gammatune.metrics.bootstrap import difference as difference
from gammatune.metrics.bootstrap import learnt as learnt
from gammatune.metrics.bootstrap import measured as measured
from gammatune.metrics.catalogue import METRICS as RECIPES  # noqa: F401
from gammatune.metrics.catalogue import MetricName as MetricName
from gammatune.metrics.catalogue import MetricSpec as Recipe  # noqa: F401
from gammatune.metrics.catalogue import imbalance as imbalance
from gammatune.metrics.catalogue import recipe as recipe
from gammatune.metrics.catalogue import relevant as relevant
from gammatune.metrics.catalogue import undefined as undefined
from gammatune.metrics.catalogue import value as value
from gammatune.metrics.predictions import Answers as Answers
from gammatune.metrics.thesis import Classification as Classification
from gammatune.metrics.thesis import Regression as Regression
from gammatune.metrics.thesis import classification as classification
from gammatune.metrics.thesis import regression as regression
