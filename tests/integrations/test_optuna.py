"""GammaSampler: Optuna's own battery, and what a study promises its user."""

import pytest

optuna = pytest.importorskip("optuna")

from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from gammatune.integrations.optuna import GammaSampler


class TestBattery(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture(params=[2, 0])
    def sampler(self, request):
        return lambda: GammaSampler(seed=0, n_startup_trials=request.param)
