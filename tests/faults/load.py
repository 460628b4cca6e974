#!/usr/bin/env python3
"""Exploration events from a seed, most of them right and many of them not, produced at the pace of the clock.

    load.py BOOTSTRAP TOPIC --seconds N [--seed S] [--users N] [--close] ...

Users come for a few requests and leave for longer than the gap; feedback follows its request by itself,
some signals come joined. Beside them: records twice, late, from the past and the future, feedback without a
request, bytes that are no event, events that cannot be right, users who never stop. What was produced is
read back from the topic by whoever wants to know: nothing is recorded here. SIGTERM ends it early.
The last line of standard output is a JSON object of what was sent, by kind.
"""

import argparse
import heapq
import io
import json
import os
import random
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path

import confluent_kafka
import fastavro

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kafka"))
import records  # noqa: E402

YEAR_MS = 365 * 86400000
SIGNALS = ("watch", "valid", "finish", "positive", "negative", "unlisted")
# Shares of all records; the rest is as it should be.
SHARES = {
    "duplicate": 0.05,
    "late": 0.01,
    "past": 0.001,
    "future": 0.002,
    "nearly_future": 0.001,
    "same_id_elsewhere": 0.002,
    "orphan": 0.005,
    "unknown_item": 0.003,
    "double_signal": 0.003,
    "poison": 0.002,
    "truncated": 0.002,
    "unknown_schema": 0.001,
    "invalid": 0.004,
    "keyless": 0.001,
    "large": 0.0001,
}


class Encoder:
    """Events in single-object encoding by the repository's schema."""

    def __init__(self):
        schemas = records.Schemas()
        (found,) = [f for f, s in schemas.by_fingerprint.items() if s["name"] == "mtf.ExplorationEvent"]
        self.schema = schemas.by_fingerprint[found]
        self.frame = b"\xc3\x01" + struct.pack("<Q", found)

    def __call__(self, event: dict) -> bytes:
        out = io.BytesIO()
        out.write(self.frame)
        fastavro.schemaless_writer(out, self.schema, event)
        return out.getvalue()


