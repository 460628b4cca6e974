#!/usr/bin/env python3
"""Goal: a file and Kafka give the same sessions, also when a sessionizer is killed. Method: events that
`mtf simulate --out` wrote are produced to a real broker, each to its partition in its order; what
`mtf sessionize` makes of them, read with read_committed, must be what `mtf replay` makes of the file: every
session in every field, each exactly once.

    replay.py MTF RUN     (a folder of broker.sh with a broker up; topics and files are new ones)

The processes' outputs are in RUN/replay-CASE.
"""

import io
import json
import re
import struct
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import confluent_kafka
import fastavro

import records
import topics
from processes import Failed, Processes, main, wait_until

PARTITIONS = 4
SESSIONS = 3000


class Case(NamedTuple):
    name: str
    simulate: list  # more options
    kills: int  # of one of the two sessionizers, in mid-stream


CASES = [
    Case("joined", [], 0),
    Case("feedback", ["--separate-feedback", "--session-ids"], 0),
    Case("killed", ["--separate-feedback"], 8),
]

# Idle jumps go by the wall clock: a stream that pauses may rightly close other sessions than its file.
SETTINGS = """\
kafka:
  bootstrap_servers: {bootstrap}
topics:
  exploration: {prefix}exploration
  sessions: {prefix}sessions
  late: {prefix}late
  dead_letter: {prefix}dead-letter
sessionize:
  group: {prefix}sessionize
  idle_timeout_ms: 0
  commit_interval_ms: {commit_ms}
"""


def plain(value):
    """The same value whether it came by Avro or by JSON: floats to 9 digits, as JSON has them."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


def text_of(session: dict) -> str:
    """One text per session value; equal numbers are equal text."""
    return json.dumps(session, sort_keys=True, default=float)


def numbers_as_floats(text: str) -> dict:
    """JSON writes 1.0 as 1: fields that are whole numbers by the schema are told by their names."""
    whole = {"started_ms", "ended_ms", "time_ms", "policy_version", "part", "parts"}

    def pairs(items):
        return {name: int(value) if name in whole else value for name, value in items}

    return json.loads(text, object_pairs_hook=pairs, parse_int=float)


def session_of_topic(session: dict) -> dict:
    """As `mtf replay` prints it: a step's request in the step, signals by name."""
    for step in session["steps"]:
        step.update(step.pop("request"))
        for item in step["items"]:
            signals = item["signals"]
            item["signals"] = {signal["name"]: signal["value"] for signal in signals}
            if len(item["signals"]) != len(signals):
                raise Failed(f"two signals of one name: {signals}")
    return plain(session)


def events_of_file(path: Path, schemas: records.Schemas):
    """(partition, key, record) of each event, in the file's order; offsets must count up by one."""
    name = "mtf.ExplorationEvent"
    fingerprint, schema = next((f, s) for f, s in schemas.by_fingerprint.items() if s["name"] == name)
    frame = b"\xc3\x01" + struct.pack("<Q", fingerprint)
    offsets = Counter()
    with open(path, "rb") as file:
        for entry in fastavro.reader(file, return_record_name=True):
            partition, event = entry["partition"], entry["event"]
            if entry["offset"] != offsets[partition]:
                raise Failed(f"partition {partition}: offset {entry['offset']} after {offsets[partition] - 1}")
            offsets[partition] += 1
            body = io.BytesIO()
            fastavro.schemaless_writer(body, schema, event)
            yield partition, event["user_id"], frame + body.getvalue()


