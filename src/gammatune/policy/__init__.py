"""When to roll out, how often, and what to commit.

A policy is a generator: it yields requests (`records.Request`) and receives an `Outcome` for every rollout.
It never sees a network, so it runs against a fake in milliseconds, and its state is rebuilt by feeding it the
outcomes of a journal again.
"""

from typing import Final

DEFAULT: Final = "lookahead"  # here, and light, for who only has to name it; what it is stands in `registry`
