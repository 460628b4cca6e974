#!/usr/bin/env python3
"""Goal: a topic full of garbage costs nothing but its reading: memory stays flat, every record becomes a dead letter
with the right reason once, the few good events between come out as ever. Method: millions of records from a pool of
pre-made garbage, whose reasons the oracle's decoder tells, through a real broker and `mtf sessionize` with
exactly-once and errors.max_consecutive 0; resident memory in the middle of the run against its end; an independent
read_committed client reads every dead letter.

    garbage.py MTF RUN [--records N] [--seed S]

RUN is a scratch folder: a broker is started in it, and all of it is removed at the end. The last line is a JSON
object. Ten million records need 4 GB of disk.
"""

import argparse
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import confluent_kafka
import fastavro

import load
import oracle

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kafka"))
import records  # noqa: E402
import topics  # noqa: E402
from ports import free_ports  # noqa: E402
from processes import Failed, Processes, wait_until  # noqa: E402

BROKER = Path(__file__).resolve().parents[1] / "kafka" / "broker.sh"
PARTITIONS = 4
POOL = 20000  # records, of which one is good
FLAT_BYTES = 32 << 20  # memory may grow by this from the middle to the end,
FLAT_FROM = 2000000  # of so many records; fewer are read before its queues are full,
PEAK_BYTES = 256 << 20  # so that they take less than this
RULES = oracle.Rules(gap_ms=1000, grace_ms=0, out_of_orderness_ms=0, max_future_ms=5000)

SETTINGS = """\
kafka.bootstrap_servers: "{bootstrap}"
topics: {{exploration: garbage.exploration, sessions: garbage.sessions, late: garbage.late, dead_letter: garbage.dead-letter}}
schema.directory: {folder}/schemas
sessionize:
  group: garbage
  instance: one
  delivery: exactly-once
  gap_ms: {rules.gap_ms}
  grace_ms: {rules.grace_ms}
  out_of_orderness_ms: {rules.out_of_orderness_ms}
  max_future_ms: {rules.max_future_ms}
  idle_timeout_ms: 1000
errors.max_consecutive: 0
policy: {{state_dim: {rules.state_dim}, actions: "valid.pow=0..2 watch.pow=0..2"}}
http.port: {port}
"""
# A writer's schema whose first field has items of no bytes: six bytes that promise 2^40 of them.
NOTHINGS = {
    "type": "record",
    "name": "Nothings",
    "fields": [
        {"name": "nothings", "type": {"type": "array", "items": "null"}},
        {"name": "event_id", "type": "string"},
        {"name": "user_id", "type": "string"},
        {"name": "event_time_ms", "type": "long"},
        {"name": "body", "type": {"type": "record", "name": "SessionEnd", "fields": []}},
    ],
}
ENDLESS = b"\x80\x80\x80\x80\x80\x40"


