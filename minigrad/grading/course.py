"""The course file: what a set is worth, which of its tasks are asked for, which submission counts, what being late costs.

title = "Automatic differentiation, autumn 2026"
version = "2026.1"
counts = "last"              # of several submissions; or "best"
timezone = "Europe/Vienna"   # of times without a zone; left out: this machine's

[late]
per_day = 10                 # per cent of the score, for each day that has begun
most = 50                    # per cent; left out: 100
grace_minutes = 15           # so late costs nothing

[sets.04]
title = "Gradients"
tasks = ["4.1", "4.2"]       # left out: all
points = {"4.1" = 2}         # left out: the task's own
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .csvfile import text_of


@dataclass(frozen=True)
class Late:
    """What being late costs, in per cent of the score."""

    per_day: float = 0
    most: float = 100
    grace_minutes: float = 0

    def penalty(self, days: int) -> float:
        return min(self.most, self.per_day * days)

    def __str__(self) -> str:
        if not self.per_day:
            return "Being late costs nothing."
        grace = f", after {self.grace_minutes:g} minutes of grace" if self.grace_minutes else ""
        return f"Each day late that has begun costs {self.per_day:g} % of the score, at most {self.most:g} %{grace}."


@dataclass(frozen=True)
class SetOf:
    """What the course says of one set."""

    title: str = ""
    tasks: tuple[str, ...] = ()  # none: all
    points: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Course:
    title: str = ""
    version: str = ""
    counts: str = "last"
    late: Late = Late()
    sets: Mapping[str, SetOf] = field(default_factory=dict)
    zone: tzinfo | None = None  # None: this machine's

    def set(self, number: str) -> SetOf:
        return self.sets.get(number, SetOf())

    def time(self, text: str) -> datetime | None:
        """A moment written as ISO 8601, in the course's zone if it names none; None if it is no such thing."""
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None and self.zone:
                return moment.replace(tzinfo=self.zone)
            return moment.astimezone(self.zone)
        except (ValueError, OverflowError):
            return None


def read(path: Path, known: Mapping[str, Collection[str]] | None = None) -> Course:
    """The course file at `path`; ValueError names the place and what is allowed.  `known` are the tasks of each set."""
    text = text_of(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}.") from None
    at = Place(path, text)
    at.only(tree, ("title", "version", "counts", "timezone", "late", "sets"))
    late = at.get(tree, "late", dict, {}, "a table")
    inside = at.inside("late")
    inside.only(late, ("per_day", "most", "grace_minutes"))
    counts = at.get(tree, "counts", str, "last", "'last' or 'best'")
    if counts not in ("last", "best"):
        raise at.wrong("counts", counts, "'last' or 'best'")
    sets = at.get(tree, "sets", dict, {}, "a table for each set, [sets.04]")
    return Course(
        at.get(tree, "title", str, "", "a text"),
        at.get(tree, "version", str, "", "a text"),
        counts,
        Late(
            inside.number(late, "per_day", 0, 100),
            inside.number(late, "most", 100, 100),
            inside.number(late, "grace_minutes", 0),
        ),
        {number: set_of(at.inside("sets"), number, about, known) for number, about in sets.items()},
        zone_of(at, tree),
    )


def set_of(at: Place, number: str, about: Any, known: Mapping[str, Collection[str]] | None) -> SetOf:
    if known is not None and number not in known:
        raise at.wrong(number, number, f"one of the sets {', '.join(known)}")
    if not isinstance(about, dict):
        raise at.wrong(number, about, "a table with title, tasks and points")
    inside = at.inside(number)
    inside.only(about, ("title", "tasks", "points"))
    tasks = inside.get(about, "tasks", list, [], 'a list of tasks, ["4.1", "4.2"]')
    points = inside.get(about, "points", dict, {}, 'points by task, {"4.1" = 2}')
    for key, named in (("tasks", tasks), ("points", points)):
        for task in named:
            if not isinstance(task, str) or (known is not None and task not in known[number]):
                near = known and isinstance(task, str) and get_close_matches(task, known[number], 1)
                allowed = f"a task of set {number}, in quotes" + (f"; did you mean {near[0]!r}?" if near else "")
                raise inside.wrong(key, task, allowed.rstrip("."))
    if len(set(tasks)) < len(tasks):
        raise inside.wrong("tasks", tasks, "each task once")
    worth = {task: inside.inside("points").number(points, task, 0) for task in points}
    return SetOf(inside.get(about, "title", str, "", "a text"), tuple(tasks), worth)


def zone_of(at: Place, tree: dict) -> ZoneInfo | None:
    name = at.get(tree, "timezone", str, "", "a name such as 'Europe/Vienna'")
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        raise at.wrong("timezone", name, "a name such as 'Europe/Vienna'") from None


@dataclass(frozen=True)
class Place:
    """Where in a TOML file we are: for errors that can be found."""

    path: Path
    text: str
    keys: tuple[str, ...] = ()

    def inside(self, key: str) -> Place:
        return Place(self.path, self.text, (*self.keys, key))

    def line(self, key: str) -> int:
        """The first line with `key` after the lines with the keys around it."""
        start = 0
        for name in (*self.keys, key):
            if match := re.compile(rf"(?<![\w-]){re.escape(str(name))}(?![\w-])").search(self.text, start):
                start = match.start()
        return self.text.count("\n", 0, start) + 1

    def wrong(self, key: str, value: object, allowed: str) -> ValueError:
        where = ".".join((*self.keys, str(key)))
        return ValueError(f"{self.path}, line {self.line(key)}, {where}: {value!r}; allowed is {allowed}.")

    def only(self, table: dict, known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                raise self.wrong(key, key, " or ".join(known))

    def get(self, table: dict, key: str, type: type, default: Any, allowed: str) -> Any:
        value = table.get(key, default)
        if not isinstance(value, type):
            raise self.wrong(key, value, allowed)
        return value

    def number(self, table: dict, key: str, default: float, most: float = float("inf")) -> float:
        value = table.get(key, default)
        allowed = "a number, 0 or more" if most == float("inf") else f"a number from 0 to {most:g}"
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not isfinite(value)
            or not 0 <= value <= most
        ):
            raise self.wrong(key, value, allowed)
        return float(value)
