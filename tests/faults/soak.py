"""Soak: the pipeline under load with every fault mixed in, then compared with the oracle.

    soak --minutes N [--seed S] [--users N] [--mtf PROGRAM] [--folder KEEP] [--only FAULT,FAULT...]

Three brokers, two to four sessionizers, two learners; every few seconds something is killed, paused, stopped
or bounced. Everything is drawn from the seed (how the processes meet it is not). The last line of standard
output is a JSON object; exit code 0 only if nothing was lost, doubled or different. On failure the folder
with the logs of all processes stays, and its name is printed.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import oracle
import policies
from cluster import BROKERS, Cluster
from pipeline import SESSION_TIMEOUT_MS, Failed, Pipeline, fault_points

PARTITIONS = 6
MEMBERS = ("one", "two", "three", "four")
LEARNERS = ("one", "two")
BREATH_S = (1.0, 4.0)  # between faults


class Soak:
    def __init__(self, options, cluster: Cluster, pipeline: Pipeline):
        self.random = random.Random(options.seed)
        self.cluster = cluster
        self.pipeline = pipeline
        self.faults = Counter()
        self.only = options.only.split(",") if options.only else None
        self.points = [p for p in fault_points() if p != "sessionize.revoke"]
        self.members = set()
        self.later = []  # (when, what): how faults end

    # --- faults: each a method, its name is what is counted

    def member(self) -> str:
        return f"sessionize-{self.random.choice(sorted(self.members))}"

    def learner(self) -> str:
        return f"learn-{self.random.choice(LEARNERS)}"

    def start_member(self, name: str):
        threads = 2 if name == "two" else 1
        self.pipeline.start_sessionizer(name, "--set", f"sessionize.threads={threads}")
        self.members.add(name)

    def sessionizer_killed(self):
        self.pipeline.kill(self.member())

    def sessionizer_killed_at_point(self):
        name, point = self.member(), self.random.choice([p for p in self.points if p.startswith("sessionize")])
        self.pipeline.kill(name)
        self.pipeline.spawn(self.pipeline.services[name], point + self.after_a_while())
        self.faults[f"at {point}"] += 1

    def sessionizer_paused(self):
        name = self.member()
        self.pipeline.pause(name)
        self.after(self.random.uniform(1, 2) * SESSION_TIMEOUT_MS / 1000, lambda: self.pipeline.resume(name))

    def sessionizer_joined(self):
        absent = sorted(set(MEMBERS) - self.members)
        if not absent:
            return self.sessionizer_left()
        self.start_member(self.random.choice(absent))
        return None

    def sessionizer_left(self):
        if len(self.members) < 2:
            return self.sessionizer_joined()
        name = self.random.choice(sorted(self.members))
        if self.pipeline.services[f"sessionize-{name}"].paused:
            return None
        self.members.remove(name)
        self.pipeline.stop(f"sessionize-{name}")
        return None

    def sessionizer_restarted(self):
        name = self.random.choice(sorted(self.members))
        if self.pipeline.services[f"sessionize-{name}"].paused:
            return
        self.pipeline.stop(f"sessionize-{name}")
        self.start_member(name)

    def learner_killed(self):
        self.pipeline.kill(self.learner())

    def learner_killed_at_point(self):
        name, point = self.learner(), self.random.choice([p for p in self.points if p.startswith("learn")])
        self.pipeline.kill(name)
        self.pipeline.spawn(self.pipeline.services[name], point + self.after_a_while())
        self.faults[f"at {point}"] += 1

    def learner_paused(self):
        name = self.learner()
        self.pipeline.pause(name)
        self.after(self.random.uniform(1, 2) * SESSION_TIMEOUT_MS / 1000, lambda: self.pipeline.resume(name))

    def learner_restarted(self):
        name = self.learner()
        if not self.pipeline.services[name].paused:
            self.pipeline.stop(name)
            self.pipeline.services[name].wanted = True
            self.pipeline.spawn(self.pipeline.services[name])

    def store_lost(self):
        """The disk of a learner is gone: it reads all sessions again."""
        name = self.random.choice(LEARNERS)
        self.pipeline.kill(f"learn-{name}")
        shutil.rmtree(self.pipeline.folder / f"store-{name}", ignore_errors=True)

    def policy_ordered(self):
        """An operator takes back what is served, or freezes and thaws it, whatever a round is at."""
        rollback = [["rollback", "--version", str(self.random.randint(1, 4))]]  # refused if not there, or served
        for order in self.random.choice((rollback, [["freeze"], ["thaw"]])):
            done = self.pipeline.order(*order)
            self.faults[f"policy {order[0]}: {done}"] += 1

    def broker_killed(self):
        self.broker_down(self.cluster.kill)

    def broker_stopped(self):
        self.broker_down(self.cluster.stop)

    def broker_down(self, how):
        node = self.random.choice(BROKERS)
        how(node)
        self.after(self.random.uniform(0.5, 6), lambda: self.cluster.start(node, wait=False))

    def broker_paused(self):
        node = self.random.choice(BROKERS)
        self.cluster.pause(node)
        self.after(self.random.uniform(1, 8), lambda: self.cluster.resume(node))

    WEIGHTS = {
        sessionizer_killed: 5,
        sessionizer_killed_at_point: 5,
        sessionizer_paused: 2,
        sessionizer_joined: 3,
        sessionizer_left: 2,
        sessionizer_restarted: 2,
        learner_killed: 2,
        learner_killed_at_point: 3,
        learner_paused: 1,
        learner_restarted: 1,
        store_lost: 1,
        policy_ordered: 2,
        broker_killed: 2,
        broker_stopped: 1,
        broker_paused: 1,
    }

    # --- the course of it

    def after(self, seconds: float, what):
        self.later.append((time.monotonic() + seconds, what))

    def after_a_while(self) -> str:
        return f"@{int(time.time() * 1000) + self.random.randrange(0, 3000)}"

    def end_due(self, everything: bool = False):
        now = time.monotonic()
        due = [entry for entry in self.later if everything or entry[0] <= now]
        self.later = [entry for entry in self.later if entry not in due]
        for _, what in sorted(due, key=lambda entry: entry[0]):
            what()

    def whole(self) -> bool:
        """No broker is away or behind: the next may go."""
        try:
            self.cluster.wait_whole(0.1)
            return True
        except Exception:  # not yet; what is wrong shows when it never comes
            return False

    def strike(self):
        faults = {f: w for f, w in self.WEIGHTS.items() if not self.only or f.__name__ in self.only}
        (fault,) = self.random.choices(list(faults), list(faults.values()))
        if fault.__name__.startswith("broker") and (self.later or not self.whole()):
            return
        if any(s.paused for s in self.pipeline.services.values()) and "paused" in fault.__name__:
            return
        self.faults[fault.__name__] += 1
        print(f"{time.strftime('%H:%M:%S')} {fault.__name__}", flush=True)
        fault(self)

    def run(self, load, seconds: float):
        stop = time.monotonic() + seconds
        next_fault = time.monotonic() + 2
        while time.monotonic() < stop:
            self.end_due()
            self.pipeline.tend()
            if time.monotonic() > next_fault:
                self.strike()
                next_fault = time.monotonic() + self.random.uniform(*BREATH_S)
            if load.poll() is not None:
                raise Failed(f"the load ended early: {(self.pipeline.folder / 'load.log').read_text()[-500:]}")
            time.sleep(0.05)
        self.end_due(everything=True)
        for service in self.pipeline.services.values():  # no process waits for its fault any more
            if service.wanted and service.point and service.process.poll() is None:
                self.pipeline.kill(service.name)
        self.pipeline.tend()
        self.cluster.wait_whole()


def soak(options, folder: Path) -> dict:
    cluster = Cluster(folder / "cluster")
    started = time.monotonic()
    try:
        cluster.up()
        with Pipeline(options.mtf, cluster, folder, "soak", PARTITIONS, round_sessions=options.round_sessions) as pipeline:
            course = Soak(options, cluster, pipeline)
            for name in MEMBERS[:2]:
                course.start_member(name)
            for name in LEARNERS:
                pipeline.start_learner(name)
            load = pipeline.load(3600, options.seed, options.users)
            course.run(load, options.minutes * 60)
            load.terminate()
            sent = pipeline.sent(load, 120)
            return judge(course, pipeline, sent, started)
    finally:
        cluster.down()


def judge(course: Soak, pipeline: Pipeline, sent: dict, started: float) -> dict:
    pipeline.wait_sessionized(180)
    pipeline.stop_all("sessionize")
    print(f"sessionized after {time.monotonic() - started:.0f} s; comparing", flush=True)
    result = pipeline.compare()
    records = sum(len(parts) for parts in pipeline.found.sessions.values())
    for learner in LEARNERS:
        pipeline.wait_learned(learner, records)
    pipeline.stop_all("learn")
    for learner in LEARNERS:
        pipeline.compare_rows(learner, result)
    published = policies.check(pipeline, result)
    for words in pipeline.broken:
        result.note("different", "exits", words)
    for words in result.examples:
        print(words)
    return {
        "events": pipeline.expected.events,
        "sessions": sum(len(several) for several in pipeline.expected.sessions.values()),
        "faults": sum(n for name, n in course.faults.items() if not name.startswith(("at ", "policy "))),
        "lost": result.lost,
        "doubled": result.doubled,
        "different": result.different,
        "details": dict(result.details),
        "by_fault": dict(sorted(course.faults.items())),
        "exits": dict(pipeline.exits),
        "late": len(pipeline.expected.late),
        "dead_letters": len(pipeline.expected.dead),
        "duplicates": pipeline.expected.duplicates,
        "open": pipeline.expected.held,
        "policies": published,
        "seconds": round(time.monotonic() - started),
        "events_per_second": round(sent["sent"] / sent["seconds"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=1500, help="about 3 records a second each")
    parser.add_argument("--round-sessions", type=int, default=3000)
    parser.add_argument("--mtf", default=str(Path(__file__).resolve().parents[2] / "build" / "release" / "mtf"))
    parser.add_argument("--folder", default="", help="keep everything here")
    parser.add_argument("--only", default="", help="only these faults")
    options = parser.parse_args()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="mtf-soak-"))
    summary = {"events": 0, "sessions": 0, "faults": 0, "lost": -1, "doubled": -1, "different": -1}
    try:
        summary = soak(options, folder)
    except (Failed, oracle.records.Broken) as error:
        print(f"soak: {error}", file=sys.stderr)
        summary["error"] = str(error)[:500]
    exact = summary["lost"] == summary["doubled"] == summary["different"] == 0
    exact = exact and min(summary["events"], summary["sessions"], summary["faults"]) > 0
    if exact and not options.folder:
        shutil.rmtree(folder)
    else:
        print(f"soak: logs are in {folder}")
    print(json.dumps(summary))
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
