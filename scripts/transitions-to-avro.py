#!/usr/bin/env python3
"""Arrays of transitions, as offline reinforcement learning keeps them (d3rlpy, D4RL), -> an Avro file of sessions
that `mtf train` and `mtf evaluate` read, and the settings that fit it. Needs NumPy and fastavro.

    transitions-to-avro.py data.npz --out data.avro --settings data.yaml --action-low=-2 --action-high=2
    mtf train -c data.yaml data.avro --algorithm iql --out policy.avro

The input is one of
    FILE.npz   arrays by name
    FOLDER     a file NAME.npy for each array
    FILE.csv   a header line; a column NAME, or NAME_0, NAME_1, ... for an array of several columns
with the arrays, one row a step, steps of an episode one after another:
    observations (N,S), actions (N,A), rewards (N)
    terminals (N)         not 0: the episode truly ended with this step
    timeouts (N)          optional; not 0: it was cut after this step (a time limit). What the last step of a cut
                          episode led to is not known: it is left out of training, and nothing is bootstrapped from it
    baseline_actions (N,A)   optional: what the policy that logged would have done without exploring
    lower, upper (N,A)       optional, with baseline_actions: the box it explored in, as offsets from its action
    weights (N)           optional: 1 over the share of steps that were logged
    users (N)             optional: whose episode it is; without it each episode is a user of its own

Actions are mapped from [--action-low, --action-high] to the [-1,1] that mtf works in. Without baseline_actions
nothing is known of what was explored: every action counts as drawn from the whole range round its middle. Then the
value check of the gate, which believes that, proves nothing; the policy and its other figures are what they are.
"""
import argparse
import csv
import hashlib
import pathlib
import sys

import fastavro
import numpy as np

SCHEMA = pathlib.Path(__file__).resolve().parent.parent / "schemas" / "session.avsc"
NAMES = ("observations", "actions", "rewards", "terminals", "timeouts", "baseline_actions", "lower", "upper", "weights", "users")
START_MS = 1767225600000  # 2026; a step takes a second
ROUNDING = 1e-5           # an action may lie so far outside its range, as a share of it


class Bad(Exception):
    """What is wrong with the input, for a person."""


def read_csv(path):
    with open(path, newline="") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        table = [row for row in rows if row]
    columns = {}
    for index, title in enumerate(header):
        name, _, place = title.strip().rpartition("_")
        if name in NAMES and place.isdigit():
            columns.setdefault(name, []).append((int(place), index))
        else:
            columns.setdefault(title.strip(), []).append((0, index))
    arrays = {}
    for name, places in columns.items():
        if name not in NAMES:
            raise Bad(f"{path}: column '{name}' is none of {', '.join(NAMES)}, nor one of them with _0, _1, ...")
        try:
            cells = [[row[index] for _, index in sorted(places)] for row in table]
            arrays[name] = np.array(cells) if name == "users" else np.array(cells, dtype=np.float64)
        except (ValueError, IndexError) as why:
            raise Bad(f"{path}: column '{name}': {why}") from None
        if arrays[name].shape[1:] == (1,) and name not in ("observations", "actions", "baseline_actions", "lower", "upper"):
            arrays[name] = arrays[name][:, 0]
    return arrays


def read_arrays(path):
    path = pathlib.Path(path)
    if not path.exists():
        raise Bad(f"{path}: there is no such file or folder")
    if path.is_dir():
        arrays = {name: np.load(path / f"{name}.npy") for name in NAMES if (path / f"{name}.npy").exists()}
    elif path.suffix == ".npz":
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in NAMES if name in stored}
    elif path.suffix == ".csv":
        arrays = read_csv(path)
    else:
        raise Bad(f"{path}: give a .npz, a .csv, or a folder of .npy files")
    for name in ("observations", "actions", "rewards", "terminals"):
        if name not in arrays:
            raise Bad(f"{path}: there is no array '{name}'")
    return arrays


