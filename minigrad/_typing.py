"""The types that signatures name: what an operation takes as an operand and as an axis, and what a comparison gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

if TYPE_CHECKING:
    from .tensor import Tensor

Operand: TypeAlias = Union["Tensor", np.ndarray, np.generic, float, Sequence[Any]]
Booleans: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Axis: TypeAlias = int | tuple[int, ...] | None
