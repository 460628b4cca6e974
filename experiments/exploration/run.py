#!/usr/bin/env python3
"""Measures the box of arXiv:2404.17589 against Gaussian noise and writes the tables of README.md.

    experiments/exploration/run.py [--build build/release] [--keep FOLDER]

Runs the program `measure` part by part, each in a minute or two on one core, and the search for a
good action in between. --keep FOLDER keeps every part's lines there and takes what is there already,
so that a run that was stopped goes on. README.md's text between the marks is replaced; nothing of it
is written by hand.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SEEDS = (1, 2, 3, 4, 5)
BEGIN, END = "<!-- measured -->", "<!-- /measured -->"
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student, by count of seeds


def lines_of(keep: Path, name: str, command: list) -> list:
    """The JSON lines of a part, run unless they are kept."""
    path = keep / name
    if not path.exists():
        print(f"measuring {name}", file=sys.stderr)
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        path.write_text(done.stdout)
    return [json.loads(line) for line in path.read_text().splitlines()]


def measure(build: Path, keep: Path) -> list:
    program = str(build / "experiments" / "exploration" / "measure")
    policy = keep / "searched.policy"
    search = [str(build / "mtf"), "simulate", "--search", "es", "--rounds", "1", "--sessions", "30000", "--write", str(policy)]
    found = lines_of(keep, "searched", search)
    all_lines = lines_of(keep, "density", [program, "density"])
    all_lines += lines_of(keep, "lost0", [program, "lost"])
    all_lines += lines_of(keep, "lost1", [program, "lost", str(policy)])
    for seed in SEEDS:
        all_lines += lines_of(keep, f"curve{seed}", [program, "curve", str(seed)])
    return found + all_lines


def part(lines: list, name: str) -> list:
    return [line for line in lines if line.get("part") == name]


def accounts(lines: list) -> list:
    (of,) = part(lines, "accounts")
    spread = {(s["noise"], s["baseline"]): s for s in part(lines, "spread")}
    box, gauss = spread["box", 0], spread["gaussian", 0]
    whole = gauss["inside_all"]
    low, high = 1 / (whole + 1.96 * gauss["inside_all_se"]), 1 / (whole - 1.96 * gauss["inside_all_se"])
    edge = box["edge_density"] / gauss["edge_density"]
    return [
        "| what is compared | a dimension, by arithmetic | ten, by arithmetic | by drawing |",
        "|---|---|---|---|",
        f"| ranges: +-1.5 sigma against the box's width | {of['range']:.3f} | {of['range10']:.0f} (2^10) | - |",
        f"| mean density inside the box | {of['mean']:.3f} | {of['mean10']:.0f} | {1 / whole:.0f} ({low:.0f} .. {high:.0f}): "
        f"one Gaussian action in so many lies in the box in all ten |",
        f"| density at the box's edge, where the Gaussian's is least | {of['worst']:.3f} | {of['worst10']:.0f} | "
        f"{edge:.3f} a dimension, in the last 0.005 |",
    ]


def spreads(lines: list) -> list:
    out = [
        "| baseline | noise | dimensions outside the box | clipped, at -1 or 1 | distance from the baseline | deviation a dimension |",
        "|---|---|---|---|---|---|",
    ]
    for s in part(lines, "spread"):
        out.append(
            f"| {s['baseline']:g} | {s['noise']} | {100 * (1 - s['inside']):.1f} % | {100 * s['clipped']:.2f} % | "
            f"{s['distance']:.3f} | {s['deviation']:.4f} |"
        )
    return out


def costs(lines: list) -> list:
    out = [
        "| round | noise | deviation a dimension | reward of a session lost (95 % interval) | of what it brings | lost per variance |",
        "|---|---|---|---|---|---|",
    ]
    for c in part(lines, "lost"):
        where = "action 0" if c["baseline"] == "zero" else "a good action"
        variance = c["deviation"] ** 2
        out.append(
            f"| {where} | {c['noise']} {c['size']:.3g} | {c['deviation']:.4f} | {-c['gain']:.3f} ({-c['ci'][1]:.3f} .. {-c['ci'][0]:.3f}) | "
            f"{-100 * c['gain'] / c['reward']:.2f} % | {-c['gain'] / variance:.1f} |"
        )
    return out


def interval(values: list) -> str:
    mean = statistics.mean(values)
    half = T_95[len(values)] * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:.2f} +- {half:.2f}"


def curves(lines: list) -> list:
    runs = part(lines, "curve")
    sizes = sorted({r["sessions"] for r in runs})
    out = ["| learner | noise | " + " | ".join(f"{n} sessions" for n in sizes) + " |", "|---|---|" + "---|" * len(sizes)]
    for learner in ("integrated", "ddpg"):
        for noise in ("box", "gaussian"):
            cells = [
                interval([r["gain"] for r in runs if (r["learner"], r["noise"], r["sessions"]) == (learner, noise, n)])
                for n in sizes
            ]
            out.append(f"| {learner} | {noise} | " + " | ".join(cells) + " |")
    return out


def needed(lines: list) -> list:
    """At how many sessions, between those measured, a mean curve first reaches what the other ends with."""
    runs = part(lines, "curve")
    sizes = sorted({r["sessions"] for r in runs})

    def curve(learner: str, noise: str) -> list:
        return [
            statistics.mean(r["gain"] for r in runs if (r["learner"], r["noise"], r["sessions"]) == (learner, noise, n))
            for n in sizes
        ]

    lost = {c["noise"]: -c["gain"] for c in part(lines, "lost") if c["baseline"] == "zero" and c["size"] in (0.15, 0.2)}
    out = []
    for learner in ("integrated", "ddpg"):
        target = curve(learner, "box")[-1]
        gauss = curve(learner, "gaussian")
        reached = next((n for n, gain in zip(sizes, gauss) if gain >= target), None)
        out.append(
            f"- {learner}: the box's {sizes[-1]} sessions bring {target:.2f} and cost users {sizes[-1] * lost['box']:.0f} in all; "
            "Gaussian noise brings that much "
            + (f"by {reached} sessions, which cost {reached * lost['gaussian']:.0f}." if reached else "at none of these sizes.")
        )
    return out


def tables(lines: list) -> str:
    blocks = [
        ("### Density\n", accounts(lines)),
        ("### Where actions fall\n", spreads(lines)),
        ("### What exploring costs\n", costs(lines)),
        ("### Sessions and what is learned from them\n", curves(lines)),
        ("", needed(lines)),
    ]
    return "\n".join("\n".join([title, *rows, ""]) if title else "\n".join([*rows, ""]) for title, rows in blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "release")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        keep = options.keep or Path(folder)
        keep.mkdir(parents=True, exist_ok=True)
        lines = measure(options.build, keep)
    page = HERE / "README.md"
    text = page.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{page}: the marks {BEGIN} and {END} are gone")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(before + BEGIN + "\n\n" + tables(lines) + "\n" + END + after)


if __name__ == "__main__":
    main()
