"""A broker with a topic of exploration events, and what a process does with them, seen from outside."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import confluent_kafka

import common

TESTS = common.ROOT / "tests"
sys.path += [str(TESTS / "kafka")]
sys.dont_write_bytecode = True
import topics  # noqa: E402

SCRIPT = TESTS / "kafka" / "broker.sh"
PROGRAMS = common.BUILD / "bench"
USERS = 5000
A_SESSION = 20

SETTINGS = """\
kafka.bootstrap_servers: "{bootstrap}"
topics: {{exploration: {source}.exploration, sessions: {name}.sessions, late: {name}.late, dead_letter: {name}.dead-letter,
          policy: {name}.policy, policy_history: {name}.policy-history, leader: ""}}
sessionize: {{group: {name}, instance: one}}
learner.group: {name}-learn
store.path: {folder}/store
round.min_sessions: 1000000000
"""


class Broker:
    """One real broker in a folder of its own, both gone at the end."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="mtf-bench-"))
        try:
            subprocess.run([SCRIPT, "up", self.folder / "broker"], stdout=subprocess.DEVNULL, check=True)
        except BaseException:
            self.__exit__()
            raise
        self.bootstrap = (self.folder / "broker" / "bootstrap").read_text().strip()
        return self

    def __exit__(self, *_):
        subprocess.run([SCRIPT, "down", self.folder / "broker"], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self, name: str, events: int) -> dict:
        """Topics NAME.* with so many events; what the sessions of them are, as every program must find them."""
        self.create(name)
        return json.loads(common.run([PROGRAMS / "events", self.bootstrap, f"{name}.exploration", events, USERS]))

    def create(self, name: str) -> None:
        topics.create(common.BUILD / "mtf", self.bootstrap, 4, 1, name + ".")

    def check(self, topic: str, form: str, expected: dict) -> None:
        found = json.loads(common.run([PROGRAMS / "sessions", self.bootstrap, topic, form]))
        if found != expected:
            sys.exit(f"{topic} holds {found}, and should hold {expected}")

    def settings(self, name: str, source: str) -> Path:
        """For mtf: reads SOURCE.exploration, writes NAME.*"""
        self.create(name)
        folder = self.folder / name
        folder.mkdir()
        text = SETTINGS.format(bootstrap=self.bootstrap, name=name, source=source, folder=folder)
        (folder / "mtf.yaml").write_text(text)
        return folder / "mtf.yaml"


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Watched:
    """A process, and how far it had got when, told by progress(), which asks nothing of the process."""

    def __init__(self, command: list, folder: Path, progress, wanted: int, limit_s: float = 600):
        """Returns when `wanted` is reached; the process is ended with SIGTERM."""
        self.samples = []  # (seconds, progress, its CPU seconds)
        with open(folder / "bench.log", "ab") as log:
            process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + limit_s
            while not self.samples or self.samples[-1][1] < wanted:
                reached = progress()
                now, cpu = time.monotonic(), cpu_seconds(process.pid)
                if reached > (self.samples[-1][1] if self.samples else 0):
                    self.samples.append((now, reached, cpu))
                if process.poll() is not None or now > deadline:
                    sys.exit(f"{command[1]} left, or hangs: {(folder / 'bench.log').read_text()[-2000:]}")
                time.sleep(0.02)
            process.terminate()
            if process.wait(60) != 0:
                sys.exit(f"{command[1]} left with {process.returncode}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def rate(self) -> float:
        """Per second, from the first commit to the last but one: the last waits for its time to come."""
        (began, first, _), (ended, last, _) = self.samples[0], self.samples[-2 if len(self.samples) > 2 else -1]
        return (last - first) / (ended - began) if last > first else float("nan")

    def cpu_per_million(self) -> float:
        """CPU seconds per million, the process's start and everything else included."""
        return 1e6 * self.samples[-1][2] / self.samples[-1][1]


class Group:
    """Where a consumer group stands in a topic, as committed, also while a newer transaction is open."""

    def __init__(self, broker: Broker, group: str, topic: str):
        self.consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": broker.bootstrap, "group.id": group, "isolation.level": "read_uncommitted", "log_level": 0}
        )
        self.places = [confluent_kafka.TopicPartition(topic, p) for p in range(4)]
        self.end = sum(self.consumer.get_watermark_offsets(place, timeout=30)[1] for place in self.places)

    def position(self) -> int:
        return sum(max(place.offset, 0) for place in self.consumer.committed(self.places, timeout=30))


def sessionize(broker: Broker, name: str, source: str, *settings: str) -> Watched:
    """mtf sessionize over SOURCE.exploration, to its end, into NAME.sessions."""
    config = broker.settings(name, source)
    group = Group(broker, name, f"{source}.exploration")
    words = [word for setting in settings for word in ("--set", setting)]
    command = [common.BUILD / "mtf", "sessionize", "-c", config, *words]
    return Watched(command, config.parent, group.position, group.end)


def metric(port: int, name: str) -> int:
    try:
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    except OSError:
        return 0  # not up yet
    return sum(int(float(value)) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", page, re.M))
