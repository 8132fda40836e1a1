"""The picture: a dot for each library on each workload's line, how many times hand-written NumPy's time it takes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from libraries import LIBRARIES
from report import ratio
from workloads import WORKLOADS

# The book's colours, which it maps to others in dark mode, and a marker each for those who print in grey.
LOOKS = {
    "minigrad": ("#b04a00", "o"),
    "torch": ("#0b5fa5", "s"),
    "jax": ("#00705a", "D"),
    "autograd": ("#9c3587", "^"),
    "mygrad": ("#6b5d00", "v"),
    "micrograd": ("#5b6470", "X"),
}
INK, PAPER, GRID = "#1b1f24", "#ffffff", "#d5dae0"


def draw(results: dict, path: Path) -> None:
    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "minigrad",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GRID,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    names = list(results["times"])
    with mpl.rc_context(style):
        figure, axes = plt.subplots(figsize=(4.6, 1.6 + 0.5 * len(names)), facecolor=PAPER, layout="constrained")
        axes.set_facecolor(PAPER)
        axes.axvline(1, color=INK, linewidth=1)
        for library, (colour, marker) in LOOKS.items():
            points = [(ratio(results, name, library, "numpy"), -i) for i, name in enumerate(names)]
            points = [point for point in points if point[0]]
            if points:
                own = library == "minigrad"
                axes.plot(
                    *zip(*points, strict=True),
                    marker,
                    color=colour,
                    markersize=11 if own else 6.5,
                    markeredgecolor=PAPER,
                    markeredgewidth=0.8,
                    zorder=3 if own else 4,
                    label=LIBRARIES[library].title,
                )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}×")
        axes.set_xlabel("time of a step, over hand-written NumPy's\n(log scale; to the left is faster)")
        for i, name in enumerate(names):
            box = {"facecolor": PAPER, "edgecolor": "none", "pad": 1}
            axes.text(0, 0.3 - i, WORKLOADS[name].title, transform=axes.get_yaxis_transform(), bbox=box)
        axes.set_yticks([-i for i in range(len(names))], [""] * len(names))
        axes.tick_params(length=0, which="both")
        axes.grid(color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[:].set_visible(False)
        figure.legend(loc="outside upper center", ncols=3, frameon=False, handletextpad=0.1, columnspacing=1.4)
        figure.savefig(path, facecolor=PAPER, metadata={"Date": None, "Title": "minigrad beside its peers"})
        plt.close(figure)
