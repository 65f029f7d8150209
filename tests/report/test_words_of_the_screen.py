"""Words that not everybody knows are explained where they stand, by one table for page and terminal."""

import pytest

from gammatune.metrics.catalogue import METRICS, words_of
from gammatune.report.glossary import BEFORE_TRAINING, page_words, words_in


def test_the_words_that_occur_are_explained_and_no_others() -> None:
    text = "epoch 3  lr 0.01  loss 0.5, kappa 1.2\nbest of 4 rollouts\n   Sens  MCC\n0.5  auc  balanced-accuracy\n"
    found = dict(words_in(text, "kappa"))
    assert list(found) == [
        "epoch",
        "lr",
        "loss",
        "rollouts",
        "Sens",
        "MCC",
        "balanced-accuracy",
        "auc",
        "kappa",
    ]
    assert "weights move in each step" in found["lr"]
    assert "higher is better" in found["kappa"]
    assert words_in("accuracy 0.5 on 20 rows of flossy steps2", "kappa") == []
    assert dict(words_in("cost 2.0 x a plain run (3.1 plain epochs)", "kappa")).keys() == {
        "plain epochs",
        "plain run",
    }


@pytest.mark.parametrize("name", [name for name in METRICS if name != "accuracy"])
def test_of_every_measure_the_catalogue_says_what_it_means(name: str) -> None:
    ((word, meaning),) = words_in(f"           {name}   ", "kappa")
    assert word == name
    assert meaning.lower() == words_of(name).meaning.lower()


def test_a_page_has_the_words_of_its_run() -> None:
    one, several = (dict(page_words(lowered=False, nets=nets)) for nets in (1, 3))
    assert "spread" in several
    assert "spread" not in one
    assert ("miniature" in dict(page_words(lowered=True, nets=1)), "miniature" in one) == (True, False)


def test_what_is_shown_while_it_trains_is_explained_before() -> None:
    assert all(f" {word}" in BEFORE_TRAINING for word in ("epoch", "lr", "rollout", "loss"))
    assert len(BEFORE_TRAINING) < 330
