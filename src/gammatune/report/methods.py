"""A paragraph for a methods section, and what to cite: made of what the journal holds, and true to the run.

What a journal does not say, as those of earlier versions may not, is left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gammatune.journal.history import Story
from gammatune.journal.wording import number
from gammatune.metrics.catalogue import FIRST, METRICS, words_of
from gammatune.metrics.objectives import described
from gammatune.report.citation import citations
from gammatune.report.held import listed, mapping, whole
from gammatune.report.learnt import by_labels, gives_median, whether_of
from gammatune.report.models import NET, beside_of, capital, handed_over, kinds_in, models_of
from gammatune.report.several import nets_of
from gammatune.report.wording import compares, in_sentence

SHOWN = 4  # measures (guess: what a sentence holds)

NETS: Final[Mapping[str, str]] = {
    "tabular": "a feed-forward network of three hidden layers with embeddings of numbers and categories",
    "mlp": "a feed-forward network",
    "cnn": "a convolutional network",
    "resnet": "a residual convolutional network",
    "lstm": "a recurrent network (LSTM)",
}
OPTIMIZERS: Final[Mapping[str, str]] = {
    "adamw": "AdamW", "adam": "Adam", "sgd": "stochastic gradient descent", "momentum": "SGD with momentum",
    "nesterov": "SGD with Nesterov momentum", "rmsprop": "RMSprop", "adagrad": "Adagrad", "muon": "Muon",
}  # fmt: skip
OTHERS: Final[Mapping[str, Mapping[str, str]]] = {
    "classification": {
        "linear": "a logistic regression with an L2 penalty",
        "trees": "gradient-boosted trees",
    },
    "regression": {"linear": "a ridge regression", "trees": "gradient-boosted trees"},
}
ALONG: Final[Mapping[str, str]] = {  # after a brief rise
    "linear": "fell in a straight line to zero",
    "cosine": "fell along half a cosine to zero",
    "1-sqrt": "fell to zero, as one minus the square root of the progress",
    "wsd": "stayed there, and fell to zero over the last fifth",
    "constant": "stayed there",
}
SETTINGS: Final[Mapping[str, str]] = {
    "linear": "the strength of the penalty",
    "trees": "the number of boosting rounds",
}
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "number": ("numeric column", "numeric columns"),
    "category": ("categorical column", "categorical columns"),
    "date": ("date", "dates"),
}


@dataclass(frozen=True, slots=True)
class Methods:
    """paragraph: in sentences. citations: of what it used, one a line."""

    paragraph: str
    citations: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([self.paragraph, "", *self.citations])


def methods_of(story: Story) -> Methods:
    """Of any run, as far as its journal tells."""
    parts = [_data(story), _columns(story), _compared(story), _network(story), _results(story), _made(story)]
    version = story.begin.get("gammatune")
    return Methods(
        " ".join(sentence for part in parts for sentence in part),
        citations(version if isinstance(version, str) else None),
    )


def _facts(story: Story) -> Mapping[str, Any]:
    return mapping(story.begin["facts"])


def _preparing(story: Story) -> Mapping[str, Any]:
    return mapping(_facts(story).get("preprocessing"))


def _command(story: Story) -> Mapping[str, Any]:
    return mapping(_facts(story).get("command"))


def _data(story: Story) -> list[str]:
    preparing, command = _preparing(story), _command(story)
    target, classes = preparing.get("target"), [str(label) for label in listed(preparing.get("classes"))]
    name = Path(str(_facts(story).get("data") or "")).name
    what = f"{_trained(story)} trained"
    what += f" on {name}" if name else ""
    if target is not None:
        what += f" to predict {target}"
    if classes:
        shown = f": {', '.join(classes)}" if len(classes) <= 10 else ""
        order = " in their order" if preparing.get("ordered") else ""
        what += f" ({len(classes)} classes{order}{shown})"
    what += "; an answer is the median of the predicted probabilities" if gives_median(story.report) else ""
    return [f"{what}.", *_parts(story, command), *_weights(command)]


def _trained(story: Story) -> str:
    """'Gradient-boosted trees were', 'A neural network was'."""
    kinds = kinds_in(story)
    if len(kinds) > 1:
        return "Models were"
    name = _others(story).get(kinds[0], "a neural network")
    return f"{capital(name)} {'was' if name.startswith('a ') else 'were'}"


def _others(story: Story) -> Mapping[str, str]:
    return OTHERS["classification" if "accuracy" in (story.report or {}) else "regression"]


def _parts(story: Story, command: Mapping[str, Any]) -> list[str]:
    """How the examples were shared out."""
    report, told = story.report or {}, beside_of(story.report)
    shares = []
    if (train := whole(_facts(story).get("train"))) is not None:
        shares.append(f"{train:,} examples were used for training")
    selecting = whole(told.get("examples"))
    chosen = "settings" if command.get("only") is not None else "models and settings"
    if selecting is not None and told.get("parts"):
        shares = [f"{selecting:,} examples were used for training and for choosing among {chosen}"]
    elif selecting is not None:
        shares.append(f"{selecting:,} for choosing among {chosen}")
    held = whole(mapping(report.get("extra")).get("examples"))
    if held is not None and report.get("on") == "test":
        shares.append(f"{held:,} were held out and took no part in either")
    if not shares:
        return []
    said = capital(_and(shares))
    if command.get("test") is not None:
        return [f"{said}; the held-out examples are those of {Path(str(command['test'])).name}."]
    if command.get("time_column") is not None:
        return [f"{said}; the latest by {command['time_column']} were held out."]
    if command.get("group") is not None:
        return [f"{said}; examples of the same {command['group']} were kept in one part."]
    return [f"{said}; the parts were drawn at random." if command.get("target") is not None else f"{said}."]


def _weights(command: Mapping[str, Any]) -> list[str]:
    said = []
    if command.get("sample_weight") is not None:
        said.append(f"Examples were weighted by {command['sample_weight']}.")
    if command.get("class_weights") == "balanced":
        said.append("Classes were weighted inversely to their frequency in training.")
    return said


def _columns(story: Story) -> list[str]:
    """How a table entered the models."""
    columns = [mapping(column) for column in listed(_preparing(story).get("columns"))]
    counts = Counter(str(column.get("kind")) for column in columns)
    named = [
        f"{counts[kind]} {many if counts[kind] > 1 else one}"
        for kind, (one, many) in KINDS.items()
        if counts[kind]
    ]
    if not named:
        return []
    said = [f"Predictors were {_and(named)}."]
    if counts["number"]:
        said.append(
            "Numbers were centred on the median of the training examples, divided by their interquartile range, and "
            "bounded smoothly at three times that on either side."
        )
    if flagged := [str(column.get("name")) for column in columns if column.get("flagged")]:
        where = f" ({', '.join(flagged)})" if len(flagged) <= 5 else f" (in {len(flagged)} columns)"
        said.append(
            f"Missing values of numbers and dates{where} were replaced by the median, with an indicator beside it."
        )
    if counts["category"]:
        said.append("A missing category counted as a category of its own.")
    return said


def _compared(story: Story) -> list[str]:
    """Which models, how they were compared, and which was taken."""
    told, models, kinds = beside_of(story.report), models_of(story.report), kinds_in(story)
    rounds = whole(told.get("rounds_in_time"))
    few = {"trees": f" (at most {rounds}, for the time)"} if rounds is not None else {}
    chosen = [SETTINGS[kind] + few.get(kind, "") for kind in kinds if kind in SETTINGS]
    settings = (
        f"{capital(_and(chosen))} {'were' if len(chosen) > 1 else 'was'} chosen by the loss on examples"
    )
    said = [f"{settings} that were set aside for that."] if chosen else []
    said += _fitted_anew(told, kinds)
    if models is None:
        return said
    others = {**_others(story), NET: "a neural network"}
    named = [others[kind] for kind in kinds if kind in others]
    average = ", and the average of the best two was added" if "average" in kinds else ""
    metric = in_sentence(models.metric)
    parts, repeats = whole(told.get("parts")) or 0, whole(told.get("repeats")) or 0
    if parts:
        times = f", repeated {repeats} times" if repeats > 1 else ""
        how = f"by {metric} in a cross-validation of {parts} parts{times}, on {models.examples:,} examples"
    else:
        how = f"by {metric} on the {models.examples:,} examples set aside for choosing"
    taken = handed_over(story.report) or "the network"
    fitted = f"{capital(_and(named))} were fitted to the same examples{average}"
    if all(each.selected is None for each in models.beside):
        return [
            f"{fitted}; {metric} had no value on those to choose by, so what was taken is {taken}.",
            *said,
        ]
    if "sha256" in told and told["sha256"] is None:
        return [f"{fitted}; the others could not be kept, so what was taken is {taken}.", *said]
    return [
        f"{fitted}; they were compared {how}.",
        *said,
        "Of the models within half a standard error (of the paired difference) of the best one the simplest was "
        f"taken: {taken}.",
    ]


def _fitted_anew(told: Mapping[str, Any], kinds: Sequence[str]) -> list[str]:
    """Which examples what is handed over has learnt from, beside the network (`pipeline.families`)."""
    if not told:
        return []
    parts, repeats = whole(told.get("parts")) or 0, whole(told.get("repeats")) or 0
    names = {"linear": "the linear model", "trees": "the boosted trees"}
    anew = [name for kind, name in names.items() if kind in kinds and not (parts and kind == "trees")]
    said = []
    if anew:
        were = "were" if "trees" in kinds and not parts else "was"
        said.append(
            f"{capital(_and(anew))} {were} then fitted anew to all examples but those that are reported on."
        )
    if parts and "trees" in kinds:
        said.append(
            f"The boosted trees are the average of the {parts * max(1, repeats)} that were grown in the "
            "cross-validation, each without one part of it."
        )
    return said


def _network(story: Story) -> list[str]:
    """How the network was trained, and how its learning rate was found."""
    if NET not in kinds_in(story):
        return []
    facts, back = _facts(story), story.handed_back
    optimizer = str(facts.get("optimizer"))
    nets, model = nets_of(story), str(facts.get("model"))
    size, batch = whole(facts.get("parameters")), whole(facts.get("batch_size"))
    what = f"The neural network was {NETS.get(model, model)}" if facts.get("model") else "A neural network"
    what += f" ({size:,} weights)" if size is not None else ""
    trained = "trained" if facts.get("model") else "was trained"
    what += (
        f", {trained} with {OPTIMIZERS.get(optimizer, optimizer)}"
        if facts.get("optimizer")
        else f" {trained}"
    )
    what += f" in batches of {batch}" if batch is not None else ""
    if _command(story) and story.report is not None and not _preparing(story).get("ordered"):
        what += f" to make the {'cross-entropy' if 'accuracy' in story.report else 'squared error'} small"
    said = [f"{what}."]
    looks = [o for o in story.rollouts if o.role == "miniature" and not o.nets]
    if looks:
        score = described(story.objective, float(story.begin.get("lam", 1)))
        said.append(
            f"Its learning rate was chosen by gammatune from {len(looks)} short trainings, by {score} on examples "
            "set aside for choosing."
        )
    is_whole = back is not None and not story.extensions
    if is_whole and compares(story) == "looks" and (along := ALONG.get(_schedule_of(story))):
        said.append(f"Along the training the rate rose briefly, then {along}.")
    if back is not None and back.epoch:
        rates = _and([f"{number(rate)}" for rate in back.rates.values()])
        highest = f" at a learning rate of at most {rates}" if rates else ""
        said.append(
            f"The weights are those after epoch {back.epoch} of {back.trained}{highest}."
            if nets == 1
            else f"The predictions of {nets} such networks, trained alike from different initial weights{highest}, "
            "were averaged."
        )
    told = beside_of(story.report)
    together = whole(told.get("nets")) or 0
    if told.get("parts") and together > nets:
        said.append(
            f"Further such networks followed the same course without one part of the cross-validation each; all "
            f"{together} answer together, by their average."
        )
    return said


def _schedule_of(story: Story) -> str:
    """Its name; where nobody chose one, as the last epoch went: an optimizer may want a constant rate."""
    ends_at_zero = bool(story.course) and story.course[-1].shape(1.0) == 0
    return str(story.begin.get("schedule") or ("linear" if ends_at_zero else "constant"))


def _results(story: Story) -> list[str]:
    report = story.report
    if report is None or not report.get("measures"):
        return []
    measures, asked = report["measures"], report.get("metric")
    names = [name for name in dict.fromkeys([asked or FIRST[0], *FIRST]) if name in measures][:SHOWN]
    told = [
        f"{in_sentence(name)}{_of_class(story, name)} was {figure(name, measures[name])}" for name in names
    ]
    count = whole(mapping(report.get("extra")).get("examples"))
    many = f"{count:,} " if count is not None else ""
    on = f"{many}held-out examples" if report.get("on") == "test" else f"{many}examples it was also chosen by"
    said = [f"On the {on}, {_and(told)} (95 % intervals by a bootstrap of these examples)."]
    beside = by_labels(report) if "accuracy" in report else None
    if beside is not None:
        said.append(
            f"Always predicting the most frequent class would have had an accuracy of {100 * beside.share:.1f} %."
        )
    models = models_of(report)
    for each in () if models is None else models.beside:
        if each.kind == "linear" and not each.is_chosen and each.reported is not None and models is not None:
            said.append(
                f"The linear model had {_with_article(models.metric)} of {figure(models.metric, each.reported)}."
            )
    if whether_of(report) in ("nothing", "untold"):
        said.append("These data do not show that the model predicts better than a constant answer.")
    return said


def _made(story: Story) -> list[str]:
    begin = story.begin
    versions = mapping(begin.get("versions"))
    named = {"gammatune": begin.get("gammatune"), "PyTorch": versions.get("torch")}
    named |= {"scikit-learn": versions.get("scikit-learn"), "Python": begin.get("python")}
    used = [
        f"{name} {str(version).partition('+')[0]}" for name, version in named.items() if version is not None
    ]
    with_ = f" with {_and(used)}" if used else ""
    return [f"Analyses were run{with_}; the random seed was {begin['seed']}."]


def figure(name: str, measure: Sequence[float]) -> str:
    """'75.0 % [66.7, 82.5]'."""
    value, low, high = measure
    if words_of(name).in_percent:
        return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    places = ".3f" if abs(value) < 10 else ".4g"
    return f"{value:{places}} [{low:{places}}, {high:{places}}]"


def _of_class(story: Story, name: str) -> str:
    """Of which of two classes a measure is, where it is of one."""
    classes = listed(_preparing(story).get("classes"))
    of_one = len(classes) == 2 and name in METRICS and METRICS[name].of_a_class
    return f" (of {classes[1]})" if of_one else ""


def _with_article(name: str) -> str:
    title = in_sentence(name)
    return f"{'an' if title[0] in 'aeioAFMR' else 'a'} {title}"


def _and(parts: Sequence[str]) -> str:
    """'a, b and c'."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