def shape_arrays(arrays):
    """Every array with its dimensions, or Bad."""
    count = len(arrays["rewards"])
    if count == 0:
        raise Bad("rewards: there is no step")
    shaped = {}
    for name, array in arrays.items():
        wide = name in ("observations", "actions", "baseline_actions", "lower", "upper")
        if len(array) != count:
            raise Bad(f"{name}: {len(array)} rows for {count} rewards")
        array = array.reshape(count, -1)
        if not wide and array.shape[1] != 1:
            raise Bad(f"{name}: {array.shape[1]} numbers a step, one wanted")
        if name != "users":
            array = array.astype(np.float64)
            with np.errstate(over="ignore"):  # states and actions are kept in single precision
                bad = np.flatnonzero(~np.isfinite(array.astype(np.float32) if wide else array).all(axis=1))
            if len(bad):
                raise Bad(f"{name}: row {bad[0]} is not finite")
            if name == "weights" and (array <= 0).any():
                raise Bad(f"weights: row {np.argwhere(array <= 0)[0][0]} is not above 0")
        shaped[name] = array if wide else array[:, 0]
    for name in ("baseline_actions", "lower", "upper"):
        if name in shaped and shaped[name].shape != shaped["actions"].shape:
            raise Bad(f"{name}: {shaped[name].shape[1]} numbers a step for {shaped['actions'].shape[1]} actions")
    if ("lower" in shaped) != ("upper" in shaped) or ("lower" in shaped and "baseline_actions" not in shaped):
        raise Bad("lower, upper: they come together, and with baseline_actions")
    return shaped


def normalise(name, actions, low, high):
    scaled = 2 * (actions - low) / (high - low) - 1
    outside = np.argwhere(np.abs(scaled) > 1 + ROUNDING)
    if len(outside):
        row, column = outside[0]
        raise Bad(f"{name}: row {row} has {actions[row, column]:g}, outside {low[column]:g}..{high[column]:g}: "
                  "say the range with --action-low and --action-high")
    return np.clip(scaled, -1, 1)


def boxes(arrays, low, high):
    """Baseline actions and offsets, all in [-1,1]; offsets None: the box of the settings."""
    if "baseline_actions" not in arrays:
        zero = np.zeros_like(arrays["actions"])
        return zero, zero - 1, zero + 1
    baseline = normalise("baseline_actions", arrays["baseline_actions"], low, high)
    if "lower" not in arrays:
        return baseline, None, None
    lower, upper = (np.clip(baseline + 2 * arrays[name] / (high - low), -1, 1) - baseline for name in ("lower", "upper"))
    if (lower > upper).any():
        raise Bad(f"lower, upper: row {np.argwhere(lower > upper)[0][0]} is inside out")
    return baseline, lower, upper


def episodes(arrays):
    """(first row, one past the last, truly ended) of each."""
    first = 0
    for row in range(len(arrays["rewards"])):
        ended = arrays["terminals"][row] != 0
        if ended or ("timeouts" in arrays and arrays["timeouts"][row] != 0):
            yield first, row + 1, bool(ended)
            first = row + 1
    if first < len(arrays["rewards"]):
        yield first, len(arrays["rewards"]), False


