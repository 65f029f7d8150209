"""Nets of skorch, fitted with the learning rate found on the way.

    from gammatune.integrations import skorch as gamma_skorch

    net = NeuralNetClassifier(Module, max_epochs=20, callbacks=[EarlyStopping()])
    result = gamma_skorch.fit(net, X, y)

    class Tuned(gamma_skorch.GammaTuned, NeuralNetClassifier):  # where `fit` is called by others
        pass

    GridSearchCV(Tuned(Module, max_epochs=20), {"module__hidden": [32, 64]})

`net.fit` sets everything up as always, and where it would loop over epochs the tuner does. An epoch of the course is
skorch's own: `train_step`, `validation_step`, the split, `history` and callbacks mean what they mean. A rollout is
the same epoch with a history of its own and without callbacks, but for their `on_grad_computed`, by which gradients
are clipped: that one hears rollouts too. An epoch that blew up has no end.

What is not taken, each with a sentence: nets without a validation split, data without a length, callbacks that set
the rate or the parameters (LRScheduler, Freezer, Initializer, ...).
"""

from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from gammatune.cost import Meter
from gammatune.engine.batches import length_of
from gammatune.engine.forks.streams import StreamStates
from gammatune.errors import ConflictingControl, InvalidArgument, require, whole
from gammatune.integrations.callbacks import BUDGET, ShownLoop, Wanted, no_validation, prepared
from gammatune.records import Metrics, Values
from gammatune.tuning.options import Running
from gammatune.tuning.result import Result
from gammatune.tuning.run import Run

if TYPE_CHECKING:
    from skorch import NeuralNet

HEARD_BY_ALL = "on_grad_computed"


def fit(
    net: "NeuralNet",
    X: Any,
    y: Any = None,
    *,
    budget: float = BUDGET,
    fit_params: Mapping[str, Any] | None = None,
    **options: Any,
) -> Result:
    """Train for `net.max_epochs` as `net.fit(X, y, **fit_params)` does, and find the learning rate.

    A rate is chosen by the net's own validation split, `train_split`: by its loss, of a classifier by its accuracy
    too. The objective is "kappa" then, else "log-loss".
    budget: the ceiling on all compute, in multiples of the plain run. options: those of `gammatune.Tuner` (seed,
    time, run_dir, search, running and their fields). Only lr can be searched.

    Raises MissingExtra, InvalidArgument, ConflictingControl before any training. A run that the keyboard interrupts
    ends so here, where `net.fit` would say nothing; the net is as it was after its last epoch then.
    """
    _refuse(net)
    wanted = Wanted.of("fit", budget, options)
    own = net.fit_loop
    results: list[Result] = []

    def fit_loop(X: Any, y: Any = None, epochs: Any = None, **params: Any) -> "NeuralNet":
        del vars(net)["fit_loop"]  # a callback may want to pickle the net
        results.append(_train(net, own, (X, y, epochs, params), wanted))
        return net

    vars(net)["fit_loop"] = fit_loop
    try:
        net.fit(X, y, **(fit_params or {}))
    finally:
        vars(net).pop("fit_loop", None)
    if not results:
        raise KeyboardInterrupt
    return results[0]


class GammaTuned:
    """Before a net of skorch among the bases of a class: its `fit` and `partial_fit` find the learning rate.

    budget: as in `fit`. tuner: the options of `fit`, by name; both are parameters of the estimator. What came of it
    is `result_`.
    """

    budget: float
    tuner: Mapping[str, Any] | None

    def __init__(
        self, *args: Any, budget: float = BUDGET, tuner: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.budget, self.tuner = budget, tuner

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **params: Any) -> Any:
        _refuse(self)
        wanted = Wanted.of("fit", self.budget, self.tuner or {})
        own = super().fit_loop  # type: ignore[misc]
        self.result_ = _train(self, own, (X, y, epochs, params), wanted)
        return self


