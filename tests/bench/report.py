"""Tables on the terminal and the measured section of docs/performance.md. What was not measured is not written."""

import datetime
import re

from rounds import added, ratio, spread

NO_PLAIN_HTTP = ["P2", "plain HTTP, requests/s, × nginx", "≥ 1", "–", "not offered to clients"]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Section:
    """A heading, what is said before the table, and the table."""

    def __init__(self, title, words, columns, rows):
        self.title, self.words, self.columns = title, words, columns
        self.rows = [[str(cell) for cell in row] for row in rows]

    def terminal(self):
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows)]
        lines = [self.title, "=" * len(self.title), *([self.words, ""] if self.words else [])]
        for row in [self.columns, ["-" * width for width in widths], *self.rows]:
            first, *others = (cell.ljust(width) if at == 0 else cell.rjust(width)
                              for at, (cell, width) in enumerate(zip(row, widths)))
            lines.append("  ".join([first, *others]).rstrip())
        return "\n".join([*lines, ""])

    def markdown(self):
        lines = [f"### {self.title}", "", *([self.words, ""] if self.words else []),
                 "| " + " | ".join(self.columns) + " |", "|" + "---|" * len(self.columns)]
        return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in self.rows), ""])


def door(title, words, rounds, base):
    """Candidates of interleaved rounds against `base`."""
    columns = ["candidate", "requests/s", "× " + base, "CPU per request", "CPU × " + base, "core busy",
               "load's core", "p50", "p99"]
    rows = []
    for name in rounds[0]:
        busy = spread(rounds, name, "busy")
        rows.append([
            name, number(spread(rounds, name, "rate")), ranged(ratio(rounds, name, base, "rate")),
            microseconds(spread(rounds, name, "cpu_us")), ranged(ratio(rounds, name, base, "cpu_us")),
            f"{busy.median:.0%}" if busy else "–", f"{spread(rounds, name, 'load_busy').median:.0%}",
            f"{spread(rounds, name, 'p50').median:.2f} ms", f"{spread(rounds, name, 'p99').median:.2f} ms"])
    return Section(title, words, columns, rows)


def paced(title, words, rounds, nothing, base):
    """Candidates at one rate: how long an answer took, and what of it each added to `nothing`."""
    columns = ["candidate", "requests/s", "p50", "p50 added, × " + base, "p99", "p99 added, × " + base,
               "CPU per request", "core busy", "load's core", "generator late, p99"]
    rows = []
    for name in rounds[0]:
        busy = spread(rounds, name, "busy")
        compared = [None if name == nothing else added(rounds, name, base, nothing, figure) for figure in ("p50", "p99")]
        rows.append([
            name, number(spread(rounds, name, "rate")),
            f"{spread(rounds, name, 'p50').median:.3f} ms", ranged(compared[0]),
            f"{spread(rounds, name, 'p99').median:.3f} ms", ranged(compared[1]),
            microseconds(spread(rounds, name, "cpu_us")), f"{busy.median:.0%}" if busy else "–",
            f"{spread(rounds, name, 'load_busy').median:.0%}", f"{spread(rounds, name, 'late').median:.3f} ms"])
    return Section(title, words, columns, rows)


def goals(verdicts):
    """`verdicts`: (row, figure, Spread or None, goal, "least" or "most") and perhaps the bar below the goal that has to be
    cleared; what has no figure is left out. They come in the order of their rows."""
    rows = [NO_PLAIN_HTTP]
    for row, figure, measured, goal, side, *bar in verdicts:
        if measured is None:
            continue
        sign, verdict = "≥" if side == "least" else "≤", "met" if holds(measured, goal, side) else "missed"
        if bar and verdict == "missed":
            verdict += f"; {sign} {bar[0]:g} is {'met' if holds(measured, bar[0], side) else 'missed too'}"
        rows.append([row, figure, f"{sign} {goal:g}", ranged(measured), verdict])
    rows.sort(key=lambda row: int(row[0][1:]) if row[0].startswith("P") else 99)
    return Section("Goals", "", ["#", "figure", "goal", "measured: median (range)", ""], rows)


def holds(measured, goal, side):
    return measured.median >= goal if side == "least" else measured.median <= goal


def ranged(spread_):
    return "–" if spread_ is None else f"{spread_.median:.2f} ({spread_.low:.2f} … {spread_.high:.2f})"


def number(spread_):
    return "–" if spread_ is None else f"{spread_.median:,.0f}"


def microseconds(spread_):
    return "–" if spread_ is None else f"{spread_.median:.1f} µs"


def write_document(file, machine, sections):
    """Replaces the measured section of the page; all else in it stays."""
    day = datetime.date.today()
    facts = "\n".join(["| machine | |", "|---|---|", *(f"| {word} | {value} |" for word, value in machine.items())])
    body = "\n".join([BEGIN, "", f"Measured on {day.day} {day:%B %Y} by `tests/bench/run --write`.", "", facts, "",
                      *(section.markdown() for section in sections), END])
    text = file.read_text()
    replaced, found = re.subn(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: body, text, flags=re.S)
    if found != 1:
        raise ValueError(f"{file}: the marks of the measured section are not there once")
    file.write_text(replaced)