class Generator:
    """The records due until a time, in order: (key, value). Same seed and same times, same records."""

    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.encode = Encoder()
        self.due = []  # (ms, number, function): what happens next
        self.number = 0
        self.sent = Counter()
        self.out = []
        self.version = 0
        self.previous = None  # the last well-made record: (key, value)

    def begin(self, now_ms: int):
        for user in range(self.options.users):
            first = now_ms + self.random.random() * 2 * self.options.gap_ms
            self.at(first, lambda at, u=user: self.visit(at, f"user-{u}-{self.options.seed}"))
        for bot in range(self.options.bots):
            self.at(now_ms, lambda at, u=bot: self.bot(at, f"bot-{u}-{self.options.seed}"))

    def at(self, ms: float, act):
        self.number += 1
        heapq.heappush(self.due, (ms, self.number, act))

    def until(self, now_ms: int) -> list:
        """Where the machine cannot keep the pace, users do everything later: few events are late by that."""
        behind_ms = now_ms - self.due[0][0]
        if behind_ms > self.options.gap_ms / 4:
            self.due = [(ms + behind_ms, number, act) for ms, number, act in self.due]
        self.out = []
        while self.due and self.due[0][0] <= now_ms:
            ms, _, act = heapq.heappop(self.due)
            act(int(ms))
        return self.out

    # --- what is right

    def new_id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.options.seed}-{self.number}"

    def event(self, user: str, ms: int, session, kind: str, body: dict, event_id=None) -> dict:
        return {
            "event_id": event_id or self.new_id(kind[0].lower()),
            "user_id": user,
            "event_time_ms": ms,
            "session_id": session,
            "body": (f"mtf.{kind}", body),
        }

    def floats(self, count: int, low: float = -1.0, high: float = 1.0) -> list:
        return [self.random.uniform(low, high) for _ in range(count)]

    def signals(self, names) -> list:
        return [{"name": n, "value": self.random.randrange(0, 64) / 4} for n in names]

    def request(self, joined) -> dict:
        roll = self.random.random
        base = self.floats(self.options.actions, -0.8, 0.8)
        width = 0.15
        boxed = roll() < 0.7
        return {
            "policy_version": self.version,
            "bucket": "explore" if roll() < 0.8 else self.random.choice(("baseline", "control")),
            "state": self.floats(self.options.state_dim, -3, 3),
            "action": [b + self.random.uniform(-width, width) for b in base],
            "baseline_action": base,
            "lower": [-width] * len(base) if boxed else [],
            "upper": [width] * len(base) if boxed else [],
            "sample_weight": self.random.choice((1.0, 1.0, 2.5)),
            "items": [
                {
                    "item_id": f"i{i}",
                    "predictions": self.floats(self.options.predictions, 0, 1),
                    "features": [],
                    "signals": self.signals(joined) if i == 0 else [],
                }
                for i in range(self.random.randint(1, 3))
            ],
        }

    def visit(self, at: int, user: str):
        """One session: requests some way apart; then the next visit, mostly after the gap has passed."""
        roll, options = self.random.random, self.options
        left = 1 + int(self.random.expovariate(1 / options.requests))
        session = self.new_id("s") if roll() < 0.3 else None
        other = self.new_id("s") if session and roll() < 0.3 else None  # changes half-way, or interleaves
        ends = roll() < 0.15
        interleaved = roll() < 0.3

        def step(at: int, left: int):
            current = session
            if other and (left % 2 if interleaved else left <= 2):
                current = other
            if session and roll() < 0.2:
                current = None
            self.serve(at, user, current)
            if left > 1:
                self.at(at + self.random.uniform(0.05, 0.6) * options.gap_ms, lambda t: step(t, left - 1))
                return
            if ends:
                end = self.event(user, at + 20, current, "SessionEnd", {"reason": "left"})
                self.at(at + 20, lambda t: self.send(user, end, t))
            pause = self.random.uniform(0.8, 4.0) * options.gap_ms
            self.at(at + pause, lambda t: self.visit(t, user))

        step(at, left)

    def bot(self, at: int, user: str):
        self.serve(at, user, None)
        self.at(at + 100, lambda t: self.bot(t, user))

    def serve(self, at: int, user: str, session):
        """A request now, and feedback on it after a while."""
        roll, options = self.random.random, self.options
        ms = at - self.random.randrange(0, options.jitter_ms)  # the serving host's clock
        joined = self.random.sample(SIGNALS, 2) if roll() < 0.25 else []
        body = self.request(joined)
        request = self.event(user, ms, session, "Request", body)
        if roll() < SHARES["late"]:
            request["event_time_ms"] -= int(self.random.uniform(0.8, 3) * options.late_ms)
        elif roll() < SHARES["past"]:
            request["event_time_ms"] -= self.random.choice((86400000, YEAR_MS))
        elif roll() < SHARES["future"]:
            request["event_time_ms"] += self.random.choice((YEAR_MS, options.max_future_ms + 3000))
        elif roll() < SHARES["nearly_future"]:
            request["event_time_ms"] += options.max_future_ms * 8 // 10
        self.send(user, request, at)
        for _ in range(self.random.choice((0, 1, 1, 2))):
            delay = self.random.uniform(-0.02, 0.5) * options.gap_ms
            item = self.random.choice(body["items"])["item_id"]
            free = [s for s in SIGNALS if s not in joined]
            about, names = request["event_id"], self.random.sample(free, self.random.randint(1, 2))
            if roll() < SHARES["orphan"]:
                about = "nobody"
            elif roll() < SHARES["unknown_item"]:
                item = "nothing"
            elif joined and roll() < SHARES["double_signal"] * 10:
                item, names = "i0", [joined[0]]
            feedback = {
                "request_id": about,
                "request_time_ms": request["event_time_ms"],
                "item_id": item,
                "signals": self.signals(names),
            }
            self.at(at + delay, lambda t, f=feedback: self.feedback(t, user, session, f))

    def feedback(self, at: int, user: str, session, body: dict):
        self.send(user, self.event(user, at, session, "Feedback", body), at)

    def send(self, user: str, event: dict, at: int):
        """An event, perhaps followed or replaced by something worse."""
        roll = self.random.random
        key, value = user.encode(), self.encode(event)
        if roll() < SHARES["keyless"]:
            key = None
        self.emit(event["body"][0][4:], key, value)
        if roll() < SHARES["duplicate"]:
            later = at + self.random.uniform(0, 2) * self.options.gap_ms
            self.at(later, lambda t: self.emit("duplicate", key, value))
        if roll() < SHARES["same_id_elsewhere"]:
            again = dict(event, event_time_ms=event["event_time_ms"] + self.random.randrange(1, 400))
            self.at(at + 300, lambda t: self.emit("same_id_elsewhere", key, self.encode(again)))
        self.worse(key, value, event)

    # --- what is not

    def worse(self, key, value: bytes, event: dict):
        roll, rand = self.random.random, self.random
        if roll() < SHARES["poison"]:
            self.emit("poison", key, rand.randbytes(rand.randrange(0, 200)))
        if roll() < SHARES["truncated"]:
            self.emit("truncated", key, value[: rand.randrange(0, len(value))])
        if roll() < SHARES["unknown_schema"]:
            self.emit("unknown_schema", key, b"\xc3\x01" + rand.randbytes(8) + value[10:])
        if roll() < SHARES["large"]:
            self.emit("large", key, rand.randbytes(1000) * rand.randrange(10, 300))
        if roll() < SHARES["invalid"]:
            self.invalid(key, event)

    def invalid(self, key, event: dict):
        """An event of which one thing cannot be right."""
        rand = self.random
        kind, body = event["body"]
        bad = dict(event, event_id=self.new_id("x"))
        spoils = [
            lambda: bad.update(event_id=""),
            lambda: bad.update(user_id=""),
            lambda: bad.update(event_time_ms=rand.choice((0, -1))),
        ]

        def spoil(**changes):
            bad["body"] = (kind, dict(body, **changes))

        if kind == "mtf.Request":
            odd = rand.choice((float("nan"), float("inf"), float("-inf")))
            item = body["items"][0]
            spoils += [
                lambda: spoil(state=[odd, *body["state"][1:]]),
                lambda: spoil(state=body["state"][1:]),
                lambda: spoil(state=[*body["state"], 0.5]),
                lambda: spoil(action=[1.5, *body["action"][1:]]),
                lambda: spoil(action=[odd, *body["action"][1:]]),
                lambda: spoil(action=body["action"][1:]),
                lambda: spoil(baseline_action=[-1.01, *body["baseline_action"][1:]]),
                lambda: spoil(baseline_action=[]),
                lambda: spoil(bucket="explore", lower=[0.2] * len(body["action"]), upper=[0.3] * len(body["action"])),
                lambda: spoil(lower=[0.2] * len(body["action"]), upper=[-0.2] * len(body["action"])),
                lambda: spoil(lower=[0.2], upper=[0.3]),
                lambda: spoil(sample_weight=rand.choice((0.0, -1.0, odd))),
                lambda: spoil(items=[dict(item, item_id="")]),
                lambda: spoil(items=[dict(item, predictions=[odd] * len(item["predictions"]))]),
                lambda: spoil(items=[dict(item, features=[odd])]),
                lambda: spoil(items=[dict(item, signals=[{"name": "watch", "value": odd}])]),
            ]
        elif kind == "mtf.Feedback":
            spoils += [
                lambda: spoil(request_id=""),
                lambda: spoil(item_id=""),
                lambda: spoil(request_time_ms=0),
                lambda: spoil(signals=[{"name": "watch", "value": float("nan")}]),
            ]
        rand.choice(spoils)()
        self.emit("invalid", key, self.encode(bad))

    def emit(self, kind: str, key, value: bytes):
        self.sent[kind] += 1
        self.out.append((key, value))


