# SPDX-License-Identifier: MIT
"""The suites' results, kept in files, and what they say: Linux beside Stout, and docs/compatibility.md beside both."""
import collections
import json
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIST = os.path.join(TOP, "docs", "compatibility.md")


class Store:
    """Results: one file of JSON lines per unit, a file .part while the unit runs."""

    def __init__(self, suite, place):
        self.folder = os.path.join(suite.folder, place)
        os.makedirs(self.folder, exist_ok=True)

    def path(self, unit):
        return os.path.join(self.folder, unit.replace("/", "_") + ".json")

    def has(self, unit):
        return os.path.exists(self.path(unit))

    def load(self, unit, part=""):
        """{test: its line}; None if the unit was not run."""
        try:
            with open(self.path(unit) + part, encoding="utf-8") as file:
                return {line["t"]: line for line in map(json.loads, file)}
        except FileNotFoundError:
            return None

    def load_part(self, unit):
        return self.load(unit, ".part") or {}

    def add(self, unit, line):
        with open(self.path(unit) + ".part", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def finish(self, unit):
        """The unit's results, which are whole now."""
        lines = self.load_part(unit)
        with open(self.path(unit) + ".part", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines.values())
        os.rename(self.path(unit) + ".part", self.path(unit))
        return lines

    def drop(self, unit):
        for path in (self.path(unit), self.path(unit) + ".part"):
            if os.path.exists(path):
                os.remove(path)

    def seconds(self, unit):
        """{test: how long it took} of those that passed."""
        return {test: line["d"] for test, line in (self.load(unit) or {}).items() if line["s"] == "ok"}


def count(lines):
    counts = {}
    for line in lines.values():
        counts[line["s"]] = counts.get(line["s"], 0) + 1
    return counts


def listed():
    """{(suite, unit: test): reason} from the tables of docs/compatibility.md."""
    rows, suite = {}, None
    if os.path.exists(LIST):
        with open(LIST, encoding="utf-8") as file:
            for line in file:
                heading = re.match(r"## (CPython|Go|stress-ng)\b", line)
                if line.startswith("## "):
                    suite = heading.group(1).lower() if heading else None
                row = re.match(r"\| `([^`]+)` \| (.+) \|$", line)
                if suite and row:
                    rows[suite, row.group(1)] = row.group(2)
    return rows


def name_of(unit, test):
    if test == unit:
        return unit
    return test.removeprefix("test.") if test.startswith("test.") else f"{unit}: {test}"


def is_test(name):
    """Not a line about a unit as a whole, such as "(exit)"."""
    return not name.startswith("(")


class Comparison:
    """What passed on Linux, what of that passed in Stout, and the problems: differences that the list has not."""

    def __init__(self, suite):
        self.suite, self.rows = suite, listed()
        self.base = self.passed = 0
        self.kernels = collections.Counter()  # how many tests ran on which
        self.problems = []

    def add(self, unit, linux, stout):
        """linux, stout: a unit's results by test, or None if it was not run."""
        if linux is None or stout is None:
            self.problems.append(f"{unit}: it was not run")
            return
        self.kernels.update(line.get("kernel") for test, line in stout.items() if is_test(test))
        judged = set()
        for test in sorted(set(linux) | {test for test in stout if not is_test(test)}):
            usual = "not run" if is_test(test) else "ok"
            if linux.get(test, {"s": "ok"})["s"] != "ok":
                continue
            judged.add(name_of(unit, test))
            self.judge(name_of(unit, test), stout.get(test, {"s": usual}), is_test(test))
        for suite, name in self.rows:
            if suite == self.suite.name and f"{name}:".startswith((unit + ".", unit + ":")) and name not in judged:
                self.problems.append(f"{name}: it does not pass on Linux; take its row off docs/compatibility.md")

    def judge(self, name, result, counts):
        passes, row = result["s"] == "ok", self.rows.get((self.suite.name, name))
        self.base += counts
        self.passed += counts and passes
        if passes and row is not None:
            self.problems.append(f"{name}: it passes; take its row off docs/compatibility.md")
        elif not passes and row is None:
            self.problems.append(f"{name}: {result['s']}\n{result.get('text', '')}")

    def __str__(self):
        share = 100 * self.passed / max(self.base, 1)
        return f"{self.passed} of {self.base} that pass on Linux pass in Stout ({share:.2f} percent)"


def compare(suite, units, stores):
    comparison = Comparison(suite)
    for unit in units:
        comparison.add(unit, *(stores[place].load(unit) for place in ("linux", "stout")))
    return comparison
