#!/usr/bin/env python3
"""Do our learners learn an outside task as well as a well-known implementation of the same? README.md says what is
compared. Results are kept, one file a training, in the folder of --work: a run that was interrupted goes on."""
import argparse
import dataclasses
import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np

import ours
import world

ALGORITHMS = ("ddpg", "td3bc", "cql_sac", "iql", "batchrl")
FIRST_START = 100000  # seeds of the common start states


@dataclasses.dataclass
class Budget:
    steps: int
    hidden: int
    batch: int
    gamma: float = 0.99


def trained(side, arrays, folder, algorithm, seed, budget):
    if side == "ours":
        return ours.train(folder, algorithm, seed, budget)
    import theirs  # torch takes seconds to come up
    return theirs.train(arrays, algorithm, seed, budget)


def result(side, arrays, folder, algorithm, seed, budget, starts):
    """Returns from every start state, from the folder or by training now."""
    path = folder / f"{side}-{algorithm}-{seed}-{starts}.json"
    if not path.exists():
        act, seconds = trained(side, arrays, folder, algorithm, seed, budget)
        values = world.returns(act, range(FIRST_START, FIRST_START + starts))
        path.write_text(json.dumps({"returns": values.tolist(), "seconds": seconds}))
        print(f"{side} {algorithm} seed {seed}: return {values.mean():.1f}, trained in {seconds:.0f} s", file=sys.stderr, flush=True)
    return json.loads(path.read_text())


def middle(values):
    """The interquartile mean: of the middle half."""
    values = np.sort(np.asarray(values))
    cut = len(values) // 4
    return float(values[cut:len(values) - cut].mean())


def compare(options, algorithm, arrays, folder, budget, random_return):
    row = {"algorithm": algorithm}
    for side in ("ours", "theirs"):
        runs = [result(side, arrays, folder, algorithm, seed, budget, options.starts) for seed in range(1, options.seeds + 1)]
        row[side] = middle(np.concatenate([run["returns"] for run in runs]))
        row[f"{side}_seeds"] = [middle(run["returns"]) for run in runs]
        row[f"{side}_seconds"] = float(np.mean([run["seconds"] for run in runs]))
    row["normalised"] = (row["ours"] - random_return) / (row["theirs"] - random_return)
    return row


def print_table(rows, random_return, agent_return):
    print(f"random {random_return:.1f}, the agent that logged without its noise {agent_return:.1f} (interquartile means)\n")
    print("| learner | ours | d3rlpy | normalised | ours, by seed | d3rlpy, by seed | s a training, ours | d3rlpy |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        seeds = [" ".join(f"{value:.0f}" for value in row[f"{side}_seeds"]) for side in ("ours", "theirs")]
        print(f"| {row['algorithm']} | {row['ours']:.1f} | {row['theirs']:.1f} | {row['normalised']:.3f} | {seeds[0]} | {seeds[1]} "
              f"| {row['ours_seconds']:.0f} | {row['theirs_seconds']:.0f} |")


def smoke(options, folder, budget, starts, random_return):
    """One small training of each learner must leave chance behind."""
    for algorithm in options.algorithms:
        act, _ = ours.train(folder, algorithm, 1, budget)
        got = middle(world.returns(act, starts))
        print(f"{algorithm}: return {got:.1f}, random {random_return:.1f}")
        if not got > random_return + 200:
            sys.exit(f"pendulum: {algorithm} is hardly better than chance")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--steps", type=int, default=10000)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--episodes", type=int, default=150)
    parser.add_argument("--smoke", action="store_true", help="only ours, once: is it better than chance?")
    parser.add_argument("--work", type=pathlib.Path, default=ours.ROOT / "build" / "pendulum-work")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    options = parser.parse_args()
    budget = Budget(options.steps, options.hidden, options.batch)
    kind = f"{budget} {options.episodes}"
    folder = options.work / hashlib.sha256(kind.encode()).hexdigest()[:12]
    if options.smoke:
        shutil.rmtree(folder, ignore_errors=True)  # all of the path, every time
    arrays = world.logged(options.episodes, seed=1)
    ours.export(arrays, folder)
    (folder / "budget").write_text(kind + "\n")
    starts = range(FIRST_START, FIRST_START + options.starts)
    random_return = middle(world.returns(world.random_agent(7), starts))
    if options.smoke:
        smoke(options, folder, budget, starts, random_return)
        return
    rows = [compare(options, algorithm, arrays, folder, budget, random_return) for algorithm in options.algorithms]
    agent_return = middle(world.returns(world.control, starts))
    print_table(rows, random_return, agent_return)
    if options.json:
        options.json.write_text(json.dumps({"budget": dataclasses.asdict(budget), "seeds": options.seeds, "starts": options.starts,
                                            "random": random_return, "agent": agent_return, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
