"""mtf's processes on a cluster, kept running as an init system would, and their output compared.

    with Pipeline(mtf, cluster, folder, "name") as pipeline:
        pipeline.start_sessionizer("one")
        load = pipeline.load(seconds=10)
        ...                                     # kill, pause, stop, bounce
        result = pipeline.settle_and_compare(load)
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import confluent_kafka

import oracle
from cluster import Cluster
from processes import Failed, wait_until  # cluster.py says where

HERE = Path(__file__).resolve().parent
SESSION_TIMEOUT_MS = 6000  # of the consumer group, here
POINTS = re.compile(r"^ \*    ((?:sessionize|learn)\.[a-z]+) ", re.M)

CONFIG = """\
kafka:
  bootstrap_servers: {bootstrap}
  consumer.session.timeout.ms: {session_timeout}
  consumer.heartbeat.interval.ms: 500
topics:
  exploration: {prefix}.exploration
  sessions: {prefix}.sessions
  late: {prefix}.late
  dead_letter: {prefix}.dead-letter
  policy: {prefix}.policy
  policy_history: {prefix}.policy-history
  leader: {prefix}.leader
sessionize:
  group: {prefix}-sessionize
  gap_ms: {rules.gap_ms}
  grace_ms: {rules.grace_ms}
  out_of_orderness_ms: {rules.out_of_orderness_ms}
  max_future_ms: {rules.max_future_ms}
  max_duration_ms: {rules.max_duration_ms}
  max_events: {rules.max_events}
  idle_timeout_ms: {idle_ms}
  commit_interval_ms: 200
errors:
  max_consecutive: 0
learner:
  group: {prefix}-learn
  steps: 60
  hidden: 8
  critics: 2
  batch: 64
  threads: 1
round:
  min_sessions: {round_sessions}
gate:
  min_transitions: 50
  outside_max: 1
  z: -10
  skill_z: -10
  phi_min: 0
  gauc_loss_max: 1
  part_z: 100
  bootstrap: 20
  fqe_steps: 20
  fqe_refits: 0
policy:
  name: {prefix}
  state_dim: {rules.state_dim}
  actions: "valid.pow=0..2 watch.pow=0..2"