class Pool:
    """Garbage, each piece with its reason, and good events as they are asked for."""

    def __init__(self, seed: int):
        options = load.parse(["nowhere", "nothing", "--seed", str(seed)])
        options.state_dim, options.actions = RULES.state_dim, RULES.actions
        self.make = load.Generator(options)
        self.random = random.Random(seed)
        self.decode = oracle.Decoder()
        schema = fastavro.parse_schema(json.loads(json.dumps(NOTHINGS)), named_schemas={})
        fingerprint = records.crc64_avro(fastavro.schema.to_parsing_canonical_form(schema).encode())
        self.nothings = b"\xc3\x01" + fingerprint.to_bytes(8, "little")
        self.number = 0

    def good(self) -> tuple:
        self.number += 1
        event = self.make.event("good", int(time.time() * 1000), None, "Request", self.make.request([]), f"good-{self.number}")
        return b"good", self.make.encode(event)

    def whole(self) -> tuple:
        """A whole event that nobody sends: (event, its bytes)."""
        event = self.make.event(f"user-{self.random.randrange(1000)}", 1, None, "Request", self.make.request(["watch"]))
        return event, self.make.encode(event)

    def invalid(self) -> bytes:
        self.make.out = []
        self.make.invalid(b"", self.whole()[0])
        return self.make.out[0][1]

    def piece(self) -> tuple:
        """(bytes or None, reason or None for the oracle's word)."""
        rand, (_, whole) = self.random, self.whole()
        frame = whole[:10]
        kinds = (
            lambda: (rand.randbytes(rand.randrange(1, 120)), None),  # noise
            lambda: (whole[: rand.randrange(1, len(whole))], None),  # cut
            lambda: (frame + rand.randbytes(rand.randrange(1, 100)), None),  # rubbish in a good frame
            lambda: (whole[:10] + b"\xff" * rand.randrange(1, 30) + whole[12:], "decode"),  # a length of 70 bits
            lambda: (frame + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" + whole[10:], "decode"),  # 2^63 - 1 bytes
            lambda: (whole + rand.randbytes(rand.randrange(1, 9)), None),  # something behind
            lambda: (b"", "decode"),
            lambda: (None, "decode"),  # a tombstone
            lambda: (self.nothings + ENDLESS, "decode"),
            lambda: (self.nothings + ENDLESS * rand.randrange(2, 10), "decode"),
            lambda: (b"\xc3\x01" + rand.randbytes(8) + whole[10:], None),  # nobody's schema
            lambda: (self.invalid(), None),
        )
        return rand.choice(kinds)()

    def reason(self, value: bytes) -> str:
        event, reason = self.decode(value)
        if event is not None and oracle.is_valid(event, RULES):
            return ""  # by accident it is an event
        return reason or "invalid"

    def garbage(self) -> list:
        """(bytes, reason) of POOL - 1 pieces."""
        pieces = []
        while len(pieces) < POOL - 1:
            value, reason = self.piece()
            reason = reason or self.reason(value)
            if reason:
                pieces.append((value, reason))
        return pieces


def produce(bootstrap: str, pool: Pool, garbage: list, rounds: int):
    """The pool again and again, a good event after each time."""
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": "lz4",
            "linger.ms": 50,
            "batch.size": 1000000,
            "sticky.partitioning.linger.ms": 10,
            "queue.buffering.max.messages": 500000,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
            "log_level": 3,
        }
    )
    values = [{"value": value} for value, _ in garbage]
    for _ in range(rounds):
        key, value = pool.good()
        todo = [*values, {"key": key, "value": value}]
        wait_until("room in the producer's queue", 60, lambda: producer.poll(0.01) is not None and len(producer) < 400000, 0)
        if producer.produce_batch("garbage.exploration", todo) != len(todo):
            raise Failed("the producer's queue was full")
    if producer.flush(120) != 0:
        raise Failed("the broker did not take the garbage")


class Watch:
    """What a running sessionizer says of itself, and what its memory is."""

    def __init__(self, port: int, pid: int):
        self.url = f"http://127.0.0.1:{port}/metrics"
        self.status = Path(f"/proc/{pid}/status")
        self.samples = []  # (records in, resident bytes)

    def records_in(self) -> int:
        try:
            page = urllib.request.urlopen(self.url, timeout=10).read().decode()
        except OSError:
            return 0  # not up yet
        found = re.search(r"^mtf_sessionize_records_in_total (\S+)$", page, re.M)
        return int(float(found[1])) if found else 0

    def sample(self) -> int:
        """Records in so far."""
        resident = int(re.search(r"VmRSS:\s+(\d+)", self.status.read_text())[1]) * 1024
        self.samples.append((self.records_in(), resident))
        return self.samples[-1][0]

    def peak(self, low: float, high: float) -> int:
        """The most memory while that share of the records was read."""
        count = self.samples[-1][0]
        return max((r for n, r in self.samples if low * count <= n <= high * count), default=0)


def sessionize(processes: Processes, config: Path, port: int, count: int) -> tuple:
    """(the watch, seconds from its start until all is committed, the counts of sessionize.end)."""
    processes.start("sessionize", "sessionize", "-c", config)
    started = time.monotonic()
    process = processes.running["sessionize"]
    watch = Watch(port, process.pid)

    def done():
        if process.poll() is not None:
            raise Failed(f"the sessionizer left by itself with code {process.returncode}")
        return watch.sample() >= count

    wait_until("all of it read", 60 + count / 10000, done, 0.2)
    seconds = time.monotonic() - started
    time.sleep(3)  # the last good session closes by the clock
    processes.stop("sessionize")
    (line,) = [l for l in (processes.folder / "sessionize.log").read_text().splitlines() if "msg=sessionize.end" in l]
    return watch, seconds, {k: int(v) for k, v in re.findall(r"([a-z_]+)=(\d+)", line.split("sessionize.end")[1])}


