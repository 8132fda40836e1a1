"""The data set that comes with the course: where it is from and its licence stand in the README beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 handwritten digits: images (1797, 8, 8) of whole numbers from 0 to 16, uint8, and their labels (1797,), int64.

    >>> images, labels = digits()
    >>> images.shape, images.max(), labels[:5]
    ((1797, 8, 8), np.uint8(16), array([0, 1, 2, 3, 4]))
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        return file["images"], file["labels"].astype(np.int64)
