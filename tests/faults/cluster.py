#!/usr/bin/env python3
"""A real Apache Kafka of three brokers on loopback, each of which can be stopped, killed and paused.

    cluster.py up FOLDER      starts it; FOLDER/bootstrap has the addresses (fine if it runs)
    cluster.py down FOLDER    stops it and removes FOLDER (fine if there is none)

KRaft in combined mode: each process is broker and controller, so a quorum of two goes on without the
third. Topics are kept on all three with min.insync.replicas 2: what two have acknowledged survives the
loss of one. The jars are broker.sh's.
"""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kafka"))
from ports import free_ports  # noqa: E402

BROKERS = (1, 2, 3)
GROUP_PARTITIONS = 6  # of __consumer_offsets
TRANSACTION_PARTITIONS = 6  # of __transaction_state
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{control}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions={groups}
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions={transactions}
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
replica.lag.time.max.ms=5000
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1500
controlled.shutdown.retry.backoff.ms=500
num.network.threads=2
num.io.threads=4
num.replica.fetchers=1
background.threads=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=8388608
log.index.size.max.bytes=1048576
"""
LOG4J = """\
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n
"""


class Broken(Exception):
    """The cluster does not do what it must; the words say what."""


def java_hash(text: str) -> int:
    """String.hashCode: by it the brokers choose the partition of a group and of a transactional id."""
    value = 0
    for unit in text:
        value = (31 * value + ord(unit)) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def process_start(pid: int):
    """When a process began, in the kernel's ticks; None: there is none. With the pid it names it for good."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