def sessions(arrays, spec, version, steps_max):
    actions, baseline, lower, upper = spec
    ones = [1.0] * actions.shape[1]
    for number, (first, end, ended) in enumerate(episodes(arrays)):
        user = str(arrays["users"][first]) if "users" in arrays else f"episode-{number}"
        parts = -(-(end - first) // steps_max)
        for part in range(parts):
            rows = range(first + part * steps_max, min(first + (part + 1) * steps_max, end))
            last = part + 1 == parts
            yield {
                "session_id": hashlib.md5(f"{number} {user}".encode()).digest(),
                "user_id": user, "started_ms": START_MS + rows[0] * 1000, "ended_ms": START_MS + rows[-1] * 1000,
                "end_reason": "end_event" if ended and last else "cap",
                "truncated_head": part > 0, "truncated_tail": not (ended and last), "part": part, "parts": parts,
                "steps": [{
                    "event_id": f"step-{row}", "time_ms": START_MS + row * 1000,
                    "request": {
                        "policy_version": version, "bucket": "explore",
                        "state": arrays["observations"][row].tolist(), "action": actions[row].tolist(),
                        "baseline_action": baseline[row].tolist(),
                        "lower": [] if lower is None else lower[row].tolist(),
                        "upper": [] if upper is None else upper[row].tolist(),
                        "sample_weight": float(arrays["weights"][row]) if "weights" in arrays else 1.0,
                        "items": [{"item_id": "0", "predictions": ones, "features": [],
                                   "signals": [{"name": "reward", "value": float(arrays["rewards"][row])}]}],
                    }} for row in rows],
            }


def settings(arrays, low, high):
    clip = max(float(np.abs(arrays["rewards"]).max()), 1e-6)
    table = " ".join(f"a{d}.pow={low[d]:.9g}..{high[d]:.9g}" for d in range(len(low)))
    return (f"policy:\n  state_dim: {arrays['observations'].shape[1]}\n  actions: \"{table}\"\n"
            f"reward:\n  weights: \"reward=1\"\n  clip: \"reward={clip:.9g}\"\n"
            "gate:\n  reward_sense: false # nothing is consumed here\n")


def spread(values, count, option):
    if len(values) not in (1, count):
        raise Bad(f"{option}: {len(values)} numbers for {count} actions")
    return np.array(values * count if len(values) == 1 else values, dtype=np.float64)


def convert(options):
    arrays = shape_arrays(read_arrays(options.input))
    count = arrays["actions"].shape[1]
    low, high = spread(options.action_low, count, "--action-low"), spread(options.action_high, count, "--action-high")
    if (low >= high).any():
        raise Bad("--action-low, --action-high: a range that is empty")
    actions = normalise("actions", arrays["actions"], low, high)
    baseline, lower, upper = boxes(arrays, low, high)
    if lower is not None:
        outside = np.argwhere((actions < baseline + lower - ROUNDING) | (actions > baseline + upper + ROUNDING))
        if len(outside):
            raise Bad(f"actions: row {outside[0][0]} lies outside its box: lower and upper are offsets from baseline_actions")
    with open(options.out, "wb") as file:
        fastavro.writer(file, fastavro.schema.load_schema(SCHEMA),
                        sessions(arrays, (actions, baseline, lower, upper), options.version, options.steps_max))
    if options.settings:
        pathlib.Path(options.settings).write_text(settings(arrays, low, high))
    ends = [ended for _, _, ended in episodes(arrays)]
    print(f"{options.out}: {len(arrays['rewards'])} steps in {len(ends)} episodes, {sum(ends)} of which truly ended "
          f"(the others' last steps are not trained on); {arrays['observations'].shape[1]} numbers a state, {count} an action")


def numbers(text):
    return [float(number) for number in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input")
    parser.add_argument("--out", required=True, metavar="FILE", help="the Avro file")
    parser.add_argument("--settings", metavar="FILE", help="also write the settings that fit (mtf ... -c FILE)")
    parser.add_argument("--action-low", type=numbers, default=[-1.0], metavar="X", help="one number, or one an action, by commas; default -1")
    parser.add_argument("--action-high", type=numbers, default=[1.0], metavar="X", help="default 1")
    parser.add_argument("--version", type=int, default=0, metavar="V", help="version of the policy that logged; default 0, none of mtf's")
    parser.add_argument("--steps-max", type=int, default=1000, metavar="N", help="a longer episode is split, which costs a step a split; default 1000")
    options = parser.parse_args()
    try:
        convert(options)
    except Bad as why:
        print(f"transitions-to-avro: {why}", file=sys.stderr)
        sys.exit(65)


if __name__ == "__main__":
    main()
