#!/usr/bin/env python3
"""Runs the demo with several seeds, with and without its two null controls, and reports every run.

  bench/demo-seeds.py [--mtf build/release/mtf] [--seeds 1-10] [--controls none,no-exploration,shuffled-rewards]
                      [--out build/bench/demo-seeds] [-- extra arguments of mtf demo]

A run whose JSON is there already and younger than the program is not run again. The last line is JSON: for each control the gap closed of every
seed, and whether the bound holds: at least 0.4 in 8 of 10 (none), at most 0.05 in all (controls).
"""
import argparse, json, pathlib, subprocess, sys


def seeds_of(text):
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def is_done(path, mtf):
    if not path.exists() or path.stat().st_size == 0:
        return False
    return path.stat().st_mtime > pathlib.Path(mtf).stat().st_mtime


def run(mtf, folder, control, seed, extra):
    path = folder / f"{control}-{seed}.json"
    if not is_done(path, mtf):
        log = open(folder / f"{control}-{seed}.log", "w")
        command = [mtf, "demo", "--seed", str(seed), "--json", str(path), *extra]
        if control != "none":
            command += ["--control", control]
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
        if code != 0:
            sys.exit(f"{' '.join(command)} ended with {code}; see {log.name}")
    return json.loads(path.read_text())


def holds(control, gaps):
    if control == "none":
        return sum(g >= 0.4 for g in gaps) >= 0.8 * len(gaps)
    return all(g <= 0.05 for g in gaps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mtf", default="build/release/mtf")
    parser.add_argument("--seeds", default="1-10")
    parser.add_argument("--controls", default="none,no-exploration,shuffled-rewards")
    parser.add_argument("--out", default="build/bench/demo-seeds")
    parser.add_argument("extra", nargs="*")
    options = parser.parse_args()
    folder = pathlib.Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    summary = {}
    for control in options.controls.split(","):
        gaps = []
        for seed in seeds_of(options.seeds):
            report = run(options.mtf, folder, control, seed, options.extra)
            gaps.append(report["gap_closed"])
            values = " ".join(f"{r['value']['policy']['mean']:.3f}({r['gate']})" for r in report["rounds"])
            print(f"{control:17} seed {seed:3}  gap {gaps[-1]:6.3f}  {report['total_seconds']:5.0f} s  {values}", flush=True)
        summary[control] = {"gap_closed": gaps, "holds": holds(control, gaps)}
    print(json.dumps(summary))
    return 0 if all(entry["holds"] for entry in summary.values()) else 1


sys.exit(main())
