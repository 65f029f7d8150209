"""`fit` as scikit-learn estimators: `GammaTunedClassifier` and `GammaTunedRegressor`.

A thin layer: what scikit-learn asks of data and parameters is checked with its own functions, inputs (and the
targets of a regression) are standardised, a part is held out to select by, `fit` trains, and what the network says is
translated back.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor, nn

from gammatune.integrations.estimator import (
    SEEDS,
    Estimator,
    Factory,
    dtype_of,
    epochs_for,
    hold_out,
    net_for,
    one_at_a_time,
)
from gammatune.metrics.objectives import Objective, ObjectiveName
from gammatune.policy import DEFAULT
from gammatune.policy.registry import AnyPolicy
from gammatune.supervised.loaders import VALIDATION

__all__ = ["GammaTunedClassifier", "GammaTunedRegressor", "dtype_of", "epochs_for", "hold_out", "net_for"]


class GammaTunedClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """A neural network that finds its learning rate while it trains, as a scikit-learn classifier.

    Inputs are standardised. Of an array sparse and missing ones are refused, as scikit-learn does. A frame of pandas,
    polars or Arrow may hold text, dates and missing cells: its columns are read as `gammatune.fit` reads those of a
    table. There are no sample weights: rollouts, batches and the part that selects are counted in examples;
    `class_weight` is there.

    Parameters, all of them kept as they are given and looked at by `fit`:

    module: the net. None: two hidden layers of 256 units (`net_for`); for a frame with other cells than numbers the
    model "tabular". A name (`gammatune.pipeline.models.MODELS`, or
    "package.module:factory"); a function (shape, outputs) -> nn.Module, shape being (f,); or a module, which is
    copied for each fit with the weights it has. It gives one number a class, or one a target.
    epochs: the length of the training. None: as many as make 1000 steps of the optimizer, but 20 at least and 100
    at most.
    budget: a ceiling on all compute, the search included, in multiples of a plain run of so many epochs; None:
    the policy's own. policy: "lookahead", "greedy", "once", or one of your own (`gammatune.Tuner`).
    optimizer: a name (`gammatune.supervised.optimizers.OPTIMIZERS`), "auto" or a function of the parameters.
    weight_decay: for one given by name; None: its own.
    batch_size: examples. None: 32, 64 from 5,000 training examples on, 128 from 20,000 on.
    objective: what rates are chosen by (`gammatune.metrics.objectives.OBJECTIVES`). None: "kappa" for a
    classification, "log-loss" for a regression and with `class_weight`.
    search: lines such as "lr=1e-4:1e-1:log" or "batch_size=16,32". None: the learning rate, in a wide range.
    validation_fraction: the share of the examples that rates and the best epoch are selected by, in (0, 1); the
    network does not train on them. Of a classification the classes keep their proportions there.
    class_weight: None, "balanced" or {label: weight}, as scikit-learn has it; the loss is weighted, in training
    and in selecting.
    verbose: 1 prints a line an epoch. device: CUDA where there is one, else the CPU.
    random_state: a number or a RandomState fixes everything, to the last bit on a CPU, and no random stream of the
    process is moved. None: a seed is drawn from NumPy's.
    run_dir: a new directory to keep the run in, for `gammatune show` and `predict`; the same fit again goes on with
    it. For one fit: cross-validation makes many, the second of which is refused.
    ensemble: whether a budget that pays for several trainings, from about 2.5 on, buys several nets whose predictions
    are averaged, at a multiple of the time of one at every prediction. None: yes. Of a module that is given
    the layers draw their weights anew, where that is plainly how they were drawn; else all begin with its own.

    After fit: module_ (the net, in eval mode; of several the best alone), ensemble_ (the several as one module, which
    predicts, or None), scaler_ (`StandardScaler` of the inputs; None where a frame was read, of which preprocessing_
    says how), preprocessing_ (else None), result_ (`FitResult`), schedule_ (the learning rates, a
    `gammatune.Schedule`), n_iter_ (epochs), classes_ (k,), n_features_in_, feature_names_in_ where X had names. What
    result_ reports was selected by, and flatters.

    fit raises ValueError (of scikit-learn or `gammatune.errors`) at data and parameters it cannot use, AllDiverged
    where nothing trains.
    """

    def __init__(
        self,
        module: str | nn.Module | Factory | None = None,
        *,
        epochs: int | None = None,
        budget: float | None = 1.5,
        optimizer: Any = "adamw",
        batch_size: int | None = None,
        objective: ObjectiveName | Objective | None = None,
        search: str | Sequence[str] | None = None,
        validation_fraction: float = VALIDATION,
        policy: AnyPolicy = DEFAULT,
        weight_decay: float | None = None,
        class_weight: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        device: str | torch.device | None = None,
        run_dir: str | None = None,
        ensemble: bool | None = None,
    ) -> None:
        self._keep(locals())

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on examples X (n, f) with labels y (n,) of any type, two classes at least; n of 2 or more."""
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        x, labels = self._checked(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_.tolist()[0]!r}; a classifier needs examples of two at least"
            )
        loss, objective = None, self.objective
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
            loss = _Weighted(weights / weights[codes].mean())
            # accuracy, which the default weighs too, counts every example alike
            objective = "log-loss" if objective is None else objective
        classes = tuple(self.classes_.tolist())
        with one_at_a_time:
            self._fit(x, codes, len(classes), seed, loss, objective, lambda: self._facts(classes))
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n, k), one column for each of `classes_`."""
        return self._outputs(X).softmax(dim=1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable label of each example, (n,)."""
        codes = self._outputs(X).argmax(dim=1).numpy()
        return self.classes_[codes]  # type: ignore[no-any-return]


class GammaTunedRegressor(RegressorMixin, MultiOutputMixin, Estimator):  # type: ignore[misc]
    """A neural network that finds its learning rate while it trains, as a scikit-learn regressor.

    Parameters and attributes are those of `GammaTunedClassifier`, but for class_weight and classes_. The targets, one
    or several an example, are standardised too (target_scaler_); predictions are in their own unit. The net gives
    one number a target, and the loss is the mean squared error of the standardised ones.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on examples X (n, f) with targets y (n,) or (n, t); n of 2 or more."""
        seed = int(check_random_state(self.random_state).randint(SEEDS))
        x, given = self._checked(X, y, multi_output=True, y_numeric=True)
        self._flat = given.ndim == 1
        targets = np.asarray(given, dtype=np.float64).reshape(len(given), -1)
        with one_at_a_time:
            self._fit(x, targets, targets.shape[1], seed, None, self.objective, self._facts)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predictions in the unit of the targets, (n,) or (n, t), as y was."""
        outputs = self._outputs(X)
        predicted = self.target_scaler_.inverse_transform(outputs.reshape(len(outputs), -1).numpy())
        return predicted.ravel() if self._flat else predicted  # type: ignore[no-any-return]


class _Weighted(nn.Module):
    """Cross entropy, every example weighted by its class: mean over the batch of w_c * loss.

    weights: (k,), 0 or more, with a mean of 1 over the examples.
    """

    def __init__(self, weights: NDArray[np.float64]) -> None:
        super().__init__()
        self.weights: Tensor
        self.register_buffer("weights", torch.from_numpy(weights))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        losses = nn.functional.cross_entropy(output, target, reduction="none")
        return (self.weights[target].to(losses.dtype) * losses).mean()
