"""The plots of docs/performance.md, drawn from the parts' ``extra()``. The same data produces the same bytes.

- ``cold_start``: ``{"functions": {name: {phase: milliseconds of CPU}}}`` with the phases of ``PHASES`` and ``floor``
- ``polling``: ``{"panels": {distribution: {"learned": [[polls, seconds], …], "real": [polls, seconds], "peers":
  {name: [polls, seconds]}, "front": [[polls, seconds], …]}}}``: polls for each asset, and the 95th percentile of the
  delay of detection; ``learned`` has a point for each weight of a second, ``front`` the points that no other one beats
- ``transitions``: ``{"points": [{"assets": …, "polls": …, "counted": …, "naive": …}, …]}``, naive: a loop for each
- ``dollars``: ``{"assets": [1, 2, …], "lines": {name: [US dollars for 1,000 persons, for each number of assets]}}``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator

PHASES = ("runtime", "imports", "clients", "first invocation")
# Okabe and Ito's colours: distinguishable with colour blindness, and by their brightness in print.
_BLUE, _ORANGE, _GREEN, _RED, _SKY, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#8C8C8C"
_COLOURS = (_BLUE, _ORANGE, _GREEN, _RED)
_MARKERS = ("o", "s", "^", "D")
_STYLE: Any = {
    "svg.hashsalt": "likeness",
    "svg.fonttype": "none",  # text stays text: small files that can be searched
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "white",  # on dark pages too
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def draw(part: str, extra: Mapping[str, Any], target: Path) -> bool:
    """Draws the plot of ``part`` into ``target`` as SVG. Returns False when the part has no plot or no data."""
    if part not in _PLOTS or not extra:
        return False
    plot, height = _PLOTS[part]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, height(extra)), layout="constrained")
        plot(figure, extra)
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return True


def _cold_start(figure: Figure, extra: Mapping[str, Any]) -> None:
    axes = figure.add_subplot()
    functions: dict[str, dict[str, float]] = extra["functions"]
    places = range(len(functions))
    left = [0.0] * len(functions)
    for phase, colour in zip(PHASES, _COLOURS, strict=True):
        widths = [each.get(phase, 0.0) for each in functions.values()]
        axes.barh([place - 0.14 for place in places], widths, 0.5, left=left, color=colour, label=phase)
        left = [begin + width for begin, width in zip(left, widths, strict=True)]
    floors = [each.get("floor", 0.0) for each in functions.values()]
    axes.barh([place + 0.26 for place in places], floors, 0.22, color=_GREY, label="floor: boto3 alone")
    axes.set_yticks(list(places), list(functions))
    axes.set_ylim(len(functions) - 0.5, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("CPU milliseconds of a cold start")
    axes.legend(ncols=5, loc="lower left", bbox_to_anchor=(-0.2, 1.0), columnspacing=1.2, handlelength=1.2)


def _polling(figure: Figure, extra: Mapping[str, Any]) -> None:
    panels: dict[str, Any] = extra["panels"]
    many = figure.subplots(-(-len(panels) // 2), 2, squeeze=False).flat
    for axes, (distribution, panel) in zip(many, panels.items(), strict=False):
        line = _columns(sorted(panel["learned"]))
        axes.step(*_columns(panel["front"]), where="post", color=_GREY, linewidth=4, alpha=0.5, label="Pareto front")
        axes.plot(*line, color=_BLUE, marker="o", markersize=4, label="learned, as w grows", zorder=3)
        axes.scatter(*panel["real"], s=120, color=_BLUE, marker="*", label="the template's w", zorder=5)
        for number, (name, (polls, delay)) in enumerate(panel["peers"].items()):
            colour, marker = (*_COLOURS[1:], _SKY, _GREY)[number % 5], _MARKERS[number % len(_MARKERS)]
            axes.scatter([polls], [delay], s=28, color=colour, marker=marker, label=name, zorder=4)
        axes.set(xscale="log", yscale="log", xlabel="polls for each asset", ylabel="seconds until detected, p95")
        axes.set_title(distribution, fontsize=10)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(FormatStrFormatter("%g"))
            axis.set_minor_locator(NullLocator())
    figure.legend(*figure.axes[0].get_legend_handles_labels(), ncols=4, loc="outside upper center")


def _columns(points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [each[0] for each in points], [each[1] for each in points]


def _transitions(figure: Figure, extra: Mapping[str, Any]) -> None:
    axes = figure.add_subplot()
    for colour, polls in zip(_COLOURS, sorted({each["polls"] for each in extra["points"]}), strict=False):
        points = sorted((each for each in extra["points"] if each["polls"] == polls), key=lambda each: each["assets"])
        assets = [each["assets"] for each in points]
        legend = f"{polls} poll{'s' * (polls > 1)}"
        axes.plot(assets, [each["counted"] for each in points], marker="o", markersize=5, color=colour, label=legend)
        naive = [each["naive"] for each in points]
        axes.plot(assets, naive, "s--", markersize=4, color=colour, label=f"{legend}, a loop for each file")
    _by_assets(axes, "state transitions of a session")


def _dollars(figure: Figure, extra: Mapping[str, Any]) -> None:
    axes = figure.add_subplot()
    for (name, values), colour, marker in zip(extra["lines"].items(), _COLOURS, _MARKERS, strict=False):
        axes.plot(extra["assets"], values, marker=marker, markersize=5, color=colour, label=name)
    _by_assets(axes, "US dollars for 1,000 persons")


def _by_assets(axes: Axes, label: str) -> None:
    axes.set_xlabel("assets of one person")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.legend()


def _rows_high(extra: Mapping[str, Any]) -> float:
    return 0.9 + 0.36 * len(extra["functions"])


def _panels_high(extra: Mapping[str, Any]) -> float:
    return 0.8 + 3.2 * -(-len(extra["panels"]) // 2)


def _fixed(_: Mapping[str, Any]) -> float:
    return 3.8


_PLOTS: dict[str, tuple[Callable[[Figure, Mapping[str, Any]], None], Callable[[Mapping[str, Any]], float]]] = {
    "cold_start": (_cold_start, _rows_high),
    "polling": (_polling, _panels_high),
    "transitions": (_transitions, _fixed),
    "dollars": (_dollars, _fixed),
}