class Load:
    """Produces what a generator gives. A record not taken for two minutes is an error."""

    def __init__(self, bootstrap: str, topic: str):
        self.topic = topic
        self.failed = []
        self.delivered = 0
        self.producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "message.timeout.ms": 120000,
                "message.max.bytes": 1048500,
                "queue.buffering.max.messages": 20000,  # then users wait, too
                "on_delivery": self.on_delivery,
                "log_level": 0,
            }
        )

    def on_delivery(self, error, _):
        if error is not None:
            self.failed.append(str(error))
        self.delivered += 1

    def send(self, batch: list, partition: int = None):
        for key, value in batch:
            while True:
                try:
                    if partition is None:
                        self.producer.produce(self.topic, value, key)
                    else:
                        self.producer.produce(self.topic, value, key, partition)
                    break
                except BufferError:  # brokers away: wait, as a service would
                    self.producer.poll(0.1)
        self.producer.poll(0)

    def finish(self):
        self.producer.flush(130)
        if self.failed or len(self.producer):
            raise SystemExit(f"load: {len(self.failed)} records were not taken: {self.failed[:3]}")


def close_sessions(load: Load, generator: Generator, partitions: int):
    """One request a partition, now: moves its watermark, so that what is old enough closes."""
    now_ms = int(time.time() * 1000)
    for partition in range(partitions):
        event = generator.event(f"closer-{partition}", now_ms, None, "Request", generator.request([]))
        load.send([(event["user_id"].encode(), generator.encode(event))], partition)
        generator.sent["closer"] += 1


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("topic")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--bots", type=int, default=2)
    parser.add_argument("--requests", type=float, default=5, help="of a session, about")
    parser.add_argument("--gap-ms", type=int, default=1000)
    parser.add_argument("--late-ms", type=int, default=2000, help="gap + grace + out-of-orderness")
    parser.add_argument("--max-future-ms", type=int, default=5000)
    parser.add_argument("--jitter-ms", type=int, default=300)
    parser.add_argument("--state-dim", type=int, default=4)
    parser.add_argument("--actions", type=int, default=2)
    parser.add_argument("--predictions", type=int, default=2)
    parser.add_argument("--policy-topic", default="", help="requests carry the version of its newest record")
    parser.add_argument("--close", action="store_true", help="at the end, wait until all is old, then close it")
    return parser.parse_args(arguments)


