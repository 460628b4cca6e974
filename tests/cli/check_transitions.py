#!/usr/bin/env python3
"""scripts/transitions-to-avro.py: what goes in as arrays comes out of the learner's side the same, whatever form the
arrays come in; `mtf train` and `mtf evaluate` read it, with states and actions of any number; and what does not fit
is said. Method: `mtf replay` prints the sessions of the file, which are held against the arrays."""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

MTF = sys.argv[1]
CONVERT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "transitions-to-avro.py"


def run(*command, code=0, says=()):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == code, (command, done.returncode, said)
    for text in says:
        assert text in said, (text, said)
    return done.stdout


def convert(*words, **expected):
    return run(sys.executable, "-B", CONVERT, *words, **expected)


def make(rng, episodes, states, actions, low, high):
    """Episodes of 1 to 12 steps; every third is cut; the policy that logged goes to 0 within a box of +-0.2."""
    lengths = rng.integers(1, 13, size=episodes)
    ends = np.cumsum(lengths) - 1
    rows = int(lengths.sum())
    terminals, timeouts = np.zeros(rows), np.zeros(rows)
    terminals[ends] = np.arange(episodes) % 3 != 0
    timeouts[ends] = np.arange(episodes) % 3 == 0
    taken = rng.uniform(-0.2, 0.2, (rows, actions))
    observations = rng.standard_normal((rows, states))
    rewards = 1 + observations[:, 0] + taken[:, 0] + 0.1 * rng.standard_normal(rows)
    middle, half = (np.array(high) + low) / 2, (np.array(high) - low) / 2
    return {"observations": observations, "actions": middle + half * taken, "rewards": rewards, "terminals": terminals,
            "timeouts": timeouts, "baseline_actions": np.tile(middle, (rows, 1)), "lower": np.tile(-0.2 * half, (rows, 1)),
            "upper": np.tile(0.2 * half, (rows, 1))}


def write_csv(path, arrays):
    titles, columns = [], []
    for name, array in arrays.items():
        wide = array.reshape(len(array), -1)
        titles += [f"{name}_{i}" for i in range(wide.shape[1])] if array.ndim > 1 else [name]
        columns.append(wide)
    np.savetxt(path, np.hstack(columns), delimiter=",", header=",".join(titles), comments="", fmt="%.17g")


def sessions_of(settings, path):
    out = run(MTF, "replay", "-c", settings, path, "--out", "-")
    return [json.loads(line) for line in out.splitlines()]


