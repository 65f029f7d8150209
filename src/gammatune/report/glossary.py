"""What the words of a page and of a terminal mean, in one clause each; of measures the catalogue says it."""

import re
from collections.abc import Mapping

from gammatune.metrics.catalogue import METRICS, words_of

# On a page, in this order.
_MEANINGS: Mapping[str, str] = {
    "learning rate": "How far the weights move in each step. Too low learns too slowly, too high never settles.",
    "candidate": "One value (or set of values) that was tried.",
    "epoch": "One pass over all training examples.",
    "fork": "The state of a training, kept so that one can go back to it.",
    "rollout": "A short training from a fork with one candidate; scored, then thrown away or kept.",
    "scout": "A rollout of about a 64th of the training: finds the region of good rates.",
    "miniature": "A rollout of about an eighth of the training, the whole of it in small: finds the rate.",
    "miniature, look": (
        "A short training from the initial weights, up to its rate over the first two fifths and down to zero: finds "
        "the rate. A seventh of a training of 400 batches, and a smaller share of a longer one."
    ),
    "course": "The training that was kept: what the weights handed back went through.",
    "schedule": (
        "What the learning rate is multiplied by along the course; by default a short rise, then down to zero."
    ),
    "walk": "One training from start to end. The one that ends best is the course.",
    "net, together": (
        "One of several networks that were trained alike, each on its own; together: their predictions are averaged."
    ),
    "spread": "How far the nets are apart in an answer: 0 where all say the same.",
    "average": "The mean of the weights of several trainings of the same epoch, which cancels their noise.",
    "objective": (
        "One number made of accuracy and loss (or of others); higher is better. Candidates are compared by it."
    ),
    "loss": "What the training makes small: how wrong and how unsure the answers are.",
    "surrogate": "What is believed of the objective at rates not tried, learnt from those that were.",
    "promise (acquisition)": "How much better than the best so far a look at a candidate may turn out to be.",
    "diverged": "The numbers blew up; such a rollout is stopped at once and ranks below every other.",
    "verdict": "A decision of the search with its reason.",
    "plain run": "The same epochs of training once, without any search: the unit of cost.",
    "95 % interval": "Were the same measured on other such examples, it would lie in here 19 times of 20.",
    "calibration": "Whether answers given with a probability of 80 % are right 80 % of the time.",
}
# On a terminal: as it is written there, and the word above, or what it means.
_SHORT: Mapping[str, str] = {
    "epoch": "epoch",
    "lr": "learning rate",
    "loss": "loss",
    "rollouts?": "A short training that is tried and thrown away, by which the learning rate is found.",
    "course": "course",
    "blew up": "It went wrong at once, because the steps were too large; it was repeated with smaller ones.",
    "plain epochs": "The work of one epoch: what was spent, the search for the rate among it, counted in these.",
    "plain run": "plain run",
    "95 % interval": "95 % interval",
    "Sens": words_of("sensitivity").meaning,
    "Spec": words_of("specificity").meaning,
    "Acc": words_of("accuracy").meaning,
    "MCC": words_of("mcc").meaning,
    "linear model": "A weighted sum of the columns, as in a (logistic) regression.",
    "boosted trees": "Many small decision trees, each mending what those before it got wrong.",
    "network": "A neural network: layers of weighted sums, bent in between.",
    "seed": "The number that all chance here comes from: with the same one the result is the same.",
}
BEFORE_TRAINING = (
    "While it trains: an epoch is one pass over the rows that train, lr (the learning rate) how far each step of "
    "learning goes, a rollout a short trial by which lr is found, loss how wrong the answers are, lower being "
    "better, and the figure behind it what trainings are compared by, higher being better."
)


def page_words(*, lowered: bool, nets: int) -> list[tuple[str, str]]:
    """For a page. lowered: of a run of an older version. nets: that answer together."""
    left_out = {"miniature, look" if lowered else "miniature"} | (
        set() if nets > 1 else {"net, together", "spread"}
    )
    return [each for each in _MEANINGS.items() if each[0] not in left_out]


def words_in(text: str, objective: str) -> list[tuple[str, str]]:
    """The words in a text for a terminal that not everybody knows, and what they mean. objective: what trainings are
    compared by is called so."""
    measures = {name: words_of(name).meaning for name in METRICS if name != "accuracy"}
    meanings = {**_SHORT, **measures, objective: _MEANINGS["objective"]}
    found = []
    for word, meaning in meanings.items():
        here = re.search(rf"(?<![\w-])(?:{word if word in _SHORT else re.escape(word)})(?![\w-])", text)
        if here is not None and meaning:
            clause = _MEANINGS.get(meaning, meaning)
            found.append((here[0], clause[:1].upper() + clause[1:].rstrip(".")))
    return found
