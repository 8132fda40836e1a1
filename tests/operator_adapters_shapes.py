"""The part of the table of operators that moves elements about: shapes, joins, cuts, indices (see operator_adapters.py)."""

from __future__ import annotations

from math import prod

import numpy as np
from operator_adapters import ADAPTERS, L, only, operator, shape_of

ADAPTERS |= {
    "reshape": lambda x, *shape: L.tensor_reshape(x, shape_of(shape)),
    "view": lambda x, *shape: L.tensor_reshape(x, shape_of(shape)),
    "view_copy": lambda x, *shape: L.tensor_reshape(x, shape_of(shape)),
    "reshape_as": lambda x, other: L.tensor_reshape(x, other.shape),
    "view_as": lambda x, other: L.tensor_reshape(x, other.shape),
    "ravel": lambda x: L.tensor_reshape(x, -1),
    "flatten": lambda x, start_dim=0, end_dim=-1: flatten(x, start_dim, end_dim),
    "unflatten": lambda x, dim, sizes: x.reshape((*x.shape[: dim % x.ndim], *sizes, *x.shape[dim % x.ndim + 1 :])),
    "squeeze": lambda x, dim=None: squeeze(x, dim),
    "squeeze_copy": lambda x, dim=None: squeeze(x, dim),
    "squeeze.multiple": lambda x, dim=None: squeeze(x, dim),
    "unsqueeze": lambda x, dim: unsqueeze(x, dim),
    "unsqueeze_copy": lambda x, dim: unsqueeze(x, dim),
    "transpose": lambda x, i, j: swap(x, i, j),
    "transpose_copy": lambda x, i, j: swap(x, i, j),
    "permute": lambda x, axes: L.tensor_transpose(x, tuple(axes)),
    "permute_copy": lambda x, axes: L.tensor_transpose(x, tuple(axes)),
    "movedim": lambda x, source, to: L.tensor_moveaxis(x, pair_of(source), pair_of(to)),
    "t": lambda x: L.tensor_transpose(x),
    "t_copy": lambda x: L.tensor_transpose(x),
    "T": lambda x: L.tensor_transpose(x),
    "H": lambda x: L.tensor_transpose(x),
    "mT": lambda x: x.mT,
    "mH": lambda x: x.mT,
    "expand": lambda x, *shape: expand(x, shape_of(shape)),
    "expand_copy": lambda x, *shape: expand(x, shape_of(shape)),
    "expand_as": lambda x, other: expand(x, other.shape),
    "broadcast_to": lambda x, shape: expand(x, shape),
    "broadcast_tensors": lambda *xs: [expand(x, np.broadcast_shapes(*(x.shape for x in xs))) for x in xs],
    "flip": lambda x, dims: x[tuple(slice(None, None, -1 if i in wrap(dims, x) else 1) for i in range(x.ndim))],
    "flipud": lambda x: x[::-1],
    "fliplr": lambda x: x[:, ::-1],
    "roll": lambda x, shifts, dims=None: roll(x, shifts, dims),
    "rot90": lambda x, k=1, dims=(0, 1): rot90(x, k, dims),
    "repeat": lambda x, *counts: tile(x, shape_of(counts)),
    "tile": lambda x, counts: tile(x, counts),
    "cat": lambda xs, dim=0: L.tensor_concat(same_rank(xs), dim),
    "stack": lambda xs, dim=0: L.tensor_stack(xs, dim),
    "hstack": lambda xs: L.tensor_concat([at_least(x, 1) for x in xs], 0 if xs[0].ndim < 2 else 1),
    "vstack": lambda xs: L.tensor_concat([at_least(x, 2) for x in xs]),
    "dstack": lambda xs: L.tensor_concat([at_least(x, 3) for x in xs], 2),
    "column_stack": lambda xs: L.tensor_concat([x if x.ndim > 1 else x.reshape((-1, 1)) for x in xs], 1),
    "atleast_1d": lambda *xs: each(lambda x: at_least(x, 1), xs),
    "atleast_2d": lambda *xs: each(lambda x: at_least(x, 2), xs),
    "atleast_3d": lambda *xs: each(lambda x: at_least(x, 3), xs),
    "chunk": lambda x, n, dim=0: split(x, -(-x.shape[dim] // n), dim),
    "unsafe_chunk": lambda x, n, dim=0: split(x, -(-x.shape[dim] // n), dim),
    "split": lambda x, size, dim=0: split(x, size, dim),
    "unsafe_split": lambda x, size, dim=0: split(x, size, dim),
    "split.list_args": lambda x, sizes, dim=0: split(x, sizes, dim),
    "split_with_sizes": lambda x, sizes, dim=0: split(x, sizes, dim),
    "split_with_sizes_copy": lambda x, sizes, dim=0: split(x, sizes, dim),
    "tensor_split": lambda x, parts, dim=0: cut(x, parts, dim),
    "hsplit": lambda x, parts: cut(x, parts, 0 if x.ndim == 1 else 1),
    "vsplit": lambda x, parts: cut(x, parts, 0),
    "dsplit": lambda x, parts: cut(x, parts, 2),
    "unbind": lambda x, dim=0: [x[along(x, dim, i)] for i in range(x.shape[dim])],
    "unbind_copy": lambda x, dim=0: [x[along(x, dim, i)] for i in range(x.shape[dim])],
    "narrow": lambda x, dim, start, length: narrow(x, dim, start, length),
    "narrow_copy": lambda x, dim, start, length: narrow(x, dim, start, length),
    "select": lambda x, dim, i: x[along(x, dim, i)],
    "slice": lambda x, dim=0, start=None, end=None, step=1: x[along(x, dim, slice(start, end, step))],
    "index_select": lambda x, dim, index: x[along(x, dim, index)] if x.ndim else x.reshape(1)[index].reshape(()),
    "__getitem__": lambda x, index: x[index],
    "take": lambda x, index: x.reshape(-1)[index],
    "take_along_dim": lambda x, index, dim=None: take_along(x, index, dim),
    "gather": lambda x, dim, index, sparse_grad=False: gather(x, dim, index),
    "masked_select": lambda x, mask: expand(x, np.broadcast_shapes(x.shape, mask.shape))[
        np.broadcast_to(mask, np.broadcast_shapes(x.shape, mask.shape))
    ],
    "tril": lambda x, k=0: x * np.tri(*x.shape[-2:], k, dtype=x.dtype),
    "triu": lambda x, k=0: x * (1 - np.tri(*x.shape[-2:], k - 1, dtype=x.dtype)),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: diagonal(x, offset, dim1, dim2),
    "diagonal_copy": lambda x, offset=0, dim1=0, dim2=1: diagonal(x, offset, dim1, dim2),
    "linalg.diagonal": lambda x, offset=0, dim1=-2, dim2=-1: diagonal(x, offset, dim1, dim2),
    "diag": lambda x, k=0: diagonal(x, k, 0, 1) if x.ndim == 2 else diagonal_matrix(x, k),
    "unfold": lambda x, dim, size, step: windows_along(x, dim, size, step),
    "unfold_copy": lambda x, dim, size, step: windows_along(x, dim, size, step),
    "nn.functional.pad.constant": lambda x, pad, mode="constant", value=0: padded(x, pad, value or 0),
    "constant_pad_nd": lambda x, pad, value=0: padded(x, pad, value),
    "meshgrid.variadic_tensors": lambda *xs, indexing="ij": meshgrid(xs, indexing),
    "meshgrid.list_of_tensors": lambda xs, indexing="ij": meshgrid(xs, indexing),
    "trapezoid": lambda y, x=None, dx=1, dim=-1: trapezoid(y, x, dx, dim),
    "trapz": lambda y, x=None, dx=1, dim=-1: trapezoid(y, x, dx, dim),
    "diff": lambda x, n=1, dim=-1, prepend=None, append=None: diff(x, n, dim, prepend, append),
    "nn.functional.pixel_shuffle": lambda x, upscale_factor: pixel_shuffle(x, upscale_factor),
    "nn.functional.pixel_unshuffle": lambda x, downscale_factor: pixel_unshuffle(x, downscale_factor),
    "nn.functional.channel_shuffle": lambda x, groups: swap(
        x.reshape((x.shape[0], groups, -1, *x.shape[2:])), 1, 2
    ).reshape(x.shape),
}


def each(f, xs):
    xs = xs[0] if len(xs) == 1 else xs
    return [f(x) for x in xs] if isinstance(xs, (list, tuple)) else f(xs)


def pair_of(dims):
    return tuple(dims) if isinstance(dims, (list, tuple)) else dims


def wrap(dims, x):
    return [i % x.ndim for i in (dims if isinstance(dims, (list, tuple)) else (dims,))] if x.ndim else []


def along(x, dim, index):
    return (*(slice(None),) * (dim % x.ndim), index)


def flatten(x, start, end):
    if not x.ndim:
        return x.reshape(-1)
    start, end = start % x.ndim, end % x.ndim
    return x.reshape((*x.shape[:start], prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


def squeeze(x, dim=None):
    dims = range(x.ndim) if dim is None else wrap(dim, x)
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in dims or n != 1))


def unsqueeze(x, dim):
    shape = list(x.shape)
    shape.insert(dim % (x.ndim + 1), 1)
    return x.reshape(tuple(shape))


def swap(x, i, j):
    order = list(range(x.ndim))
    if order:
        order[i], order[j] = order[j], order[i]
    return L.tensor_transpose(x, tuple(order)) if order else x


def expand(x, shape):
    lead = len(shape) - x.ndim
    return L.tensor_broadcast_to(x, tuple(x.shape[i - lead] if n == -1 else n for i, n in enumerate(shape)))


def roll(x, shifts, dims):
    if not x.ndim:
        return L.tensor_copy(x)
    if dims is None or (isinstance(dims, (list, tuple)) and not dims):
        return roll(x.reshape(-1), shifts, 0).reshape(x.shape)
    one = not isinstance(shifts, (list, tuple))
    for shift, dim in zip(
        [shifts] if one else shifts, [dims] if not isinstance(dims, (list, tuple)) else dims, strict=True
    ):
        x = x[along(x, dim, np.roll(np.arange(x.shape[dim]), shift))]
    return x


def rot90(x, k, dims):
    for _ in range(k % 4):
        x = swap(x, *dims)
        x = x[along(x, dims[0], slice(None, None, -1))]
    return x


def tile(x, counts):
    counts = (1,) * (x.ndim - len(counts)) + tuple(counts)
    sizes = (1,) * (len(counts) - x.ndim) + x.shape
    y = x.reshape(tuple(n for size in sizes for n in (1, size)))
    y = L.tensor_broadcast_to(y, tuple(n for pair in zip(counts, sizes, strict=True) for n in pair))
    return y.reshape(tuple(c * n for c, n in zip(counts, sizes, strict=True)))


def same_rank(xs):
    rank = max(x.ndim for x in xs)
    return [x for x in xs if x.ndim == rank]  # PyTorch leaves empty vectors out


def at_least(x, rank):
    if x.ndim >= rank:
        return x
    if rank < 3:
        return x.reshape((1,) * (rank - x.ndim) + x.shape)
    return x.reshape((*x.shape, 1) if x.ndim == 2 else (1, x.size, 1))


def split(x, sizes, dim=0):
    n = x.shape[dim]
    sizes = [min(sizes, n - i) for i in range(0, n, sizes)] if isinstance(sizes, int) else list(sizes)
    ends = np.cumsum(sizes).tolist()
    return [x[along(x, dim, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True)]


def cut(x, parts, dim):
    parts = np.asarray(parts).tolist()
    n = x.shape[dim]
    if isinstance(parts, int):
        return split(x, [n // parts + (i < n % parts) for i in range(parts)], dim)
    starts = [0, *parts]
    return [x[along(x, dim, slice(a, b))] for a, b in zip(starts, [*parts, n], strict=True)]


def narrow(x, dim, start, length):
    start = int(np.asarray(start)) % (x.shape[dim] + 1) if int(np.asarray(start)) >= 0 else int(start) + x.shape[dim]
    return x[along(x, dim, slice(start, start + length))]


def take_along(x, index, dim):
    if dim is None:
        return x.reshape(-1)[index.reshape(-1)]
    shape = np.broadcast_shapes(*(s[:dim] + (1,) + s[dim:][1:] for s in (x.shape, index.shape))) if dim >= 0 else None
    only(shape is not None, "negative axis of two shapes")
    x = expand(x, (*shape[:dim], x.shape[dim], *shape[dim + 1 :]))
    index = np.broadcast_to(index, (*shape[:dim], index.shape[dim], *shape[dim + 1 :]))
    return gather(x, dim, index)


def gather(x, dim, index):
    if not x.ndim:
        return x.reshape(1)[index.reshape(-1)].reshape(index.shape)
    only(index.size or index.ndim == x.ndim, "an empty index with other axes")
    places = list(np.indices(index.shape, sparse=True))
    if not index.ndim:
        return x[index]
    places[dim] = index
    return x[tuple(np.broadcast_arrays(*places))]


def diagonal(x, offset, dim1, dim2):
    dim1, dim2 = dim1 % x.ndim, dim2 % x.ndim
    x = L.tensor_transpose(x, (*(i for i in range(x.ndim) if i not in (dim1, dim2)), dim1, dim2))
    rows, columns = x.shape[-2:]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    return x[..., np.arange(n) - min(offset, 0), np.arange(n) + max(offset, 0)]


def diagonal_matrix(x, k):
    n = x.size + abs(k)
    return L.tensor_sum(x.reshape((-1, 1, 1)) * np.stack([one_at(n, i, k, x.dtype) for i in range(x.size)]), 0)


def one_at(n, i, k, dtype):
    E = np.zeros((n, n), dtype)
    E[i - min(k, 0), i + max(k, 0)] = 1
    return E


def windows_along(x, dim, size, step):
    if not x.ndim:
        return x.reshape(1)[:size]
    starts = np.arange(0, x.shape[dim] - size + 1, step)
    y = x[along(x, dim, starts[:, None] + np.arange(size))]
    order = [i for i in range(y.ndim) if i != dim % x.ndim + 1]
    return L.tensor_transpose(y, (*order, dim % x.ndim + 1))


def padded(x, pad, value):
    for i in range(len(pad) // 2):
        dim, (before, after) = x.ndim - 1 - i, pad[2 * i : 2 * i + 2]
        x = x[along(x, dim, slice(max(0, -before), x.shape[dim] - max(0, -after)))]
        edges = [np.full((*x.shape[:dim], max(0, n), *x.shape[dim + 1 :]), value, x.dtype) for n in (before, after)]
        x = L.tensor_concat([edges[0], x, edges[1]], dim)
    return x


def meshgrid(xs, indexing):
    xs = [x.reshape(-1) for x in xs]
    axis_of = list(range(len(xs)))
    if indexing == "xy" and len(xs) > 1:
        axis_of[:2] = 1, 0
    shape = [0] * len(xs)
    for x, axis in zip(xs, axis_of, strict=True):
        shape[axis] = x.size
    return [
        expand(x.reshape([-1 if k == axis else 1 for k in range(len(xs))]), shape)
        for x, axis in zip(xs, axis_of, strict=True)
    ]


def trapezoid(y, x, dx, dim):
    left, right = y[along(y, dim, slice(None, -1))], y[along(y, dim, slice(1, None))]
    if x is not None:
        if x.ndim == 1 and y.ndim > 1:
            x = x.reshape([-1 if i == dim % y.ndim else 1 for i in range(y.ndim)])
        dx = x[along(x, dim, slice(1, None))] - x[along(x, dim, slice(None, -1))]
    return L.tensor_sum((left + right) * dx, dim) / 2


def diff(x, n, dim, prepend, append):
    if n:
        x = L.tensor_concat([e for e in (prepend, x, append) if e is not None], dim)
    for _ in range(n):
        x = x[along(x, dim, slice(1, None))] - x[along(x, dim, slice(None, -1))]
    return x


def pixel_shuffle(x, r):
    *lead, c, h, w = x.shape
    x = x.reshape((prod(lead), c // (r * r), r, r, h, w))
    return L.tensor_transpose(x, (0, 1, 4, 2, 5, 3)).reshape((*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(x, r):
    *lead, c, h, w = x.shape
    x = x.reshape((prod(lead), c, h // r, r, w // r, r))
    return L.tensor_transpose(x, (0, 1, 3, 5, 2, 4)).reshape((*lead, c * r * r, h // r, w // r))


@operator("nn.functional.glu")
def glu(x, dim=-1):
    a, b = split(x, x.shape[dim] // 2, dim)
    return a * L.sigmoid_tensor(b)