class Cluster:
    """What is known of the cluster is in its folder, so that any process may bounce a broker."""

    def __init__(self, folder: Path):
        self.folder = Path(folder).resolve()
        self._admin = None

    # --- life

    def up(self) -> "Cluster":
        if not (self.folder / "ports.json").exists():
            self._configure()
        for node in BROKERS:
            if not self.pid(node):
                self.start(node, wait=False)
        self.wait_whole()
        return self

    def down(self):
        for node in BROKERS:
            pid = self.pid(node)
            if pid:
                os.kill(pid, signal.SIGKILL)
        for node in BROKERS:
            self._wait_gone(node, 10)
        if (self.folder / "ports.json").exists():
            shutil.rmtree(self.folder)

    def _configure(self):
        jars = self._jars()
        ports = free_ports(6)
        for node in BROKERS:
            home = self.folder / str(node)
            home.mkdir(parents=True)
            (home / "log4j.properties").write_text(LOG4J)
            (home / "server.properties").write_text(
                PROPERTIES.format(
                    node=node,
                    port=ports[node - 1],
                    control=ports[node + 2],
                    voters=",".join(f"{n}@127.0.0.1:{ports[n + 2]}" for n in BROKERS),
                    folder=home,
                    groups=GROUP_PARTITIONS,
                    transactions=TRANSACTION_PARTITIONS,
                )
            )
        first = self.folder / "1"
        command = ["java", "-Xmx96m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        command += [f"-Dlog4j.configuration=file:{first}/log4j.properties", "-cp", f"{jars}/libs/*"]
        command += ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", f"{first}/server.properties"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for node in BROKERS[1:]:  # the tool takes seconds, and writes the same but for two names
            shutil.copytree(first / "data", self.folder / str(node) / "data")
            directory = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "x")
            meta = self.folder / str(node) / "data" / "meta.properties"
            lines = meta.read_text().splitlines()
            lines = [f"node.id={node}" if l.startswith("node.id") else l for l in lines]
            lines = [f"directory.id={directory}" if l.startswith("directory.id") else l for l in lines]
            meta.write_text("\n".join(lines) + "\n")
        (self.folder / "jars").write_text(jars)
        (self.folder / "bootstrap").write_text(",".join(f"127.0.0.1:{p}" for p in ports[:3]))
        (self.folder / "ports.json").write_text(json.dumps(ports))

    @staticmethod
    def _jars() -> str:
        command = [str(HERE.parent / "kafka" / "broker.sh"), "fetch"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    # --- one broker

    def pid(self, node: int):
        """Its process, or None. A pid that another process has by now is not it."""
        try:
            pid, started = map(int, (self.folder / str(node) / "pid").read_text().split())
        except (OSError, ValueError):
            return None
        return pid if process_start(pid) == started else None

    def start(self, node: int, wait: bool = True):
        home = self.folder / str(node)
        jars = (self.folder / "jars").read_text()
        command = ["java", "-Xms192m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k"]
        command += [f"-Dlog4j.configuration=file:{home}/log4j.properties", "-cp", f"{jars}/libs/*"]
        command += ["kafka.Kafka", str(home / "server.properties")]
        with open(home / "broker.log", "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (home / "pid").write_text(f"{process.pid} {process_start(process.pid)}")
        if wait:
            self.wait_whole()

    def stop(self, node: int, limit_s: float = 30):
        """A clean shutdown: it hands its leaderships over first."""
        self._signal(node, signal.SIGTERM)
        if not self._wait_gone(node, limit_s):
            self.kill(node)

    def kill(self, node: int):
        self._signal(node, signal.SIGKILL)
        self._wait_gone(node, 10)

    def pause(self, node: int):
        self._signal(node, signal.SIGSTOP)

    def resume(self, node: int):
        self._signal(node, signal.SIGCONT)

    def _signal(self, node: int, number: int):
        pid = self.pid(node)
        if not pid:
            raise Broken(f"broker {node} does not run: {self.folder}/{node}/broker.log")
        os.kill(pid, number)

    def _wait_gone(self, node: int, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while self.pid(node):
            if time.monotonic() > deadline:
                return False
            try:
                os.waitpid(self.pid(node) or 0, os.WNOHANG)  # ours, if we started it
            except (ChildProcessError, ValueError):
                pass
            time.sleep(0.05)
        return True

    # --- who does what

    @property
    def bootstrap(self) -> str:
        return (self.folder / "bootstrap").read_text()

    def admin(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return self._admin

    def wait_whole(self, limit_s: float = 90):
        """Every broker listens, and every partition has all its copies in sync. (A broker killed and
        started again counts as there for some seconds before it is.)"""
        deadline = time.monotonic() + limit_s
        while True:
            if not self.listening():
                self._check_alive(deadline, limit_s)
                continue
            try:
                seen = self.admin().list_topics(timeout=5)
                topics = [p for t in seen.topics.values() for p in t.partitions.values()]
                if len(seen.brokers) == len(BROKERS) and all(len(p.isrs) == len(p.replicas) for p in topics):
                    return
            except confluent_kafka.KafkaException:
                pass
            self._check_alive(deadline, limit_s)

    def _check_alive(self, deadline: float, limit_s: float):
        for node in BROKERS:
            if not self.pid(node):
                raise Broken(f"broker {node} left by itself: {self.folder}/{node}/broker.log")
        if time.monotonic() > deadline:
            raise Broken(f"not whole after {limit_s} s: {self.folder}")
        time.sleep(0.2)

    def listening(self) -> bool:
        for address in self.bootstrap.split(","):
            host, port = address.split(":")
            try:
                socket.create_connection((host, int(port)), 1).close()
            except OSError:
                return False
        return True

    def leader(self, topic: str, partition: int) -> int:
        """The broker, -1 for none as yet."""
        partitions = self.admin().list_topics(topic, timeout=10).topics[topic].partitions
        return partitions[partition].leader if partition in partitions else -1

    def group_coordinator(self, group: str) -> int:
        return self.leader("__consumer_offsets", abs(java_hash(group)) % GROUP_PARTITIONS)

    def transaction_coordinator(self, transactional_id: str) -> int:
        return self.leader("__transaction_state", abs(java_hash(transactional_id)) % TRANSACTION_PARTITIONS)

    # --- topics

    @staticmethod
    def _topics_of(address: str) -> set:
        """What this broker knows: a client that is new asks the one it was given."""
        return set(AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=10).topics)

    def create_topics(self, prefix: str, partitions: int, limit_s: float = 60):
        """mtf's topics, under names of their own."""
        wanted = [
            ("exploration", partitions, {"message.timestamp.type": "LogAppendTime"}),
            ("sessions", partitions, {}),
            ("late", 1, {}),
            ("dead-letter", 1, {}),
            ("policy", 1, {"cleanup.policy": "compact"}),
            ("policy-history", 1, {"retention.ms": "-1", "retention.bytes": "-1"}),
            ("leader", 1, {}),
        ]
        new = [NewTopic(f"{prefix}.{name}", count, len(BROKERS), config=config) for name, count, config in wanted]
        deadline = time.monotonic() + limit_s
        while new:
            for topic, future in zip(list(new), self.admin().create_topics(new, operation_timeout=30).values()):
                try:
                    future.result(limit_s)
                    new.remove(topic)
                except confluent_kafka.KafkaException as error:
                    if error.args[0].code() == confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                        new.remove(topic)
                    elif time.monotonic() > deadline:
                        raise Broken(f"create {topic.topic}: {error}") from error
        names = {f"{prefix}.{name}" for name, _, _ in wanted}
        for address in self.bootstrap.split(","):  # each learns of them for itself
            while not names <= self._topics_of(address):
                if time.monotonic() > deadline:
                    raise Broken(f"{address} does not know {names}")
                time.sleep(0.1)
        self.wait_whole(limit_s)


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in ("up", "down"):
        print(__doc__, file=sys.stderr)
        return 64
    cluster = Cluster(Path(sys.argv[2]))
    try:
        if sys.argv[1] == "up":
            print(cluster.up().bootstrap)
        else:
            cluster.down()
    except Broken as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
