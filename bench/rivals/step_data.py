"""What the rivals of one gradient step share: sizes, rows in memory, initial weights, the line they print.

A row of the 1 M in memory is 160 floats: s[64] a[10] r s'[64] done bp[10] bp'[10]; a step draws 256 of them.
"""

import json
import os
import statistics
import time

import numpy as np

CRITICS, BATCH, STATE, ACTION = 24, 256, 64, 10
GAMMA, EVERY, TAU, RATE = 0.9, 15, 0.08, 3e-4
BOX, KAPPA, ETA, LAMBDA = 0.15, 0.09, 1.2, 0.2
INPUT = STATE + ACTION
COLUMNS = {}
_at = 0
for _name, _width in (("s", STATE), ("a", ACTION), ("r", 1), ("s2", STATE), ("done", 1), ("bp", ACTION), ("bp2", ACTION)):
    COLUMNS[_name] = slice(_at, _at + _width)
    _at += _width
WIDTH = _at


def rows(count: int) -> np.ndarray:
    """(count, WIDTH), on a cache line so that JAX takes it as it is; a twentieth are terminal."""
    rng = np.random.default_rng(7)
    raw = np.empty(count * WIDTH + 32, np.float32)
    first = (-raw.ctypes.data % 64) // 4
    data = raw[first : first + count * WIDTH].reshape(count, WIDTH)
    for at in range(0, count, 50_000):
        part = data[at : at + 50_000]
        rng.standard_normal(part.shape, np.float32, out=part)
        for name in ("a", "bp", "bp2"):
            np.tanh(part[:, COLUMNS[name]], out=part[:, COLUMNS[name]])
        part[:, COLUMNS["done"]] = part[:, COLUMNS["done"]] > 1.6
    return data


def networks(hidden: int):
    """The actor and the critics, each [(W (in, out), b)...], uniform within +-1/sqrt(in)."""
    rng = np.random.default_rng(1)

    def mlp(widths):
        return [
            (
                (rng.uniform(-1, 1, (i, o)) / i**0.5).astype(np.float32),
                (rng.uniform(-1, 1, o) / i**0.5).astype(np.float32),
            )
            for i, o in zip(widths, widths[1:])
        ]

    return mlp([STATE, hidden, hidden, ACTION]), [mlp([INPUT, hidden, hidden, 1]) for _ in range(CRITICS)]


def pin(threads: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def time_calls(call, steps_a_call: int, steps: int, seconds: float) -> list:
    """ms a step of each call, until so many steps or seconds."""
    taken, end = [], time.perf_counter() + seconds
    while len(taken) * steps_a_call < steps and (len(taken) < 3 or time.perf_counter() < end):
        at = time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - at) / steps_a_call)
    return taken


def report(name: str, version: str, taken: list) -> None:
    print(json.dumps({"name": name, "version": version, "step_ms": statistics.median(taken), "calls": len(taken)}))
