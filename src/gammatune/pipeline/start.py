"""What a training begins with where it does not begin from scratch: the weights of a file, or an earlier run."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from gammatune.errors import InvalidArgument
from gammatune.journal.history import FILE, WEIGHTS
from gammatune.pipeline.data.preprocessing import Preprocessing
from gammatune.pipeline.data.table_preprocessing import TablePreprocessing
from gammatune.pipeline.load import Plan, plan_of, weights_of
from gammatune.pipeline.models import MODELS, make_model
from gammatune.pipeline.models.check import check_output
from gammatune.pipeline.models.from_timm import HUB, advice, hub_weights, is_timm
from gammatune.supervised.weights import load_weights


@dataclass(frozen=True, slots=True)
class Beginning:
    """model: as `make_model` takes it. weights: a file, of a net of timm's HUB too; None: as the network is made.
    run: what the journal of an earlier run says, where that is gone on from."""

    model: str
    weights: str | None = None
    run: Plan | None = None

    @property
    def like(self) -> Preprocessing | TablePreprocessing | None:
        """How the earlier run prepared its data, which its network needs again."""
        return None if self.run is None else self.run.preprocessing

    @property
    def is_pretrained(self) -> bool:
        return self.weights is not None

    @property
    def is_from_hub(self) -> bool:
        return is_timm(self.model) and self.weights == HUB

    @property
    def fact(self) -> str | None:
        """For the journal: the file, and the first digits of its checksum, by which another one is told."""
        if self.weights is None or self.is_from_hub:
            return None if self.weights is None else f"of {self.model}, from its hub"
        with open(self.weights, "rb") as file:
            return f"{self.weights} (sha256 {hashlib.file_digest(file, 'sha256').hexdigest()[:12]})"

    def network(
        self, preprocessing: Preprocessing | TablePreprocessing, seed: int, said: list[str]
    ) -> nn.Module:
        """The network for data prepared so. said: takes what is told of it.

        Raises every error of `make_model` and of `load_weights`, JournalError where the earlier run has no weights.
        """
        shape, outputs = preprocessing.shape, preprocessing.outputs
        net = make_model(self.model, shape, outputs, seed, preprocessing.cardinalities)
        check_output(net, shape, outputs)  # makes the parameters of lazy layers, too
        if self.run is not None:
            like = self.run.preprocessing
            other = like.classes != preprocessing.classes or like.target_mean != preprocessing.target_mean
            said += load_weights(net, weights_of(self.run), name=self.run.run, new_head=other)
            said.append(f"The inputs are standardised as in {self.run.run}.")
        elif self.weights is not None:
            name = f"timm's hub, {self.model}," if self.is_from_hub else self.weights
            source = hub_weights(self.model, shape) if self.is_from_hub else self.weights
            said += load_weights(net, source, name=name)
            said += advice(net, shape) if is_timm(self.model) else []
        return net


def beginning(model: str, weights: str | None) -> Beginning:
    """From `--model`, which may be a run directory, and `--weights`. Raises InvalidArgument, JournalError."""
    if weights == HUB and not is_timm(model) and not Path(HUB).exists():
        raise InvalidArgument(
            f"--weights {HUB} is for nets of timm's, and --model {model} is none; name a file"
        )
    if model == "auto" or model in MODELS or ":" in model or not Path(model).is_dir():
        return Beginning(model, weights)
    if not (Path(model) / FILE).is_file():
        raise InvalidArgument(
            f"--model {model} is a directory without a {FILE}, so no run; give a run's directory, a model's name, or "
            "package.module:factory"
        )
    if weights is not None:
        raise InvalidArgument(f"--model {model} is a run and brings its own weights; leave --weights out")
    plan = plan_of(model)
    return Beginning(plan.model, str(Path(model) / WEIGHTS), plan)
