"""The words of a page, each in a sentence."""

from gammatune.journal.history import Story
from gammatune.report.html.looks import has_looks

GLOSSARY = {
    "learning rate": "How far the weights move in each step. Too low learns too slowly, too high never settles.",
    "candidate": "One value (or set of values) that was tried.",
    "epoch": "One pass over all training examples.",
    "fork": "The state of a training, kept so that one can go back to it.",
    "rollout": "A short training from a fork with one candidate; scored, then thrown away or kept.",
    "scout": "A rollout of about a 64th of the training: finds the region of good rates.",
    "miniature, look": "A short training from the initial weights, up to its rate over the first two fifths and down "
    "to zero: finds the rate. A seventh of a training of 400 batches, and a smaller share of a longer one.",
    "course": "The training that was kept: what the weights handed back went through.",
    "schedule": "What the learning rate is multiplied by along the course; by default a short rise, then down to "
    "zero.",
    "walk": "One training from start to end. The one that ends best is the course.",
    "net, together": "One of several networks that were trained alike, each on its own; together: their predictions "
    "are averaged.",
    "spread": "How far the nets are apart in an answer: 0 where all say the same.",
    "average": "The mean of the weights of several trainings of the same epoch, which cancels their noise.",
    "objective": "One number made of accuracy and loss (or of others); higher is better. Candidates are compared by "
    "it.",
    "loss": "What the training makes small: how wrong and how unsure the answers are.",
    "surrogate": "What is believed of the objective at rates not tried, learnt from those that were.",
    "promise (acquisition)": "How much better than the best so far a look at a candidate may turn out to be.",
    "diverged": "The numbers blew up; such a rollout is stopped at once and ranks below every other.",
    "verdict": "A decision of the search with its reason.",
    "plain run": "The same epochs of training once, without any search: the unit of cost.",
    "95 % interval": "Were the same measured on other such examples, it would lie in here 19 times of 20.",
    "calibration": "Whether answers given with a probability of 80 % are right 80 % of the time.",
}
OF_SEVERAL = "net, together", "spread"
OLDER = {  # of a run whose version of the policy had other rollouts
    "miniature, look": (
        "miniature",
        "A rollout of about an eighth of the training, the whole of it in small: finds the rate.",
    ),
}


def glossary(story: Story) -> list[tuple[str, str]]:
    """Those that the page of this run uses."""
    said = {word: meaning for word, meaning in GLOSSARY.items() if story.nets or word not in OF_SEVERAL}
    older = {} if has_looks(story) else OLDER
    return [older.get(word, (word, meaning)) for word, meaning in said.items()]