def read_letters(bootstrap: str, count: int) -> tuple:
    """Dead letters by reason, and how many came of one and the same record."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "garbage-check", "isolation.level": "read_committed", "enable.partition.eof": True}
    )
    place = confluent_kafka.TopicPartition("garbage.dead-letter", 0, 0)
    consumer.assign([place])
    reasons, seen, twice = Counter(), [bytearray(count) for _ in range(PARTITIONS)], 0
    while True:
        for message in consumer.consume(10000, 1.0):
            if message.error() is not None:
                if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    consumer.close()
                    return reasons, twice
                raise Failed(f"dead letters: {message.error()}")
            headers = dict(message.headers())
            reasons[headers["__mtf.errors.reason"].decode()] += 1
            marks, offset = seen[int(headers["__mtf.errors.partition"])], int(headers["__mtf.errors.offset"])
            twice += marks[offset]
            marks[offset] = 1


def check(what: str, wanted, got):
    if wanted != got:
        raise Failed(f"{what}: {wanted} wanted, {got} found")


def run(processes: Processes, bootstrap: str, count: int, seed: int) -> dict:
    folder, port = processes.folder, free_ports(1)[0]
    (folder / "schemas").mkdir()
    (folder / "schemas" / "nothings.avsc").write_text(json.dumps(NOTHINGS))
    config = folder / "mtf.yaml"
    config.write_text(SETTINGS.format(bootstrap=bootstrap, folder=folder, port=port, rules=RULES))
    topics.create(processes.mtf, bootstrap, PARTITIONS, 1, "garbage.")
    pool = Pool(seed)
    garbage = pool.garbage()
    rounds = -(-count // POOL)
    count = rounds * POOL
    wanted = Counter({reason: n * rounds for reason, n in Counter(r for _, r in garbage).items()})
    started = time.monotonic()
    produce(bootstrap, pool, garbage, rounds)
    print(f"garbage: {count} records in {time.monotonic() - started:.0f} s, {dict(wanted)}", flush=True)

    cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    watch, seconds, counts = sessionize(processes, config, port, count)
    cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - cpu_s
    middle, end = watch.peak(0.4, 0.6), watch.peak(0.9, 1)
    print(f"garbage: read in {seconds:.1f} s, {counts}", flush=True)
    check("records_in", count, counts["records_in"])
    for reason in ("decode", "unknown_schema", "schema", "invalid", "future_ts"):
        check(f"dead_{reason}", wanted[reason], counts.get(f"dead_{reason}", 0))
    check("events in sessions", rounds, counts["session_events"])
    if not (0 < end < middle + FLAT_BYTES if count >= FLAT_FROM else watch.peak(0, 1) < PEAK_BYTES):
        raise Failed(f"memory is not flat: {watch.samples}")

    letters, twice = read_letters(bootstrap, count)
    check("dead letters by reason", dict(wanted), dict(letters))
    check("dead letters of one record", 0, twice)
    schemas, good = records.Schemas(), Counter()
    for message in records.read_topic(bootstrap, "garbage.sessions"):
        good.update(step["event_id"] for step in schemas.decode(message.value)[1]["steps"])
    check("good events", {f"good-{i + 1}": 1 for i in range(rounds)}, dict(good))
    return {
        "records": count,
        "dead_letters": sum(letters.values()),
        "good": rounds,
        "seconds": round(seconds, 1),
        "records_per_s": round(count / seconds),
        "cpu_s": round(cpu_s, 1),
        "rss_peak_mib": watch.peak(0, 1) >> 20,
        "rss_middle_mib": middle >> 20,
        "rss_end_mib": end >> 20,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mtf", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--records", type=int, default=200000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = options.run.resolve()
    broker = folder / "broker"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        subprocess.run([BROKER, "up", broker], stdout=subprocess.DEVNULL, check=True)
        with Processes(str(options.mtf.resolve()), folder) as processes:
            print(json.dumps(run(processes, (broker / "bootstrap").read_text().strip(), options.records, options.seed)))
    except (Failed, records.Broken) as error:
        print(f"garbage: FAILED: {error}", file=sys.stderr)
        return 1
    finally:
        subprocess.run([BROKER, "down", broker], check=False)
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
