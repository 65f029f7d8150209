"""Search spaces: named dimensions, and the one map between a user's values and the unit cube.

Symbols: d columns of the unit cube, q points. Everything that searches works on points u in [0, 1]^d; everything
that trains works on `Values`, a mapping from names to plain Python float, int or str. `Space` is the only
place where one becomes the other, and the only place that says when two candidates are the same (`key`).

How a dimension fills its columns:
    Float           1 column, linear or logarithmic
    Int             1 column; each integer owns an equal share (of the line, or of the log line), and its
                    unit coordinate is where it lies in its share, so that uniform u gives uniform integers
    Choice, numbers 1 column; the sorted options own equal shares (order counts, distance does not)
    Choice, other   one column for each option ("one-hot"); the largest coordinate wins
"""

from gammatune.space.dimensions import BATCH_SIZE as BATCH_SIZE
from gammatune.space.dimensions import LR_RATIO as LR_RATIO
from gammatune.space.dimensions import OPTIMIZER as OPTIMIZER
from gammatune.space.dimensions import Array as Array
from gammatune.space.dimensions import Choice as Choice
from gammatune.space.dimensions import Dimension as Dimension
from gammatune.space.dimensions import Float as Float
from gammatune.space.dimensions import Int as Int
from gammatune.space.product import Space as Space
from gammatune.space.text import parse as parse