def _train(net: Any, own: Callable[..., Any], given: tuple[Any, ...], wanted: Wanted) -> Result:
    """What `fit` calls in the place of the loop over epochs, `own`, which was given data, epochs and parameters."""
    X, y, epochs, params = given
    epochs = whole(net.max_epochs if epochs is None else epochs, "max_epochs", least=1)
    prelude = _Prelude(net)
    with prelude.instead():
        own(X, y, epochs=1, **params)
    if prelude.select is None:
        raise no_validation("the net a train_split=, such as skorch's ValidSplit(5)")
    if length_of(prelude.train[0]) is None:
        raise InvalidArgument(
            f"the training data ({type(prelude.train[0].dataset).__name__}) have no length, and a course is counted "
            "in epochs here: give a data set with __len__, or write the loop yourself with gammatune.Tuner"
        )
    training = _Training(net, prelude, wanted.running)
    return prepared(training, training.given_optimizers, epochs, wanted)()


class _Prelude:
    """What skorch makes before its first epoch: the iterators, and with what each is passed over.

    train, select: an iterator, and the arguments of its passes; select is None without a validation split.
    """

    train: tuple[Any, Mapping[str, Any]]
    select: tuple[Any, Mapping[str, Any]] | None = None

    def __init__(self, net: Any) -> None:
        self._net = net
        self.told: Mapping[str, Any] = {}  # what callbacks hear at the ends of an epoch

    @contextmanager
    def instead(self) -> Iterator[None]:
        """Within, the loop over epochs trains nothing, and nobody hears of it."""
        attributes = vars(self._net)
        attributes["notify"], attributes["run_single_epoch"] = self._notify, self._pass
        try:
            yield
        finally:
            del attributes["notify"], attributes["run_single_epoch"]

    def _notify(self, name: str, **told: Any) -> None:
        if name == "on_epoch_begin":
            self.told = told

    def _pass(self, iterator: Any, **arguments: Any) -> None:
        if arguments["training"]:
            self.train = iterator, arguments
        elif iterator is not None:
            self.select = iterator, arguments