class Stream:
    """One case on the broker: its topics, its events, its sessionizers."""

    def __init__(self, processes: Processes, bootstrap: str, case: Case):
        self.processes = processes
        self.bootstrap = bootstrap
        self.prefix = f"{case.name}."
        self.config = processes.folder / "mtf.yaml"
        commit_ms = 50 if case.kills else 1000
        self.config.write_text(SETTINGS.format(bootstrap=bootstrap, prefix=self.prefix, commit_ms=commit_ms))
        topics.create(processes.mtf, bootstrap, PARTITIONS, 1, self.prefix)
        # Only asks, also while a killed one's transaction is open: read_committed would wait for its end.
        group = {"bootstrap.servers": bootstrap, "group.id": f"{self.prefix}sessionize", "isolation.level": "read_uncommitted"}
        self.group = confluent_kafka.Consumer(group)
        options = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 4}
        self.producer = confluent_kafka.Producer(options)

    def start(self, instance: str):
        self.processes.start(instance, "sessionize", "-c", self.config, "--set", f"sessionize.instance={instance}")

    def start_two(self):
        """Both, each with its half, so that a kill takes a part of the stream."""
        for instance in ("one", "two"):
            self.start(instance)
        half = f"event=assign partitions={PARTITIONS // 2}"
        logs = [self.processes.folder / f"{instance}.log" for instance in ("one", "two")]
        wait_until("both sessionizers have a half", 60, lambda: all(half in log.read_text() for log in logs))

    def produce(self, events: list):
        for partition, key, record in events:
            self.producer.produce(f"{self.prefix}exploration", key=key, value=record, partition=partition)
            self.producer.poll(0)
        if self.producer.flush(60) != 0:
            raise Failed("events were not taken by the broker")

    def lag(self) -> int:
        places = [confluent_kafka.TopicPartition(f"{self.prefix}exploration", p) for p in range(PARTITIONS)]
        total = 0
        for place in self.group.committed(places, timeout=30):
            end = self.group.get_watermark_offsets(place, timeout=30)[1]
            total += end - max(0, place.offset)
        return total

    def sessions(self, schemas: records.Schemas) -> list:
        found = records.read_topic(self.bootstrap, f"{self.prefix}sessions")
        return [text_of(session_of_topic(schemas.decode(message.value)[1])) for message in found]

    def set_aside(self) -> int:
        names = (self.prefix + "late", self.prefix + "dead-letter")
        return sum(1 for name in names for _ in records.read_topic(self.bootstrap, name))

    def kill_in_midstream(self, events: list, kills: int):
        """Produces the events slice by slice, the sessionizers at most two slices behind, and kills
        `one` just after a slice came, again and again."""
        slices = 10 * (kills + 1)
        size = len(events) // slices + 1
        for i in range(slices):
            wait_until("the sessionizers follow", 60, lambda: self.lag() <= 2 * size, 0.01)
            self.produce(events[i * size : (i + 1) * size])
            if i % 10 == 9 and i + 1 < slices:
                self.processes.kill("one")
                print(f"replay: killed one with {self.lag()} events not committed", flush=True)
                self.start("one")

    def rebuilt(self) -> list:
        """How many records each start of `one` read again to rebuild its open sessions."""
        starts = re.findall(r"offset=(\d+) live=(\d+)", (self.processes.folder / "one.log").read_text())
        return [int(live) - int(safe) for safe, live in starts if int(live) > int(safe)]


def check(case: Case, expected: list, found: list):
    wanted, got = Counter(expected), Counter(found)
    if got == wanted:
        return
    missing, extra = wanted - got, got - wanted
    example = "\n".join(next(iter(side), "none")[:600] for side in (missing, extra))
    raise Failed(f"{case.name}: {len(missing)} sessions missing, {len(extra)} other ones; first of each:\n{example}")


def run_case(mtf: str, bootstrap: str, run_folder: Path, case: Case):
    started = time.monotonic()
    folder = run_folder / f"replay-{case.name}"
    folder.mkdir()
    schemas = records.Schemas()
    with Processes(mtf, folder) as processes:
        stream = Stream(processes, bootstrap, case)
        file = folder / "events.avro"
        arguments = ["--out", file, "--sessions", SESSIONS, "--partitions", PARTITIONS, *case.simulate]
        line = json.loads(processes.run("simulate", "simulate", *arguments))
        printed = processes.run("replay", "replay", file, "-c", stream.config, "--out", "-")
        expected = [text_of(plain(numbers_as_floats(text))) for text in printed.splitlines()]
        if len(expected) != line["sessions"] + line["cap_cuts"] or len(set(expected)) != len(expected):
            raise Failed(f"{case.name}: {len(expected)} sessions from the file, the simulator says {line}")

        events = list(events_of_file(file, schemas))
        stream.start_two()
        stream.kill_in_midstream(events, case.kills)
        wait_until("the sessionizers read all", 120, lambda: stream.lag() == 0)
        for instance in ("one", "two"):
            processes.stop(instance)
        stream.group.close()

        found = stream.sessions(schemas)
        check(case, expected, found)
        aside = int(re.search(r"(\d+) set aside", (folder / "replay.log").read_text())[1])
        if stream.set_aside() != aside:
            raise Failed(f"{case.name}: the file sets {aside} records aside, Kafka {stream.set_aside()}")
        rebuilt = stream.rebuilt()
        if len(rebuilt) < case.kills:
            raise Failed(f"{case.name}: {case.kills} kills, only {len(rebuilt)} starts had anything to rebuild")
    print(
        f"replay: {case.name}: {len(events)} events, {len(expected)} sessions equal, none doubled,"
        f" {aside} set aside, {sum(rebuilt)} records read again by {len(rebuilt)} starts,"
        f" {time.monotonic() - started:.0f} s",
        flush=True,
    )


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    for case in CASES:
        run_case(mtf, bootstrap, run_folder, case)


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
