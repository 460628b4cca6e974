#!/usr/bin/env python3
"""Goal: of two learners one trains and publishes, the other takes over when it dies or hangs, an operator's
rollback is not undone by a round, and whoever writes at the same time, the policy topics tell one line of
versions, none of them twice. Method: learners, a sessionizer and a simulator as processes on a real broker
(fencing is the broker's), kill -9, SIGSTOP and rollbacks, then an independent client reads the topics.

    leader.py MTF RUN

MTF is the program; RUN a folder of broker.sh with a broker up and no topics lead.* yet. Outputs are in
RUN/leader.
"""

import json
import re
import signal
import sys
import time
from pathlib import Path

import records
import topics
from processes import Failed, Processes, main, wait_until

PREFIX = "lead."
SESSIONS = 600  # simulated a time; a round begins at 500
SESSION_S = 6  # the least that brokers allow
DAY_MS = 86400000
START_MS = (int(time.time() * 1000) // DAY_MS - 25) * DAY_MS

# The gate is wide open: every round is promoted, unless its parent is the head no longer. A round trains
# for some seconds, so that things can happen meanwhile.
SETTINGS = """\
kafka:
  bootstrap_servers: {bootstrap}
  consumer.session.timeout.ms: {session_ms}
  consumer.heartbeat.interval.ms: 1000
topics:
  exploration: lead.exploration
  sessions: lead.sessions
  late: lead.late
  dead_letter: lead.dead-letter
  policy: lead.policy
  policy_history: lead.policy-history
  leader: lead.leader
sessionize.group: lead-sessionize
sessionize.instance: one
policy.name: lead
round.min_sessions: 500
learner:
  group: lead-learn
  steps: {steps}
  hidden: 16
  critics: 4
  batch: 64
gate: {{min_transitions: 1, z: -10, skill_z: -10, phi_min: 0, outside_max: 1, gauc_loss_max: 1, part_z: 100, bootstrap: 20, fqe_steps: 20,
       fqe_refits: 0}}
"""
STEPS = 20000


class Fleet:
    """The processes of this test, and what they say."""

    def __init__(self, processes: Processes, config: Path):
        self.processes = processes
        self.config = config
        self.folder = processes.folder
        self.simulated = 0

    def learn(self, name: str):
        self.processes.start(name, "learn", "-c", self.config, "--set", f"store.path={self.folder}/{name}-store")

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, name: str, words: str, since: int = 0, limit_s: float = 60) -> int:
        """Waits until the log has a line matching the words behind `since`; the place after it."""

        def found():
            self.alive()
            return re.compile(words).search(self.log(name), since)

        return wait_until(f"{name} says '{words}'", limit_s, found).end()

    def alive(self):
        for name, process in self.processes.running.items():
            if process.poll() is not None:
                raise Failed(f"{name} left by itself with code {process.returncode}")

    def signal(self, name: str, which: int):
        self.processes.running[name].send_signal(which)

    def simulate(self):
        """SESSIONS more under the served policy, all of them on the sessions topic some time later."""
        self.simulated += 1
        name = f"simulate-{self.simulated}"
        arguments = ["-c", self.config, "--sessions", SESSIONS, "--seed", self.simulated]
        arguments += ["--start-ms", START_MS + self.simulated * DAY_MS]
        self.processes.start(name, "simulate", *arguments)
        code = self.processes.running.pop(name).wait(120)
        if code:
            raise Failed(f"{name} left with code {code}")

    def policy(self, *arguments, codes=(0,)) -> dict:
        """`mtf policy ARGUMENTS --json`; {} where it was refused with one of the codes."""
        path = self.folder / "policy.out"
        path.unlink(missing_ok=True)
        self.processes.start("policy", "policy", *arguments, "--json", "-c", self.config)
        code = self.processes.running.pop("policy").wait(60)
        if code not in codes:
            raise Failed(f"policy {arguments} left with code {code}")
        return json.loads(path.read_text()) if code == 0 else {}

    def head(self) -> dict:
        return self.policy("show")


def check_takeover(fleet: Fleet):
    """The second learner stands by, and takes over from one that was killed."""
    fleet.learn("one")
    fleet.wait("one", r"msg=leader state=leading")
    fleet.wait("one", r"msg=policy.initial version=1")
    fleet.learn("two")
    fleet.wait("two", r"msg=leader state=standby")
    fleet.simulate()
    fleet.wait("one", r"msg=round.end round=1 .*verdict=promote")
    if "state=standby" in fleet.log("one"):
        raise Failed("the newcomer took the lead from one that had it")
    at = fleet.wait("two", r"msg=leader state=standby")
    fleet.processes.kill("one")
    killed = time.monotonic()
    fleet.wait("two", r"msg=leader state=leading", at)
    print(f"leader: after kill -9 another led in {time.monotonic() - killed:.1f} s, sessions last {SESSION_S} s")
    fleet.simulate()
    fleet.wait("two", r"msg=round.end round=2 .*verdict=promote")
    head = fleet.head()
    if (head["version"], head["parent"]) != (3, 2):
        raise Failed(f"the head after the takeover: {head}")