class PolicyWatch:
    """The newest version on a policy topic, as a server would follow it."""

    def __init__(self, bootstrap: str, topic: str):
        self.schemas = records.Schemas()
        self.consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "load",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self.consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])

    def newest(self, version: int) -> int:
        for message in self.consumer.consume(100, 0):
            if message.error() is None and message.value():
                version = max(version, self.schemas.decode(message.value())[1]["version"])
        return version


def main() -> int:
    options = parse()
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    generator, load = Generator(options), Load(options.bootstrap, options.topic)
    watch = PolicyWatch(options.bootstrap, options.policy_topic) if options.policy_topic else None
    partitions = len(load.producer.list_topics(options.topic, 30).topics[options.topic].partitions)
    started = time.monotonic()
    generator.begin(int(time.time() * 1000))
    looked = 0.0
    while time.monotonic() < started + options.seconds and not stop:
        if watch and time.monotonic() > looked + 1:
            looked = time.monotonic()
            generator.version = watch.newest(generator.version)
        load.send(generator.until(int(time.time() * 1000)))
        time.sleep(0.02)
        if os.getppid() == 1:
            return 1  # whoever started this is gone
    load.finish()
    if options.close:
        time.sleep((options.late_ms + options.max_future_ms) / 1000 + 0.5)
        close_sessions(load, generator, partitions)
        load.finish()
    print(json.dumps({"sent": sum(generator.sent.values()), "seconds": time.monotonic() - started, **generator.sent}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