"""


def fault_points() -> list:
    """The names in src/core/fault.h."""
    return POINTS.findall((HERE.parents[1] / "src" / "core" / "fault.h").read_text())


def setting_exists(mtf: str, name: str) -> bool:
    docs = subprocess.run([mtf, "config", "docs"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return f"`{name}`" in docs


class Service:
    """One mtf process and its successors."""

    def __init__(self, name: str, command: list):
        self.name = name
        self.command = command
        self.process = None
        self.wanted = True  # to be running
        self.killed = False  # by us, since it was started
        self.point = None  # the fault point it was started with
        self.paused = False


class Pipeline:
    """The processes' words are in FOLDER/NAME.log. Nothing outlives this object."""

    def __init__(self, mtf, cluster: Cluster, folder: Path, prefix: str, partitions: int = 4, rules=None, **settings):
        self.mtf = str(mtf)
        self.cluster = cluster
        self.prefix = prefix
        self.partitions = partitions
        self.rules = rules or oracle.Rules()
        self.folder = Path(folder) / prefix
        self.folder.mkdir(parents=True)
        self.services = {}
        self.loads = []
        self.exits = Counter()  # why services left by themselves
        self.broken = []  # exits that no fault explains
        self.config = self.folder / "mtf.yaml"
        text = CONFIG.format(
            bootstrap=cluster.bootstrap,
            prefix=prefix,
            rules=self.rules,
            session_timeout=SESSION_TIMEOUT_MS,
            idle_ms=settings.pop("idle_ms", 0),
            round_sessions=settings.pop("round_sessions", 10**9),
        )
        if not setting_exists(self.mtf, "topics.leader"):
            text = re.sub(r"  leader: .*\n", "", text)
        self.config.write_text(text)
        cluster.create_topics(prefix, partitions)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in [s.process for s in self.services.values()] + self.loads:
            if process and process.poll() is None:
                process.kill()
                process.wait()

    def topic(self, role: str) -> str:
        return f"{self.prefix}.{role.replace('_', '-')}"

    # --- services

    def start_sessionizer(self, name: str, *arguments, point: str = None):
        command = ["sessionize", "-c", self.config, "--set", f"sessionize.instance={self.prefix}-{name}"]
        return self.start(f"sessionize-{name}", [*command, *arguments], point)

    def start_learner(self, name: str, *arguments, point: str = None):
        command = ["learn", "-c", self.config, "--set", f"store.path={self.folder}/store-{name}"]
        return self.start(f"learn-{name}", [*command, *arguments], point)

    def start(self, name: str, arguments: list, point: str = None) -> Service:
        service = self.services.setdefault(name, Service(name, arguments))
        service.command = arguments
        service.wanted = True
        self.spawn(service, point)
        return service

    def spawn(self, service: Service, point: str = None):
        """point: where the process is to be killed, "NAME" or "NAME@MS"."""
        environment = dict(os.environ)
        environment.pop("MTF_FAULT_POINT", None)
        if point:
            environment["MTF_FAULT_POINT"] = point
        with open(self.folder / f"{service.name}.log", "ab") as log:
            service.process = subprocess.Popen(
                [self.mtf, *map(str, service.command)], stdout=log, stderr=log, cwd=self.folder, env=environment
            )
        service.killed, service.paused, service.point = False, False, point

    def kill(self, name: str):
        service = self.services[name]
        service.killed = True
        service.process.kill()
        service.process.wait()

    def pause(self, name: str):
        self.services[name].paused = True
        self.services[name].process.send_signal(signal.SIGSTOP)

    def resume(self, name: str):
        """Does nothing when the paused process was killed meanwhile; another may have its name."""
        service = self.services[name]
        if service.paused:
            service.paused = False
            service.process.send_signal(signal.SIGCONT)

    def stop(self, name: str, limit_s: float = 40):
        """SIGTERM, upon which it must leave with 0 in time."""
        service = self.services[name]
        service.wanted = False
        code = service.process.poll()
        if code is None:
            service.process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            try:
                code = service.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.kill(name)
                raise Failed(f"{name} did not leave within {limit_s} s of SIGTERM: {self.last_words(name)}") from None
            self.exits[f"{name.split('-')[0]} stopped, {code}"] += 1
            if code != 0 and not self.expected_kill(service, code):
                self.broken.append(f"{name}: code {code} on SIGTERM after {time.monotonic() - started:.1f} s: {self.last_words(name)}")
        elif not (service.killed or self.expected_kill(service, code)):
            self.note_exit(service, code)
        service.process = None

    def tend(self):
        """What left is started again, as an init system would. Call it often."""
        for service in self.services.values():
            code = service.process.poll() if service.process else None
            if code is None:
                continue
            if not (service.killed or self.expected_kill(service, code)):
                self.note_exit(service, code)
            if service.wanted:
                self.spawn(service)

    @staticmethod
    def expected_kill(service: Service, code: int) -> bool:
        return code == -signal.SIGKILL and service.point is not None

    def note_exit(self, service: Service, code: int):
        words = self.last_words(service.name)
        self.exits[f"{service.name.split('-')[0]} left with {code}"] += 1
        # 70 is also for being fenced or having lost the group for good, 69 for brokers away too long.
        if code not in (69, 70) or not re.search(r"fenc|same name|broker|timed? ?out|transaction|leader", words, re.I):
            self.broken.append(f"{service.name}: code {code}: {words}")

    def last_words(self, name: str) -> str:
        lines = (self.folder / f"{name}.log").read_text(errors="replace").splitlines()
        errors = [line for line in lines[-12:] if not line.startswith("ts=")]
        return (errors or lines or [""])[-1][:400]

    def log_has(self, name: str, words: str) -> bool:
        return words in (self.folder / f"{name}.log").read_text(errors="replace")

    def order(self, *order: str) -> str:
        """`mtf policy ORDER...`, as an operator types it: "done", or why not."""
        command = [self.mtf, "policy", *order, "-c", self.config, "--reason", "a fault"]
        try:
            done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            return "killed"
        if done.returncode not in (0, 64, 69, 70):  # done, not possible now, brokers away, another writer
            self.broken.append(f"policy {order[0]}: code {done.returncode}: {done.stderr[-300:]}")
        return "done" if done.returncode == 0 else f"left with {done.returncode}"

    # --- load and progress

    def load(self, seconds: float, seed: int = 1, users: int = 300, *arguments) -> subprocess.Popen:
        rules = self.rules
        command = [sys.executable, "-B", HERE / "load.py", self.cluster.bootstrap, self.topic("exploration")]
        command += ["--seconds", seconds, "--seed", seed, "--users", users, "--gap-ms", rules.gap_ms]
        command += ["--late-ms", rules.gap_ms + rules.grace_ms + rules.out_of_orderness_ms]
        command += ["--max-future-ms", rules.max_future_ms, "--policy-topic", self.topic("policy"), "--close", *arguments]
        with open(self.folder / "load.log", "ab") as log:
            process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=log, text=True)
        self.loads.append(process)
        return process

    def sent(self, load: subprocess.Popen, limit_s: float = 300) -> dict:
        """Waits for the load's end, tending the services; what it sent, by kind."""

        def ended():
            self.tend()
            return load.poll() is not None

        wait_until("the end of the load", limit_s, ended)
        text = load.stdout.read()
        if load.returncode != 0:
            raise Failed(f"the load left with {load.returncode}: {(self.folder / 'load.log').read_text()[-500:]}")
        return json.loads(text.splitlines()[-1])

    def ends(self, role: str, isolation: str = "read_uncommitted") -> list:
        """Next offset of every partition of a topic."""
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "group.id": "watch",
                "isolation.level": isolation,
                "log_level": 0,
            }
        )
        try:
            topic = self.topic(role)
            count = len(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
            places = [confluent_kafka.TopicPartition(topic, p) for p in range(count)]
            return [consumer.get_watermark_offsets(place, timeout=30)[1] for place in places]
        finally:
            consumer.close()

    def committed(self) -> list:
        """The sessionizers' next offset of every partition, -1001 for none."""
        return [place.offset for place in self.places()]

    def watermarks(self) -> list:
        """The watermark of every partition, as src/sessionize/metadata.h writes it."""
        return [int(place.metadata.split()[3]) for place in self.places()]

    def places(self) -> list:
        """What the sessionizers committed of every partition; empty when nobody answers."""
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self.cluster.bootstrap, "group.id": f"{self.prefix}-sessionize", "log_level": 0}
        )
        try:
            places = [confluent_kafka.TopicPartition(self.topic("exploration"), p) for p in range(self.partitions)]
            return consumer.committed(places, timeout=30)
        except confluent_kafka.KafkaException:
            return []
        finally:
            consumer.close()

    def wait_sessionized(self, limit_s: float = 120):
        """Until the sessionizers have committed everything on the exploration topic."""
        ends = self.ends("exploration")

        def reached():
            self.tend()
            return all(c >= e or e == 0 for c, e in zip(self.committed() or [-1], ends))

        wait_until(f"everything sessionized ({ends})", limit_s, reached, 0.3)

    def stats(self, learner: str) -> dict:
        command = [self.mtf, "store", "stats", "--json", "-c", self.config]
        command += ["--set", f"store.path={self.folder}/store-{learner}"]
        done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def wait_learned(self, learner: str, records: int, limit_s: float = 120):
        def reached():
            self.tend()
            return self.stats(learner).get("records", 0) >= records

        wait_until(f"{records} records stored by {learner}", limit_s, reached, 0.5)

    def stop_all(self, kind: str):
        for name, service in self.services.items():
            if name.startswith(kind) and service.wanted:
                self.stop(name)

    # --- the verdict

    def output(self) -> oracle.Found:
        roles = ("sessions", "late", "dead_letter")
        return oracle.read_output(self.cluster.bootstrap, {role: self.topic(role) for role in roles})

    def compare(self) -> oracle.Result:
        """Sessions and what was set aside, against the oracle; sets self.expected and self.found."""
        self.expected = oracle.expect(self.cluster.bootstrap, self.topic("exploration"), self.rules)
        self.found = self.output()
        return oracle.compare(self.expected, self.found)

    def compare_rows(self, learner: str, result: oracle.Result):
        command = [self.mtf, "store", "rows", "-c", self.config, "--set", f"store.path={self.folder}/store-{learner}"]
        with subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            oracle.compare_rows(self.expected, process.stdout, self.found, result)
            words = process.stderr.read()
        if process.returncode != 0:
            raise Failed(f"store rows of {learner}: {words}")