def check_zombie(fleet: Fleet):
    """A leader that was frozen in mid-round publishes nothing when it wakes, and stands by."""
    at_one = len(fleet.log("one"))
    fleet.learn("one")  # with the store it was killed with
    at_one = fleet.wait("one", r"msg=leader state=standby", at_one)
    at_two = len(fleet.log("two"))
    fleet.simulate()
    fleet.wait("two", r"msg=round.begin", at_two)
    fleet.signal("two", signal.SIGSTOP)
    stopped = time.monotonic()
    at_one = fleet.wait("one", r"msg=leader state=leading", at_one)
    print(f"leader: after SIGSTOP another led in {time.monotonic() - stopped:.1f} s")
    fleet.wait("one", r"msg=round.end .*verdict=promote", at_one)
    fleet.signal("two", signal.SIGCONT)
    at_two = fleet.wait("two", r"msg=leader state=standby", at_two)
    time.sleep(5)  # time to do wrong
    after = fleet.log("two")[at_two:]
    if "policy.published" in after or "state=leading" in after:
        raise Failed(f"the leader that was frozen went on:\n{after}")
    if "state=standby" in fleet.log("one")[at_one:]:
        raise Failed("the waking leader took the lead from the one that had it")
    fleet.alive()
    head = fleet.head()
    if (head["version"], head["parent"]) != (4, 3):
        raise Failed(f"the head after the frozen leader: {head}")


def check_rollback_in_mid_round(fleet: Fleet):
    at = len(fleet.log("one"))
    fleet.simulate()
    fleet.wait("one", r"msg=round.begin .*parent=4", at)
    did = fleet.policy("rollback", "--version", 2, "--reason", "in mid-round", "--if-head", 4)
    if (did["version"], did["parent"], did["payload_of"]) != (5, 4, 2):
        # The round's own candidate is not published yet, so its number is free.
        raise Failed(f"rollback: {did}")
    fleet.wait("one", r'msg=round.end .*verdict=hold reason="parent_changed: the head is version 5', at)
    head = fleet.head()
    if head["version"] != 5:
        raise Failed(f"a round has undone the rollback: {head}")
    at = len(fleet.log("one"))
    fleet.simulate()
    fleet.wait("one", r"msg=round.end .*parent=5 .*verdict=promote", at)


def check_crowd(fleet: Fleet):
    """Rounds and many operators at once."""
    at = len(fleet.log("one"))
    fleet.simulate()
    at = fleet.wait("one", r"msg=round.begin", at)
    for attempt in range(4):
        for i in range(3):
            target = 2 if (attempt + i) % 2 else 3
            name = f"crowd-{attempt}-{i}"
            fleet.processes.start(name, "policy", "rollback", "--version", target, "-c", fleet.config)
        for i in range(3):
            code = fleet.processes.running.pop(f"crowd-{attempt}-{i}").wait(60)
            if code not in (0, 64, 69):  # done, served already, no chance among the others
                raise Failed(f"crowd-{attempt}-{i} left with code {code}")
    fleet.wait("one", r"msg=round.end", at)


def check_topics(bootstrap: str):
    """One line of versions."""
    schemas = records.Schemas()
    read = {
        name: [schemas.decode(r.value)[1] for r in records.read_topic(bootstrap, PREFIX + name) if r.value]
        for name in ("policy", "policy-history")
    }
    history = [policy["version"] for policy in read["policy-history"]]
    if len(set(history)) != len(history):
        raise Failed(f"versions on the history: {history}")
    served = [(p["version"], p["parent"]) for p in read["policy-history"] if p["verdict"] == "promote"]
    parents = [0, *(version for version, _ in served)]
    if [parent for _, parent in served] != parents[:-1]:
        raise Failed(f"served versions and parents are no line: {served}")
    # Compaction may have taken the oldest off the policy topic.
    live = [(p["version"], p["parent"]) for p in read["policy"]]
    if live != served[-len(live) :]:
        raise Failed(f"the policy topic has {live}, the history {served}")
    print(f"leader: {len(history)} versions, {len(served)} served, one line: {served}")


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    folder = run_folder / "leader"
    folder.mkdir()
    config = folder / "mtf.yaml"
    config.write_text(SETTINGS.format(bootstrap=bootstrap, session_ms=SESSION_S * 1000, steps=STEPS))
    topics.create(mtf, bootstrap, 2, 1, PREFIX)
    with Processes(mtf, folder) as processes:
        fleet = Fleet(processes, config)
        processes.start("sessionize", "sessionize", "-c", config)
        for check in (check_takeover, check_zombie, check_rollback_in_mid_round, check_crowd):
            started = time.monotonic()
            check(fleet)
            print(f"leader: {check.__name__} in {time.monotonic() - started:.0f} s", flush=True)
        for name in ("two", "one", "sessionize"):
            processes.stop(name)
    check_topics(bootstrap)


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
