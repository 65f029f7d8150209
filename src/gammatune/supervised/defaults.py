"""What is chosen where nobody has said anything: net, epochs, patience, by the data alone.

Rules of thumb, one number a line, so that anybody can follow and overrule them; the batch size has its own in
`gammatune.supervised.loaders`. All are guesses that were tried on generated tables and on digits, not optimised;
docs/design.md.
"""

import math

TABLE_STEPS = 2_500  # optimizer steps of a training on a table
TABLE_EPOCHS = (8, 100)
IMAGE_EPOCHS = 20
IMAGE_STEPS, MOST_IMAGE_EPOCHS = 700, 100  # where there are so few images that 20 epochs are fewer steps
MANY_IMAGES, FEWER_EPOCHS = 30_000, 10
# Examples that a training, the choice of its rate and its judgement can share at all. A fifth of them reports; of
# fewer than four, all of them right, the true share of errors may still be anything (3 / n, the rule of three).
LEAST_EXAMPLES = 20
# Of the time that is allowed, what is kept for what comes after the learning: all of it with boosted trees and the
# worth of columns, without them the report (guesses); and no more of it than these seconds.
AFTER_A_TABLE, AFTER, AFTER_MOST = 0.2, 0.05, 60.0
RESNET_FROM = 5_000  # images, where there is an accelerator


def model_for(
    shape: tuple[int, ...], examples: int = 0, *, table: bool = False, accelerated: bool = False
) -> str:
    """tabular for tables, mlp for other rows of numbers; for images cnn, on an accelerator resnet from 5,000 on."""
    if len(shape) == 3:
        return "resnet" if accelerated and examples >= RESNET_FROM else "cnn"
    return "tabular" if table else "mlp"


def epochs_for(shape: tuple[int, ...], examples: int, batch_size: int, *, table: bool) -> int:
    """Tables for 2,500 steps, 8 epochs at least and 100 at most. Everything else 20 epochs, 10 from 30,000 images on,
    more where that is fewer than 700 steps, 100 at most."""
    steps = max(1, math.ceil(examples / batch_size))  # an epoch
    if table:
        least, most = TABLE_EPOCHS
        return min(max(round(TABLE_STEPS / steps), least), most)
    if len(shape) == 3 and examples >= MANY_IMAGES:
        return FEWER_EPOCHS
    return min(max(IMAGE_EPOCHS, math.ceil(IMAGE_STEPS / steps)), MOST_IMAGE_EPOCHS)


def kept_for_after(seconds: float, *, judged: bool) -> float:
    """Of the seconds allowed, how many are kept for what comes after the learning. judged: with boosted trees beside
    the net and the worth of columns."""
    return min((AFTER_A_TABLE if judged else AFTER) * seconds, AFTER_MOST)


def patience_for(epochs: int) -> int | None:
    """Epochs without progress after which the training ends early: half of all, 10 at least; never where there are
    fewer than that, since a schedule that falls makes most of its progress at the end."""
    patience = max(10, epochs // 2)
    return patience if patience < epochs else None
