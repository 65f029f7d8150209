"""`digits`: 1,797 handwritten digits of 8 x 8 pixels, shipped with scikit-learn; no download."""

import numpy as np

from gammatune.pipeline.data.dataset import Data, make_data


def load_digits() -> Data:
    """The digits as images (1797, 8, 8), float32 from 0 to 16; ten classes, no test part of their own."""
    from sklearn.datasets import load_digits as sklearn_digits

    bunch = sklearn_digits()
    return make_data("digits", bunch.images.astype(np.float32), bunch.target)