class _Training(ShownLoop):
    """A `Trainable` over a net that has been initialized."""

    def __init__(self, net: Any, prelude: _Prelude, running: Running) -> None:
        self._fitted, self._prelude = net, prelude
        self._rows = len(net.history)  # epochs that an earlier `fit` trained
        self._scored: tuple[int, Metrics] | None = None  # the last validation: in which row, what came of it
        self.stopped = False
        parts = {kind: [getattr(net, name + "_") for name in getattr(net, kind)] for kind in KINDS}
        self.given_optimizers = parts["_optimizers"]
        accelerator = getattr(net, "accelerator", None)  # skorch's AccelerateMixin
        super().__init__(
            parts["_modules"],
            self.given_optimizers,
            running,
            [
                *(criterion for criterion in parts["_criteria"] if isinstance(criterion, nn.Module)),
                *([] if accelerator is None else [accelerator]),
            ],
        )

    def is_onlooker(self, frame: FrameType) -> bool:
        known = [callback for _, callback in self._fitted.callbacks_]
        return frame.f_code.co_name != HEARD_BY_ALL and any(
            frame.f_locals.get("self") is one for one in known
        )

    def committed(self, run: Run, reason: str) -> None:
        if run.epoch == 0 and self._fitted.verbose:
            print(f"gammatune: lr {run.values['lr']:.3g}; {reason}")

    def advance(self, epoch: int, values: Values, meter: Meter) -> None:
        iterator = self._prelude.train[0]
        whole_pass = length_of(iterator) or 0
        planned = meter.length.batches(whole_pass)
        batches = self.batches(iterator, epoch, meter)
        self._scored = None
        if self._shown is None:
            with self._unheard():
                self._fitted.run_single_epoch(batches, **self._prelude.train[1])
            return
        del self._fitted.history[self._rows + epoch :]  # of epochs that were taken back
        while planned > 0 and not meter.ended and not self.stopped:
            self._show_epoch(batches, min(planned, whole_pass), is_last=planned <= whole_pass, meter=meter)
            planned -= whole_pass

    def _show_epoch(self, batches: Iterator[Any], count: int, *, is_last: bool, meter: Meter) -> None:
        """An epoch of so many batches, as skorch has it. is_last: of the run, so that the loader comes to its end."""
        net, told = self._fitted, self._prelude.told
        net.notify("on_epoch_begin", **told)
        net.run_single_epoch(batches if is_last else islice(batches, count), **self._prelude.train[1])
        if meter.ended:
            return
        self._scored = len(net.history), self._validate()
        try:
            net.notify("on_epoch_end", **told)
        except KeyboardInterrupt:  # how callbacks of skorch ask to stop
            self.stopped = True

    def evaluate(self, meter: Meter) -> Metrics:
        assert self._prelude.select is not None
        data = self._prelude.select[0].dataset
        meter.evaluated += len(data) if isinstance(data, Sized) else 0
        if self._scored is not None and self._shown is not None:
            return self._scored[1]
        streams = StreamStates([], cuda=True)
        with self._unheard():
            metrics = self._validate()
        streams.restore()
        return metrics

    def _validate(self) -> Metrics:
        """A pass over the validation split: the mean loss, as skorch has it, and of a classifier the accuracy."""
        import skorch

        assert self._prelude.select is not None
        net, (iterator, arguments) = self._fitted, self._prelude.select
        kinds = skorch.NeuralNetClassifier, skorch.classifier.NeuralNetBinaryClassifier
        of_classes = isinstance(net, kinds)
        right: list[Tensor] = []

        def step(batch: Any, **params: Any) -> Any:
            said = arguments["step_fn"](batch, **params)
            if of_classes:
                right.append(_right(net, batch, said["y_pred"]))
            return said

        net.run_single_epoch(iterator, **{**arguments, "step_fn": step})
        rows = net.history[-1, "batches", :, ("valid_loss", "valid_batch_size")]
        losses, sizes = zip(*rows, strict=True)
        metrics = {"loss": float(np.average(losses, weights=sizes))}
        if right:
            metrics["accuracy"] = sum(float(each.sum()) for each in right) / sum(len(each) for each in right)
        return metrics

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """No callback hears what is trained or validated inside, and no row of it stays."""
        from skorch.history import History

        net, attributes = self._fitted, vars(self._fitted)
        kept, attributes["history_"] = net.history_, History()

        def notify(name: str, **told: Any) -> None:
            getattr(net, name)(net, **told)
            if name == HEARD_BY_ALL:
                for _, callback in net.callbacks_:
                    getattr(callback, name)(net, **told)

        attributes["notify"] = notify
        try:
            net.history.new_epoch()
            yield
        finally:
            del attributes["notify"]
            attributes["history_"] = kept


KINDS = "_modules", "_criteria", "_optimizers"  # of a net's parts, by which skorch lists their names


def _right(net: Any, batch: Any, output: Any) -> Tensor:
    """(n,) whether `net.predict` says what the target of each example is."""
    from skorch.dataset import unpack_data

    _, targets = unpack_data(batch)
    scores = net._get_predict_nonlinearity()(output[0] if isinstance(output, tuple) else output)
    threshold = getattr(net, "threshold", None)  # of two classes
    said = scores.argmax(1) if threshold is None else scores[:, 1] > threshold
    right: Tensor = said.cpu() == targets.cpu().reshape(said.shape)
    return right.flatten()


def _refuse(net: Any) -> None:
    """What can be told before the net is initialized."""
    skorch = require("skorch", "skorch")
    if not isinstance(net, skorch.NeuralNet):
        raise InvalidArgument(f"fit takes a net of skorch, made, not {_named(net)}")
    callbacks = skorch.callbacks
    for given in net.callbacks or ():
        each = given[1] if isinstance(given, tuple) else given
        kind = each if isinstance(each, type) else type(each)
        if issubclass(kind, callbacks.LRScheduler):
            raise ConflictingControl(
                f"the callback {kind.__name__} sets the learning rate, and so does gammatune: leave it out"
            )
        if issubclass(kind, callbacks.ParamMapper):
            raise ConflictingControl(
                f"the callback {kind.__name__} changes parameters at some epoch, and rollouts are trained without "
                "callbacks: do it in the module itself, before fit"
            )


def _named(thing: Any) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__


__all__ = ["GammaTuned", "fit"]