def steps_match(arrays, sessions, low, high):
    """Every step is there once, in its place, with its numbers in float32."""
    row = 0
    for session in sessions:
        for step in session["steps"]:
            item, = step["items"]
            wanted = 2 * (arrays["actions"][row] - low) / (np.array(high) - low) - 1
            np.testing.assert_allclose(step["state"], arrays["observations"][row], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(step["action"], wanted, rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(item["signals"]["reward"], arrays["rewards"][row], rtol=1e-8)
            row += 1
        last = row - 1
        assert (session["end_reason"] == "end_event") == bool(arrays["terminals"][last]), session
        assert session["truncated_tail"] == (not arrays["terminals"][last]), session
    assert row == len(arrays["rewards"])


def round_trip(folder):
    low, high = [-2.0, 0.0], [2.0, 10.0]
    ranges = ["--action-low=-2,0", "--action-high=2,10"]
    arrays = make(np.random.default_rng(1), 60, 5, 2, low, high)
    np.savez(folder / "data.npz", **arrays)
    (folder / "data").mkdir()
    for name, array in arrays.items():
        np.save(folder / "data" / f"{name}.npy", array)
    write_csv(folder / "data.csv", arrays)
    settings = folder / "data.yaml"
    for form in ("data.npz", "data", "data.csv"):
        convert(folder / form, "--out", folder / f"{form}.avro", "--settings", settings, *ranges, says=["60 episodes, 40 of which truly"])
        assert "policy:\n  state_dim: 5\n  actions: \"a0.pow=-2..2 a1.pow=0..10\"" in settings.read_text()
        steps_match(arrays, sessions_of(settings, folder / f"{form}.avro"), low, high)
    # Long episodes are split, and a part's last step leads to the next part's first.
    convert(folder / "data.npz", "--out", folder / "split.avro", "--steps-max", "5", *ranges)
    parts = sessions_of(settings, folder / "split.avro")
    assert max(len(session["steps"]) for session in parts) == 5 and any(session["parts"] == 3 for session in parts)


def training(folder):
    """Any number of states and actions; the policy learns where the reward is, and is evaluated."""
    for states, actions in ((3, 1), (7, 12)):
        arrays = make(np.random.default_rng(states), 900, states, actions, [-2.0] * actions, [2.0] * actions)
        np.savez(folder / "train.npz", **arrays)
        data, settings, policy = folder / "train.avro", folder / "train.yaml", folder / "train.policy"
        convert(folder / "train.npz", "--out", data, "--settings", settings, "--action-low=-2", "--action-high=2")
        found = json.loads(run(MTF, "train", "-c", settings, data, "--out", policy, "--json", "--algorithm", "td3bc", "--steps", "800",
                               "--set", "learner.hidden=32", "--set", "learner.batch=64", "--set", "td3bc.alpha=10",
                               "--set", "learner.actor_lr=0.003", "--set", "learner.threads=1", "--set", "gate.bootstrap=20",
                               "--set", "gate.min_transitions=100", "--set", "gate.fqe_steps=20", "--set", "gate.fqe_refits=0"))
        assert not found["reason"].startswith(("reward", "data")), found  # nothing was consumed, and the settings know it
        assert found["transitions"] + found["truncated"] < len(arrays["rewards"])  # some users are held out
        assert found["truncated"] > 200 and found["heldout_rows"] > 100, found
        assert found["numbers"]["drift.0"] > 0.05, found  # the reward grows along action 0
        card = json.loads(run(MTF, "evaluate", "-c", settings, data, "--policy", policy, "--users", "all", "--steps", "0", "--draws", "20",
                              "--json"))
        assert card["logged_version"] == 0 and any(metric["name"] == "first_order.gain" and metric["value"] > 0 for metric in card["metrics"])


def without_a_baseline(folder):
    """Then the box is the whole range round its middle, and every action lies in it."""
    arrays = make(np.random.default_rng(4), 30, 3, 1, [-2.0], [2.0])
    plain = {name: arrays[name] for name in ("observations", "actions", "rewards", "terminals")}
    np.savez(folder / "plain.npz", **plain)
    convert(folder / "plain.npz", "--out", folder / "plain.avro", "--settings", folder / "plain.yaml", "--action-low=-2", "--action-high=2")
    step = sessions_of(folder / "plain.yaml", folder / "plain.avro")[0]["steps"][0]
    assert (step["baseline_action"], step["lower"], step["upper"]) == ([0], [-1], [1]), step


def what_does_not_fit_is_said(folder):
    good = make(np.random.default_rng(5), 5, 3, 1, [-1.0], [1.0])
    nan, wide = good["observations"].copy(), good["actions"] * 20
    nan[3, 1] = np.nan
    for change, words in (({"rewards": None}, "there is no array 'rewards'"),
                          ({"rewards": good["rewards"][1:]}, "rows for"),
                          ({"observations": nan}, "observations: row 3 is not finite"),
                          ({"observations": good["observations"] * 1e300}, "observations: row 0 is not finite"),
                          ({"weights": good["terminals"]}, "weights: row"),
                          ({"actions": wide}, "outside -1..1: say the range with --action-low and --action-high"),
                          ({"baseline_actions": good["baseline_actions"] + 0.5}, "lies outside its box"),
                          ({"upper": None}, "lower, upper: they come together"),
                          ({"lower": np.hstack([good["lower"], good["lower"]])}, "lower: 2 numbers a step for 1 actions")):
        arrays = {name: array for name, array in {**good, **change}.items() if array is not None}
        np.savez(folder / "bad.npz", **arrays)
        convert(folder / "bad.npz", "--out", folder / "bad.avro", code=65, says=[words])
    convert(folder / "absent.npz", "--out", folder / "bad.avro", code=65, says=["absent.npz: there is no such file"])
    (folder / "bad.csv").write_text("observations_0,actions_0,rewards,terminals,colour\n1,0,1,1,2\n")
    convert(folder / "bad.csv", "--out", folder / "bad.avro", code=65, says=["column 'colour' is none of"])
    convert(folder / "plain.npz", "--out", folder / "bad.avro", "--action-low=1,2", code=65, says=["--action-low: 2 numbers for 1 actions"])


with tempfile.TemporaryDirectory() as temporary:
    for part in (round_trip, training, without_a_baseline, what_does_not_fit_is_said):
        part(pathlib.Path(temporary))
        print(f"{part.__name__}: passed", flush=True)
