"""Our learners: trained by `mtf train` on the exported file, acting as they would be served."""
import json
import os
import pathlib
import struct
import subprocess
import sys

import fastavro
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILT = pathlib.Path(os.environ.get("PENDULUM_BUILT", ROOT / "build" / "release"))
MTF, ACT = BUILT / "mtf", BUILT / "experiments" / "pendulum" / "act"
SCHEMA = ROOT / "schemas" / "policy.avsc"
SEARCHES = ("batchrl",)  # acts by searching among candidates, so it has no policy record


def export(arrays, folder):
    """The arrays as a file of sessions and the settings that fit it, by the converter users have; once, since an
    interrupted `mtf train` goes on only with the file it had."""
    if (folder / "data.yaml").exists():  # written last
        return
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "data.npz", **arrays)
    subprocess.run([sys.executable, ROOT / "scripts" / "transitions-to-avro.py", folder / "data.npz", "--out", folder / "data.avro",
                    "--settings", folder / "data.yaml", "--action-low=-2", "--action-high=2"], check=True)


def settings(folder, algorithm, seed, budget):
    """A settings file: the data's, the experiment's, and else the defaults; but batchrl has the rates that
    d3rlpy's BCQ has, since the paper's are for thirty times the steps, and chooses among as many candidates."""
    path = folder / f"{algorithm}-{seed}.yaml"
    path.write_text((folder / "data.yaml").read_text() + f"""learner:
  algorithm: {algorithm}
  seed: {seed}
  steps: {budget.steps}
  hidden: {budget.hidden}
  batch: {budget.batch}
  gamma: {budget.gamma}
batchrl:
  gamma: {budget.gamma}
  critic_lr: 0.001
  perturbation_lr: 0.001
  act_candidates: 10
round:
  holdout_percent: 1
log:
  level: error
""")
    return path


class Record:
    """A policy record in Python, with none of our code: fastavro for the record, safetensors by hand."""

    def __init__(self, path):
        with open(path, "rb") as file:
            file.seek(10)  # single-object framing: two bytes and the schema's fingerprint
            record = fastavro.schemaless_reader(file, fastavro.schema.load_schema(SCHEMA))
        payload = record["payload"]
        size = struct.unpack("<Q", payload[:8])[0]
        head, body = json.loads(payload[8:8 + size]), payload[8 + size:]
        head.pop("__metadata__", None)
        self.tensors = {name: np.frombuffer(body[slice(*it["data_offsets"])], dtype="<f4").reshape(it["shape"])
                        for name, it in head.items()}
        self.low, self.high = ([one[side] for one in record["actions"]] for side in ("low", "high"))

    def __call__(self, states):
        x = (states - self.tensors["normaliser.mean"]) / self.tensors["normaliser.deviation"]
        layers = sum(name.endswith(".weight") for name in self.tensors)
        for i in range(layers):
            x = x @ self.tensors[f"actor.{i}.weight"].T + self.tensors[f"actor.{i}.bias"]
            x = np.maximum(x, 0) if i + 1 < layers else np.tanh(x)
        return np.array(self.low) + (x + 1) / 2 * (np.array(self.high) - np.array(self.low))


class Searcher:
    """A learner without a record, from its checkpoint, through a process that holds it."""

    def __init__(self, path, checkpoint):
        self.process = subprocess.Popen([ACT, path, checkpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, states):
        self.process.stdin.write(struct.pack("=I", len(states)) + states.astype(np.float32).tobytes())
        self.process.stdin.flush()
        answer = self.process.stdout.read(4 * len(states))
        if len(answer) < 4 * len(states):
            raise RuntimeError(f"{ACT} ended: {self.process.wait()}")
        return 2 * np.frombuffer(answer, dtype=np.float32)[:, None]  # a torque is -2..2


def train(folder, algorithm, seed, budget):
    """(act, seconds of training)."""
    path, out = settings(folder, algorithm, seed, budget), folder / f"{algorithm}-{seed}.policy"
    where = ["--checkpoint" if algorithm in SEARCHES else "--out", out]
    done = subprocess.run([MTF, "train", "-c", path, folder / "data.avro", *where, "--json"], check=True, stdout=subprocess.PIPE)
    act = Searcher(path, out) if algorithm in SEARCHES else Record(out)
    return act, json.loads(done.stdout)["train_seconds"]
