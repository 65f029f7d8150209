"""What both estimators of `integrations/sklearn.py` share: how a net is made, what is kept aside, fit and answer."""

import copy
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, check_X_y, validate_data
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from gammatune.engine.modes import evaluating
from gammatune.errors import DataWarning, InvalidArgument
from gammatune.integrations.estimator_inputs import encoded, learned, with_cells_of_all_kinds
from gammatune.metrics.objectives import Objective, ObjectiveName
from gammatune.pipeline.data.frames import is_frame
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.models import MODELS, embeds_categories, make_model
from gammatune.pipeline.models.check import check_output
from gammatune.pipeline.models.mlp import mlp_as_torch_begins
from gammatune.pipeline.models.seeded import seeded
from gammatune.pipeline.threads import suitable_threads, threads_kept
from gammatune.policy import DEFAULT
from gammatune.policy.registry import AnyPolicy
from gammatune.seeds import stream
from gammatune.supervised.defaults import model_for
from gammatune.supervised.fit import FitResult, fit
from gammatune.supervised.loaders import VALIDATION, batch_size_for
from gammatune.supervised.training import LossFunction

if TYPE_CHECKING:
    import pandas as pd

Factory = Callable[[tuple[int, ...], int], nn.Module]  # (shape of an example, outputs) -> net

FOR_FRAMES = model_for((1,), table=True)  # the net for a frame with cells of all kinds, by name
FORWARD = 1024  # examples a prediction passes forward at once; bounds memory, changes nothing else
SEEDS = np.iinfo(np.int32).max  # as scikit-learn draws them
# Making a net and training it seed the process's random streams and put them back: threads wait for each other.
one_at_a_time = threading.RLock()


# Tried on tables that scikit-learn generates. Of 50 to 3,000 examples more than 1000 steps of the optimizer gave
# nothing, nor did more than 100 epochs; of 15,000, ten epochs were too few to tell four noisy classes apart (accuracy
# 0.92, with twenty 0.935).
STEPS = 1000
FEWEST, MOST = 20, 100  # epochs


def epochs_for(n: int, batch_size: int) -> int:
    """Epochs for n training examples in batches of `batch_size`: 1000 steps, but 20 epochs at least, 100 at most."""
    return min(max(round(STEPS * batch_size / n), FEWEST), MOST)


