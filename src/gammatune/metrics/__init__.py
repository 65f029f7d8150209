"""Measures, intervals around them and objectives made of them; nothing that trains or decides comes in."""

# What was a module once gives its public names still.
from gammatune.metrics.thesis import Classification as Classification
from gammatune.metrics.thesis import Regression as Regression
from gammatune.metrics.thesis import classification as classification
from gammatune.metrics.thesis import regression as regression
