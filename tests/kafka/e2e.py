#!/usr/bin/env python3
"""The whole loop on a real broker: one `mtf simulate`, two `mtf sessionize`, one `mtf learn`, three rounds.

    e2e.py MTF RUN

MTF is the program; RUN a folder of broker.sh with a broker up and none of mtf's topics used yet. Checks
that three policies are published, that the simulator serves under each of them, that the reward of a
session rises, that independent clients can read every record, and that every process leaves with 0 on
SIGTERM. The processes' logs are kept in RUN/e2e.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import check_topics
import records
import topics

ROUNDS = 3
SESSIONS = 4000  # a round's; the learner starts at MIN_SESSIONS of them
MIN_SESSIONS = 3000
LIMIT_S = 600

SETTINGS = """\
kafka:
  bootstrap_servers: {bootstrap}
sessionize:
  idle_timeout_ms: 2000
store:
  path: {run}/store
round:
  min_sessions: {min_sessions}
learner:
  steps: 300
  hidden: 32
  critics: 6
gate:
  min_transitions: 100
  z: -10
  skill_z: -10
  phi_min: 0
  outside_max: 1
"""

# What is started, in this order; {config} is the settings file.
COMMANDS = {
    "sessionize-1": "sessionize -c {config} --set sessionize.instance=one",
    "sessionize-2": "sessionize -c {config} --set sessionize.instance=two",
    "learn": "learn -c {config}",
    "simulate": "simulate -c {config} --sessions {sessions} --rounds {rounds}",
}


class Failed(Exception):
    pass


class Processes:
    """mtf's processes, their logs in a folder; whatever happens, none outlives this object."""

    def __init__(self, mtf: str, folder: Path, words: dict):
        self.folder = folder
        self.running = {}
        for name, command in COMMANDS.items():
            log = open(folder / f"{name}.log", "wb")
            self.running[name] = subprocess.Popen(
                [mtf, *command.format(**words).split()], stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
            log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def tail(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def check_alive(self):
        """The simulator may be done; an exit of anything else, or with another code than 0, is a failure."""
        for name, process in self.running.items():
            code = process.poll()
            if code is not None and (code != 0 or name != "simulate"):
                raise Failed(f"{name} left with {code}:\n{self.tail(name)}")

    def stop(self, name: str):
        process = self.running[name]
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(30)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} did not leave within 30 s of SIGTERM:\n{self.tail(name)}") from None
        if code != 0:
            raise Failed(f"{name} left with {code} on SIGTERM:\n{self.tail(name)}")


def trained_versions(bootstrap: str, schemas: records.Schemas) -> list:
    """Versions on mtf.policy-history that a round has published for serving."""
    versions = []
    for message in records.read_topic(bootstrap, "mtf.policy-history"):
        _, policy = schemas.decode(message.value)
        if policy["parent"] > 0 and policy["verdict"] == "promote":
            versions.append(policy["version"])
    return sorted(versions)


def served_versions(bootstrap: str, schemas: records.Schemas) -> set:
    served = set()
    for message in records.read_topic(bootstrap, "mtf.exploration"):
        _, event = schemas.decode(message.value)
        kind, body = event["body"]
        if kind == "mtf.Request":
            served.add(body["policy_version"])
    return served


def wait_for_rounds(processes: Processes, bootstrap: str, schemas: records.Schemas) -> list:
    deadline = time.monotonic() + LIMIT_S
    told = -1
    while time.monotonic() < deadline:
        processes.check_alive()
        versions = trained_versions(bootstrap, schemas)
        if len(versions) != told:
            told = len(versions)
            print(f"e2e: {told} of {ROUNDS} rounds published", flush=True)
        if told >= ROUNDS and set(versions[:ROUNDS]) <= served_versions(bootstrap, schemas):
            return versions[:ROUNDS]
        time.sleep(2)
    logs = "\n".join(f"--- {name}\n{processes.tail(name)}" for name in COMMANDS)
    raise Failed(f"{told} of {ROUNDS} rounds were published and served within {LIMIT_S} s\n{logs}")


def check_value(summary: dict, versions: list):
    """Reward of a session under the last policy against the one that the first round started from."""
    value = summary["sessions"]["reward_by_policy_version"]
    first = min(value, key=int)
    last = str(versions[-1])
    if last not in value:
        raise Failed(f"no session under policy version {last}")
    rise = value[last]["mean"] - value[first]["mean"]
    error = (value[last]["error"] ** 2 + value[first]["error"] ** 2) ** 0.5
    print(f"e2e: reward of a session {value[first]['mean']:.3f} -> {value[last]['mean']:.3f} (z = {rise / error:.1f})")
    if rise <= 0:
        raise Failed("the reward of a session did not rise")


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    folder = run_folder / "e2e"
    folder.mkdir()
    config = folder / "mtf.yaml"
    config.write_text(SETTINGS.format(bootstrap=bootstrap, run=folder, min_sessions=MIN_SESSIONS))
    topics.create(bootstrap, 4, 1)
    schemas = records.Schemas()
    words = {"config": config, "sessions": SESSIONS, "rounds": ROUNDS + 1}
    with Processes(mtf, folder, words) as processes:
        versions = wait_for_rounds(processes, bootstrap, schemas)
        processes.stop("simulate")
        time.sleep(5)  # the last sessions close by idleness
        for name in COMMANDS:
            processes.stop(name)
    summary = check_topics.Check(bootstrap, check_topics.TOPICS).run()
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    if summary["problems"]:
        raise Failed("\n".join(summary["problems"]))
    print(f"e2e: {summary['counts']}, actions differ by {summary['policies']['worst_action_difference']:.2g} at most")
    check_value(summary, versions)


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 64
    try:
        run(str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]).resolve())
    except (Failed, records.Broken) as error:
        print(f"e2e: FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