def net_for(shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The net for a table: twice (linear, 256 units, ReLU), then a linear layer, initialised as torch does.

    Not as the model "mlp": He's initialisation begins with a function whose variance is 2, which a few hundred
    examples fix where they lie and not between. On 200 examples of a linear target in 30 dimensions R2 is 0.49
    that way and 0.94 this way, and 0.76 against 0.88 on 1000 of Friedman's third.
    """
    return mlp_as_torch_begins(shape, outputs)


class Estimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    classes_: NDArray[Any]
    n_features_in_: int

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
        verbose: int = 0,
        random_state: Any = None,
        device: str | torch.device | None = None,
        run_dir: str | None = None,
        ensemble: bool | None = None,
    ) -> None:
        self._keep(locals())

    def _keep(self, given: dict[str, Any]) -> None:
        """Every parameter under its name and as it is, as scikit-learn wants it. given: the locals of __init__."""
        self.__dict__.update(
            {name: value for name, value in given.items() if name not in ("self", "__class__")}
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickled from the CPU, so that a network trained on an accelerator is read where there is none."""
        state = dict(super().__getstate__())
        net = state.get("module_")
        if net is not None and any(p.device.type != "cpu" for p in net.parameters()):
            state["module_"] = copy.deepcopy(net).cpu()
            if state["ensemble_"] is not None:
                state["ensemble_"] = copy.deepcopy(state["ensemble_"]).cpu()
                state["result_"] = replace(state["result_"], ensemble=state["ensemble_"])
        return state

    def _checked(self, X: Any, y: Any, **checks: Any) -> tuple[Any, NDArray[Any]]:
        """Examples (n, f) as numbers, or as a frame of pandas where cells are of other kinds or missing; targets."""
        checks |= {"dtype": [np.float64, np.float32], "ensure_min_samples": 2}
        frame = with_cells_of_all_kinds(X)
        if frame is None:
            x, targets = validate_data(self, X, y, **checks)
            return x, targets
        validate_data(self, X, skip_check_array=True)  # takes the names of the columns
        _, targets = check_X_y(np.zeros((len(frame), 1)), y, **checks)
        return frame, targets

    def _fit(
        self,
        x: "NDArray[Any] | pd.DataFrame",
        y: NDArray[Any],
        outputs: int,
        seed: int,
        loss: LossFunction | None,
        objective: Any,
        facts: Callable[[], dict[str, Any]],
    ) -> None:
        """x (n, f) as `_checked` gives them. y: codes (n,), or targets (n, t), which are standardised here.

        facts: for the journal, asked for once the scalers are there.
        """
        said: list[str] = []
        classify = y.ndim == 1
        train, select = hold_out(len(x), y if classify else None, self.validation_fraction, seed, said)
        inputs, cardinalities = self._prepared(x, y, train, said)
        if not classify:
            self.target_scaler_ = StandardScaler().fit(y[train])
            y = self.target_scaler_.transform(y)
        shape = tuple(inputs.shape[1:])
        net = self._make(shape, outputs, seed, cardinalities)
        inputs, targets = inputs.to(dtype_of(net)), torch.from_numpy(y)
        # of the examples that train: `fit` would choose the same
        size = batch_size_for(TensorDataset(inputs[train]), self.batch_size, [])
        epochs = self.epochs
        if epochs is None:
            epochs = epochs_for(len(train), size)
            said.append(f"{epochs} epochs, by the number of training examples.")
        given = isinstance(self.module, nn.Module)
        with threads_kept(), self._follower() as listeners:
            torch.set_num_threads(suitable_threads(net, shape, size))
            result = fit(
                net,
                (inputs[train], targets[train]),
                (inputs[select], targets[select]),
                epochs=epochs,
                budget=self.budget,
                policy=self.policy,
                objective=objective,
                space=self.search,
                loss_fn=loss,
                optimizer=self.optimizer,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                device=self.device,
                seed=seed,
                run_dir=self.run_dir,
                facts={**facts(), "said": said},
                listeners=listeners,
                progress=False,  # `verbose` says it
                ensemble=self.ensemble,
                new_model=None if given else partial(self._another, shape, outputs, cardinalities),
            )
        self.module_ = net.eval()
        self.ensemble_ = result.ensemble
        self.result_: FitResult = replace(result, said=(*said, *result.said))
        self.schedule_ = result.schedule
        self.n_iter_ = len(result.course)

    def _prepared(
        self, x: Any, y: NDArray[Any], train: NDArray[np.int64], said: list[str]
    ) -> tuple[Tensor, tuple[int, ...]]:
        """Inputs (n, F) by what the examples `train` teach, and how many codes each of the last columns has."""
        self.scaler_: StandardScaler | None = None
        self.preprocessing_: TablePreprocessing | None = None
        if isinstance(x, np.ndarray):
            self.scaler_ = StandardScaler().fit(x[train])
            return torch.from_numpy(np.asarray(self.scaler_.transform(x))), ()
        classify = y.ndim == 1
        knows_codes = self.module is None or (isinstance(self.module, str) and embeds_categories(self.module))
        self.preprocessing_ = learned(
            *(x, train, y),
            task="classification" if classify else "regression",
            classes=self.classes_.tolist() if classify else (),
            one_hot=not knows_codes,
            said=said,
        )
        return self.preprocessing_.encode(x, said), self.preprocessing_.cardinalities

    def _make(
        self, shape: tuple[int, ...], outputs: int, seed: int, cardinalities: tuple[int, ...] = ()
    ) -> nn.Module:
        default = net_for if self.preprocessing_ is None else FOR_FRAMES
        given: Any = default if self.module is None else self.module
        net: Any = given
        if isinstance(given, str):
            net = make_model(given, shape, outputs, seed, cardinalities)
        elif isinstance(given, nn.Module):
            net = copy.deepcopy(given)
        elif callable(given):
            with seeded(seed):
                net = given(shape, outputs)
        if not isinstance(net, nn.Module):
            what = f"module={given!r:.60}" if net is given else f"module= made a {type(net).__name__}"
            raise InvalidArgument(
                f"{what}; give a torch.nn.Module, a function (shape, outputs) that makes one, or a name: "
                f"{', '.join(MODELS)}"
            )
        check_output(net, shape, outputs)
        # a net of ours computes in any precision; what a net of the user's does in its forward pass nobody knows
        self._widens = given is net_for or (isinstance(given, str) and (given == "auto" or given in MODELS))
        return net

    def _another(self, shape: tuple[int, ...], outputs: int, cardinalities: tuple[int, ...]) -> nn.Module:
        """A net like the first, its initial weights drawn from torch's random stream."""
        return self._make(shape, outputs, int(torch.randint(SEEDS, ())), cardinalities)

    def _outputs(self, x: ArrayLike) -> Tensor:
        """What the network, or several of them together, say of examples (n, f): (n, outputs), in double precision
        where it can be had.

        In single precision, what is said of an example would depend in its last digits on the others beside it.
        """
        check_is_fitted(self, "module_")
        inputs = self._inputs(x)
        net: nn.Module = self.module_ if self.ensemble_ is None else self.ensemble_
        place = next(net.parameters()).device
        if self._widens and place.type != "mps":  # which has no double precision
            net = copy.deepcopy(net).double()
        with evaluating(net):
            parts = [net(part.to(place, dtype_of(net))) for part in inputs.split(FORWARD)]
        return torch.cat(parts).cpu().double()

    def _inputs(self, x: Any) -> Tensor:
        """As the net was trained on them. Of numbers in a frame one may be missing here, which is then the mean."""
        if self.preprocessing_ is not None:
            if is_frame(x):
                validate_data(self, x, reset=False, skip_check_array=True)
            return encoded(self.preprocessing_, x)
        assert self.scaler_ is not None
        finite: Any = "allow-nan" if is_frame(x) else True
        x = validate_data(self, x, reset=False, dtype=[np.float64, np.float32], ensure_all_finite=finite)
        scaled = np.asarray(self.scaler_.transform(x))
        if missing := int(np.isnan(x).sum()):
            scaled = np.where(np.isnan(x), 0.0, scaled)
            warnings.warn(
                f"{missing} cells are missing, as none was in fit: each is taken for the mean of its column.",
                DataWarning,
                stacklevel=4,
            )
        return torch.from_numpy(scaled)

    @contextmanager
    def _follower(self) -> Iterator[list[Any]]:
        if not self.verbose:
            yield []
            return
        from rich.console import Console

        from gammatune.report.live import PlainLines

        with PlainLines(Console()) as follower:
            yield [follower]

    def _facts(self, classes: tuple[Any, ...] = ()) -> dict[str, Any]:
        """What `gammatune predict` and the reports want to know of a run that is kept."""
        model = self.module
        if model is None:  # as journals have it, whose readers find it there
            own = f"gammatune.integrations.sklearn:{net_for.__name__}"
            model = own if self.preprocessing_ is None else FOR_FRAMES
        if (
            self.run_dir is None
            or not isinstance(model, str)
            or not all(type(c) in (int, str) for c in classes)
        ):
            return {}
        target = () if classes else tuple(self.target_scaler_.mean_.tolist())
        target_std = () if classes else tuple(self.target_scaler_.scale_.tolist())
        preparing: Preprocessing | TablePreprocessing
        if self.preprocessing_ is not None:
            preparing = replace(self.preprocessing_, target_mean=target, target_std=target_std)
        else:
            assert self.scaler_ is not None
            preparing = Preprocessing(
                "classification" if classes else "regression",
                (self.n_features_in_,),
                False,
                tuple(self.scaler_.mean_.tolist()),
                tuple(self.scaler_.scale_.tolist()),
                classes,
                target,
                target_std,
            )
        return {
            "data": type(self).__name__,
            "model": model,
            "shape": list(preparing.shape),
            "preprocessing": preparing.to_dict(),
        }


def hold_out(
    n: int, codes: NDArray[np.int64] | None, fraction: Any, seed: int, said: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the examples to train on and of those to select by, `fraction` of them, one at least.

    codes: (n,) of a classification, whose proportions are kept as well as whole examples allow; no class loses its
    last example to the selection. Where that leaves nothing to hold out, all examples train and select.
    """
    if isinstance(fraction, bool) or not isinstance(fraction, Real) or not 0 < float(fraction) < 1:
        raise InvalidArgument(
            f"validation_fraction={fraction!r}: give the share to select by, above 0 and below 1, such as 0.2"
        )
    order = stream(seed, "validation").permutation(n)
    held = min(max(round(float(fraction) * n), 1), n - 1)
    taken = np.zeros(n, dtype=bool)
    if codes is None:
        taken[order[:held]] = True
    else:
        counts = np.bincount(codes)
        wanted = held * counts / n
        quota = np.minimum(np.floor(wanted).astype(int), counts - 1)
        held = min(held, int((counts - 1).sum()))
        while quota.sum() < held:
            short = np.where(quota < counts - 1, wanted - quota, -np.inf)
            quota[short.argmax()] += 1
        for code, count in enumerate(quota):
            taken[order[codes[order] == code][:count]] = True
    if not taken.any():
        said.append(
            f"{n} examples, one a class, are too few to keep some aside: those that train select too."
        )
        return np.arange(n), np.arange(n)
    how = "" if codes is None else ", in the classes' proportions as far as can be"
    said.append(f"{taken.sum()} of the {n} examples were kept aside to select by{how}.")
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def dtype_of(net: nn.Module) -> torch.dtype:
    """The kind of float a net computes in."""
    return next((p.dtype for p in net.parameters() if p.is_floating_point()), torch.get_default_dtype())
