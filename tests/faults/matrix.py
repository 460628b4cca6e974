#!/usr/bin/env python3
"""The failure matrix, a case a row: each puts the pipeline through one fault on a real cluster and holds
what came out against the oracle.

    matrix.py MTF CLUSTER CASE        CLUSTER: a folder of `cluster.py up`
    matrix.py --list                  the cases, one a line

Exit code 0: as docs/failures.md says; 77: this machine cannot do the case (no right to mount).
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import NewPartitions

import load
import oracle
import policies
from cluster import BROKERS, Broken, Cluster
from pipeline import SESSION_TIMEOUT_MS, Failed, Pipeline, wait_until

RULES = {"gap_ms": 1000, "grace_ms": 200, "out_of_orderness_ms": 300, "max_future_ms": 1000}
ROUND = 400  # sessions
CASES = {}


class Skipped(Exception):
    """This machine cannot do the case; the words say why."""


def case(function):
    CASES[function.__name__] = function
    return function


class Bench:
    """What every case gets: a cluster, a folder, pipelines with topics of their own."""

    def __init__(self, mtf: str, cluster: Cluster, folder: Path, name: str):
        self.mtf, self.cluster, self.folder = mtf, cluster, folder
        self.name = name.replace("_", "-")
        self.random = random.Random(name)

    def pipeline(self, partitions: int = 4, rules=None, **settings) -> Pipeline:
        rules = rules or oracle.Rules(**RULES)
        prefix = f"{self.name}-{int(time.time())}"
        return Pipeline(self.mtf, self.cluster, self.folder, prefix, partitions, rules, **settings)

    def records(self, pipeline: Pipeline) -> "Records":
        return Records(pipeline)


class Records:
    """Hand-made records, to one partition unless told, with the clock of now."""

    def __init__(self, pipeline: Pipeline):
        rules = pipeline.rules
        self.pipeline = pipeline
        options = load.parse([pipeline.cluster.bootstrap, pipeline.topic("exploration")])
        options.state_dim, options.actions = rules.state_dim, rules.actions
        self.make = load.Generator(options)
        self.load = load.Load(pipeline.cluster.bootstrap, options.topic)

    def request(self, user: str, ms: int = None, event_id: str = None, session: str = None, **changes) -> dict:
        body = dict(self.make.request([]), **changes)
        return self.make.event(user, ms or now_ms(), session, "Request", body, event_id)

    def feedback(self, request: dict, ms: int = None, **signals) -> dict:
        kind, body = request["body"]
        about = {
            "request_id": request["event_id"],
            "request_time_ms": request["event_time_ms"],
            "item_id": body["items"][0]["item_id"],
            "signals": [{"name": n, "value": v} for n, v in signals.items()],
        }
        return self.make.event(request["user_id"], ms or now_ms(), None, "Feedback", about)

    def send(self, *events, partition: int = 0):
        pairs = [e if isinstance(e, tuple) else (e["user_id"].encode(), self.make.encode(e)) for e in events]
        self.load.send(pairs, partition)
        self.load.finish()

    def close(self, wait_s: float = None):
        """Lets everything so far become old, then moves every partition's watermark past it."""
        rules = self.pipeline.rules
        time.sleep(wait_s or (rules.gap_ms + rules.grace_ms + rules.out_of_orderness_ms + 300) / 1000)
        load.close_sessions(self.load, self.make, self.pipeline.partitions)
        self.load.finish()


def now_ms() -> int:
    return int(time.time() * 1000)


def check(condition, words: str):
    if not condition:
        raise Failed(words)


def exact(result: oracle.Result, pipeline: Pipeline):
    expected = pipeline.expected
    sessions = sum(len(several) for several in expected.sessions.values())
    print(
        f"{expected.events} events, {sessions} sessions, {len(expected.late)} late, {len(expected.dead)} dead letters, "
        f"{expected.duplicates} duplicates; lost {result.lost}, doubled {result.doubled}, different {result.different}"
    )
    check(result.exact and not pipeline.broken, "\n".join([*result.examples, *pipeline.broken]))
    check(sessions > 0, "nothing was expected, so nothing was shown")


def settle(pipeline: Pipeline):
    """Everything produced is sessionized and compared."""
    pipeline.wait_sessionized()
    pipeline.stop_all("sessionize")
    exact(pipeline.compare(), pipeline)


def exact_rows(pipeline: Pipeline, learner: str):
    """After settle(): what the learner has stored is what the sessions say."""
    pipeline.wait_learned(learner, sum(len(parts) for parts in pipeline.found.sessions.values()))
    pipeline.stop_all("learn")
    result = oracle.Result()
    pipeline.compare_rows(learner, result)
    exact(result, pipeline)


def under_load(pipeline: Pipeline, fault, seconds: float, users: int = 300):
    """Runs fault(until) while load is produced, then settles."""
    load_process = pipeline.load(seconds, users=users)
    time.sleep(1)
    fault(time.monotonic() + seconds - 1)
    pipeline.tend()
    pipeline.sent(load_process)
    settle(pipeline)


def nobody_gave_up(pipeline: Pipeline):
    left = [why for why in pipeline.exits if "left with 69" in why]
    check(not left, f"brokers that come back are waited for: {left}")


def counted(pipeline: Pipeline, name: str) -> dict:
    """The counts in the last sessionize.end of a process's log."""
    lines = [l for l in (pipeline.folder / f"{name}.log").read_text().splitlines() if "msg=sessionize.end" in l]
    check(lines, f"{name} has not said sessionize.end")
    return {k: int(v) for k, v in re.findall(r"([a-z_]+)=(\d+)", lines[-1].split("msg=sessionize.end")[1])}


def run_alone(pipeline: Pipeline, records: Records):
    """One sessionizer over what was sent and closed, compared; its counts."""
    pipeline.start_sessionizer("one")
    records.close()
    settle(pipeline)
    return counted(pipeline, "sessionize-one")


# --- a sessionizer dies


def die_at(pipeline: Pipeline, points, times: int = 2, after_ms: int = 300):
    """A fault that has one sessionizer killed at each point, so many times, so long after its start."""

    def fault(_):
        service = pipeline.services["sessionize-one"]
        wait_until("a commit", 30, lambda: max(pipeline.committed() or [0]) > 0)
        for point in points * times:
            pipeline.kill(service.name)
            pipeline.spawn(service, f"{point}@{now_ms() + after_ms}")
            wait_until(f"{service.name} killed at {point}", 30, lambda: service.process.poll() is not None)
            check(service.process.returncode == -signal.SIGKILL, f"{point}: {pipeline.last_words(service.name)}")
            pipeline.spawn(service)
            time.sleep(0.4)

    return fault


@case
def kill_before_commit(bench: Bench):
    """Killed with a transaction open: readers saw nothing of it, the next start reads it again."""
    with bench.pipeline() as pipeline:
        pipeline.start_sessionizer("one")
        pipeline.start_learner("one")
        points = ["sessionize.begin", "sessionize.put", "sessionize.offsets", "sessionize.commit"]
        under_load(pipeline, die_at(pipeline, points), 14)
        exact_rows(pipeline, "one")


@case
def kill_after_commit(bench: Bench):
    """Killed after the brokers committed, before it knew: the next start goes on behind it."""
    with bench.pipeline() as pipeline:
        pipeline.start_sessionizer("one")
        under_load(pipeline, die_at(pipeline, ["sessionize.committed"], 4), 8)


@case
def kill_in_replay(bench: Bench):
    """Killed while it rebuilds its state: the next start rebuilds it."""
    with bench.pipeline() as pipeline:
        pipeline.start_sessionizer("one")
        under_load(pipeline, die_at(pipeline, ["sessionize.replay"], 4, 0), 8)


@case
def kill_in_revoke(bench: Bench):
    """Killed as its partitions are taken away: their next owner goes on from the last commit."""
    with bench.pipeline() as pipeline:
        pipeline.start_sessionizer("one")

        def fault(_):
            service = pipeline.services["sessionize-one"]
            for name in ("two", "three"):  # each joins, so that partitions move
                pipeline.kill(service.name)
                pipeline.spawn(service, "sessionize.revoke")
                time.sleep(2)
                pipeline.start_sessionizer(name)
                wait_until("killed in a revoke", 30, lambda: service.process.poll() is not None)
                check(service.process.returncode == -signal.SIGKILL, pipeline.last_words(service.name))
                pipeline.spawn(service)

        under_load(pipeline, fault, 10)


@case
def kill_at_random(bench: Bench):
    """Fifty kills at random moments under load."""
    with bench.pipeline() as pipeline:
        for name in ("one", "two"):
            pipeline.start_sessionizer(name)

        def fault(_):
            for _ in range(50):
                time.sleep(bench.random.uniform(0.05, 0.9))
                pipeline.tend()
                pipeline.kill(bench.random.choice(["sessionize-one", "sessionize-two"]))
                pipeline.tend()

        under_load(pipeline, fault, 28, 600)


@case
def zombie_sessionizer(bench: Bench):
    """Stopped beyond the session timeout, then going on: what it had in hand is not committed."""
    with bench.pipeline() as pipeline:
        for name in ("one", "two"):  # long units: it has something in hand whenever it is stopped
            pipeline.start_sessionizer(name, "--set", "sessionize.commit_interval_ms=2000")

        def fault(_):
            for name in ("sessionize-one", "sessionize-two"):
                pipeline.pause(name)
                time.sleep(1.4 * SESSION_TIMEOUT_MS / 1000)
                pipeline.resume(name)
                time.sleep(2)

        under_load(pipeline, fault, 24)
        names = ("sessionize-one", "sessionize-two")
        check(any(pipeline.log_has(name, "msg=sessionize.abort") for name in names), "a transaction was given up")
        left = [why for why in pipeline.exits if "left" in why]
        check(not left, f"nobody leaves for having stood still: {left}")


@case
def transaction_left_open(bench: Bench):
    """A dead member's transaction ends as its successor starts, not at the brokers' timeout."""
    with bench.pipeline(partitions=1) as pipeline:
        pipeline.start_sessionizer("one")
        records = bench.records(pipeline)
        records.send(records.request("a"))
        wait_until("a commit", 20, lambda: (pipeline.committed() or [0])[0] >= 1)
        service = pipeline.services["sessionize-one"]
        pipeline.kill(service.name)
        records.close()
        pipeline.spawn(service, "sessionize.commit")  # all of it is written, the end of the transaction is not
        wait_until("killed", 30, lambda: service.process.poll() is not None)
        open_end, stable_end = pipeline.ends("sessions")[0], pipeline.ends("sessions", "read_committed")[0]
        check(stable_end < open_end, f"no transaction is open: {stable_end} of {open_end} is stable")
        started = time.monotonic()
        pipeline.spawn(service)
        wait_until("the new transaction", 20, lambda: pipeline.ends("sessions", "read_committed")[0] > open_end)
        print(f"readers went on {time.monotonic() - started:.1f} s after the restart")
        check(time.monotonic() - started < 10, "the transaction stood until the brokers' timeout")
        settle(pipeline)


# --- members come and go


@case
def members_come_and_go(bench: Bench):
    """Members join, leave and restart under load; what moves is rebuilt by its next owner."""
    with bench.pipeline(partitions=6) as pipeline:
        pipeline.start_sessionizer("one")

        def fault(until):
            present = ["one"]
            # What "one" gave away comes back to it with another commit than it left with.
            time.sleep(1)
            pipeline.start_sessionizer("two")
            time.sleep(4)
            pipeline.stop("sessionize-two")
            time.sleep(1.4 * SESSION_TIMEOUT_MS / 1000)
            while time.monotonic() < until:
                absent = [n for n in ("one", "two", "three") if n not in present]
                if absent and (len(present) == 1 or bench.random.random() < 0.5):
                    name = bench.random.choice(absent)
                    pipeline.start_sessionizer(name, "--set", f"sessionize.threads={bench.random.choice((1, 2))}")
                    present.append(name)
                else:
                    name = present.pop(bench.random.randrange(len(present)))
                    pipeline.stop(f"sessionize-{name}")
                for _ in range(15):
                    pipeline.tend()
                    time.sleep(0.1)

        under_load(pipeline, fault, 32)


@case
def sigterm_in_time(bench: Bench):
    """SIGTERM under load: it leaves with 0 within its deadline, and nothing is left open."""
    with bench.pipeline() as pipeline:
        pipeline.start_sessionizer("one")

        def fault(until):
            while time.monotonic() < until:
                time.sleep(1.5)
                started = time.monotonic()
                pipeline.stop("sessionize-one", 25)
                print(f"left after {time.monotonic() - started:.1f} s")
                pipeline.start_sessionizer("one")

        under_load(pipeline, fault, 8, 1000)


# --- brokers


def bounce(bench: Bench, how):
    with bench.pipeline() as pipeline:
        for name in ("one", "two"):
            pipeline.start_sessionizer(name)
        pipeline.start_learner("one")

        def fault(_):
            cluster = bench.cluster
            for node in BROKERS:  # so every leader and coordinator is hit
                roles = [f"leader of {p}" for p in range(4) if cluster.leader(pipeline.topic("exploration"), p) == node]
                if cluster.group_coordinator(f"{pipeline.prefix}-sessionize") == node:
                    roles.append("group coordinator")
                if cluster.transaction_coordinator(f"{pipeline.prefix}-sessionize-{pipeline.prefix}-one") == node:
                    roles.append("transaction coordinator")
                print(f"broker {node}: {', '.join(roles) or 'a follower'}")
                how(cluster, node)
                for _ in range(20):
                    pipeline.tend()
                    time.sleep(0.1)
                cluster.start(node)

        under_load(pipeline, fault, 20)
        exact_rows(pipeline, "one")
        nobody_gave_up(pipeline)


@case
def brokers_stopped(bench: Bench):
    """Every broker in turn shuts down cleanly and comes back."""
    bounce(bench, lambda cluster, node: cluster.stop(node))


@case
def brokers_killed(bench: Bench):
    """Every broker in turn is killed and comes back."""
    bounce(bench, lambda cluster, node: cluster.kill(node))


@case
def majority_lost(bench: Bench):
    """Two brokers of three are killed at once: everything waits, and goes on when they are back."""
    with bench.pipeline() as pipeline:
        for name in ("one", "two"):
            pipeline.start_sessionizer(name)
        pipeline.start_learner("one")

        def fault(_):
            for pair in ((1, 2), (2, 3)):
                for node in pair:
                    bench.cluster.kill(node)
                for _ in range(50):
                    pipeline.tend()
                    time.sleep(0.1)
                for node in pair:
                    bench.cluster.start(node, wait=False)
                bench.cluster.wait_whole()
                time.sleep(1)

        under_load(pipeline, fault, 24)
        nobody_gave_up(pipeline)


@case
def log_truncated(bench: Bench):
    """Records leave the log before they were read: the start says so and counts them, sessions are marked."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        pipeline.start_sessionizer("one")
        records.send(records.request("a"))
        wait_until("a commit", 20, lambda: (pipeline.committed() or [0])[0] >= 1)
        pipeline.stop("sessionize-one")
        records.send(*[records.request(f"u{i}") for i in range(20)])
        topic = pipeline.topic("exploration")
        place = confluent_kafka.TopicPartition(topic, 0, 11)
        for future in bench.cluster.admin().delete_records([place]).values():
            future.result(30)
        pipeline.start_sessionizer("one")
        records.close()
        pipeline.wait_sessionized()
        pipeline.stop("sessionize-one")
        counts = counted(pipeline, "sessionize-one")
        check(counts.get("offsets_lost") == 10, f"10 records are gone: {counts}")
        check(pipeline.log_has("sessionize-one", "msg=sessionize.head_lost"), "nothing is said")
        pipeline.found = pipeline.output()
        heads = [p["truncated_head"] for parts in pipeline.found.sessions.values() for p in parts]
        check(len(heads) == 10 and all(heads), f"10 sessions with a truncated head: {heads}")


def make_anew(bench: Bench, pipeline: Pipeline, role: str):
    """Deletes a topic, as only a mistake would, and creates it again."""
    topic, admin = pipeline.topic(role), bench.cluster.admin()
    for future in admin.delete_topics([topic], operation_timeout=30).values():
        future.result(30)
    wait_until("it is gone", 30, lambda: topic not in admin.list_topics(timeout=10).topics)
    bench.cluster.create_topics(pipeline.prefix, pipeline.partitions)


def commits(consumer, places: list) -> bool:
    try:
        consumer.commit(offsets=places, asynchronous=False)
        return True
    except confluent_kafka.KafkaException:
        return False


@case
def input_cut_short(bench: Bench):
    """The exploration topic ends before the commit: the start is refused rather than skip what comes."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        pipeline.start_sessionizer("one")
        records.send(*[records.request(f"u{i}") for i in range(20)])
        pipeline.wait_sessionized()
        pipeline.stop("sessionize-one")
        group = {"bootstrap.servers": bench.cluster.bootstrap, "group.id": f"{pipeline.prefix}-sessionize", "log_level": 0}
        consumer = confluent_kafka.Consumer(group)
        places = consumer.committed([confluent_kafka.TopicPartition(pipeline.topic("exploration"), 0)], timeout=30)
        make_anew(bench, pipeline, "exploration")  # which takes the commit away too
        records.send(*[records.request(f"w{i}") for i in range(5)])
        wait_until("the static member's session ends", 30, lambda: commits(consumer, places), 0.5)
        consumer.close()
        pipeline.start_sessionizer("one")
        process = pipeline.services["sessionize-one"].process
        wait_until("it stops", 30, lambda: process.poll() is not None)
        words = pipeline.last_words("sessionize-one")
        check(process.returncode == 65 and "made anew" in words, f"{process.returncode}: {words}")
        check(pipeline.ends("sessions", "read_committed") == [0], "something was put out")


# --- what producers do


@case
def duplicates(bench: Bench):
    """An event twice is content once, and counted."""
    with bench.pipeline() as pipeline:
        records = bench.records(pipeline)
        events = [records.request(f"u{i}") for i in range(20)]
        records.send(*events, *events[::4], *[records.feedback(e, watch=3.0, positive=1.0) for e in events])
        records.send(*events[1::4])
        counts = run_alone(pipeline, records)
        check(counts["duplicates"] == 10 == pipeline.expected.duplicates, f"10 duplicates: {counts}")


@case
def late_events(bench: Bench):
    """What comes after its session closed is on the late topic with its reason, never dropped."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        first = records.request("a")
        records.send(first)
        records.close()
        old = records.request("a", first["event_time_ms"] + 10)
        records.send(old, records.feedback(first, watch=1.0), records.feedback(old, watch=1.0))
        counts = run_alone(pipeline, records)
        check(counts["late"] == 1 and counts["late_no_request"] == 2, f"one late, two without a request: {counts}")


@case
def future_clock(bench: Bench):
    """A clock a year ahead closes nothing; one nearly five minutes ahead is believed, but moves no watermark."""
    rules = oracle.Rules(gap_ms=1000, grace_ms=200, out_of_orderness_ms=300, max_future_ms=300000)
    with bench.pipeline(partitions=1, rules=rules) as pipeline:
        records = bench.records(pipeline)
        year = records.request("ahead", now_ms() + load.YEAR_MS)
        nearly = records.request("ahead", now_ms() + 299000)
        over = records.request("ahead", now_ms() + 302000)
        records.send(records.request("a"), year, nearly, over, records.request("a"))
        counts = run_alone(pipeline, records)
        check(counts["dead_future_ts"] == 2, f"two from the future: {counts}")
        steps = [len(s["steps"]) for (user, _), several in pipeline.expected.sessions.items() for s in several if user == "a"]
        check(steps == [2], f"the session before and after it is one: {steps}")


@case
def past_clock(bench: Bench):
    """A clock in the past makes late records; a time that is none makes dead letters."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        zero = records.request("c")
        zero["event_time_ms"] = 0
        records.send(records.request("a"), records.request("b", now_ms() - 86400000), zero)
        counts = run_alone(pipeline, records)
        check(counts["late"] == 1 and counts["dead_invalid"] == 1, f"one late, one invalid: {counts}")


@case
def poison(bench: Bench):
    """Bytes that are no event, and events that cannot be right, are dead letters; the rest goes on."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        good = records.request("a")
        whole = records.make.encode(good)
        bad = [(b"a", whole[:cut]) for cut in range(0, len(whole), 7)]
        bad += [(b"a", bench.random.randbytes(size)) for size in (0, 1, 9, 10, 100, 100000)]
        bad += [(None, b"\xc3\x01"), (b"k" * 5000, whole[:20])]
        for _ in range(60):
            records.make.invalid(b"a", records.request("a"))
        records.send(good, *bad, *records.make.out, records.request("a"))
        counts = run_alone(pipeline, records)
        check(counts["dead_decode"] == len(bad) and counts["dead_invalid"] == 60, f"{len(bad)} and 60: {counts}")


@case
def poison_topic_stops(bench: Bench):
    """So many bad records in a row that the topic is broken: it stops rather than drain it."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        records.send(records.request("a"), *[(b"a", b"garbage")] * 100)
        pipeline.start_sessionizer("one", "--set", "errors.max_consecutive=50")
        process = pipeline.services["sessionize-one"].process
        wait_until("it stops", 30, lambda: process.poll() is not None)
        words = pipeline.last_words("sessionize-one")
        check(process.returncode == 65 and "errors.max_consecutive" in words, f"{process.returncode}: {words}")
        # What was bad after the limit is not drained.
        dead = sum(pipeline.ends("dead_letter", "read_committed"))
        check(dead <= 52, f"{dead} dead letters")


@case
def unknown_schema(bench: Bench):
    """A frame that names a schema nobody has is a dead letter with the fingerprint."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        good = records.request("a")
        strange = b"\xc3\x01" + bytes(range(8)) + records.make.encode(good)[10:]
        records.send(good, (b"a", strange), records.request("a"))
        counts = run_alone(pipeline, records)
        check(counts["dead_unknown_schema"] == 1, f"one: {counts}")


@case
def oversize(bench: Bench):
    """Records at the brokers' limit: no session or dead letter too large to write stops the rest; all have a place."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        huge = records.request("big")
        kind, body = huge["body"]
        item = dict(body["items"][0], item_id="x" * 1000)
        huge["body"] = (kind, dict(body, items=[dict(item, features=[0.5] * 62000) for _ in range(4)]))
        records.send(records.request("a"), huge, (b"b", bench.random.randbytes(1000) * 1040), records.request("a"))
        pipeline.start_sessionizer("one")
        records.close()
        pipeline.wait_sessionized()
        pipeline.stop("sessionize-one")
        counts = counted(pipeline, "sessionize-one")
        found = pipeline.output()
        check(counts.get("too_large") == 1 and sum(len(v) for v in found.sessions.values()) == 1, f"one session: {counts}")
        reasons = sorted((reason, cut) for letters in found.dead.values() for reason, _, cut in letters)
        check(reasons == [("decode", True), ("too_large", True)], f"dead letters: {reasons}")


@case
def endless_session(bench: Bench):
    """A user who never stops, and one with more events than a session may have: cut, counted, not kept open."""
    rules = oracle.Rules(**RULES, max_events=100)
    with bench.pipeline(partitions=1, rules=rules) as pipeline:
        records = bench.records(pipeline)
        middle = (now_ms() // 60000) * 60000
        endless = [records.request("bot", middle - 130000 + 500 * i) for i in range(240)]
        records.send(*endless)
        many = [records.request("many") for _ in range(1000)]
        records.send(*many)
        counts = run_alone(pipeline, records)
        check(counts["over_cap"] == pipeline.expected.over_cap >= 900, f"{pipeline.expected.over_cap} over the cap: {counts}")
        check(counts["sessions_cap"] >= 2, f"cut at the cap: {counts}")


@case
def million_events_of_one_user(bench: Bench):
    """A million events of one user in one session: no commit is aborted for ever, memory stays flat."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        one = records.request("bot")
        value = records.make.encode(one)
        first = records.make.encode(dict(one, event_id="bot-0000000"))
        at = first.index(b"bot-0000000")
        pairs = ((b"bot", first[:at] + b"bot-%07d" % i + first[at + 11 :]) for i in range(1000000))
        check(len(value) > 100, "an event")
        pipeline.start_sessionizer("one")
        records.load.send(pairs, 0)
        records.load.finish()
        records.close()
        pipeline.wait_sessionized(240)
        peak = peak_kb(pipeline.services["sessionize-one"].process.pid)
        pipeline.stop("sessionize-one")
        counts = counted(pipeline, "sessionize-one")
        check(counts["over_cap"] == 998000 and counts["sessions_gap"] == 1, f"2000 are kept: {counts}")
        check(peak < 600000, f"{peak} kB")
        print(f"peak memory {peak / 1024:.0f} MiB, {counts}")


def peak_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])


# --- quiet and lagging partitions


@case
def idle_partition(bench: Bench):
    """A partition without new records closes its sessions by the clock, also if its reader is killed."""
    with bench.pipeline(partitions=2, idle_ms=1000) as pipeline:
        records = bench.records(pipeline)
        pipeline.start_sessionizer("one")
        records.send(*[records.request(f"u{i}") for i in range(10)])
        records.send(*[records.request(f"v{i}") for i in range(10)], partition=1)
        for _ in range(4):
            time.sleep(0.7)
            pipeline.kill("sessionize-one")
            pipeline.tend()
        wait_until("twenty sessions", 30, lambda: len(pipeline.output().sessions) == 20, 0.5)
        time.sleep(1)
        pipeline.kill("sessionize-one")  # after the jumps: they are not made twice
        pipeline.tend()
        records.send(*[records.request(f"u{i}") for i in range(10)])
        wait_until("ten more", 30, lambda: len(pipeline.output().sessions) == 30, 0.5)
        pipeline.stop("sessionize-one")
        copies = [len(parts) for parts in pipeline.output().sessions.values()]
        check(copies == [1] * 30, f"each once: {copies}")


@case
def idle_jump_after_kill(bench: Bench):
    """What came behind an idle partition's jump is late, also for who reads it again after a kill."""
    rules = oracle.Rules(max_future_ms=20000, max_duration_ms=86400000)  # no cap falls into it
    with bench.pipeline(partitions=1, rules=rules, idle_ms=1000) as pipeline:
        records = bench.records(pipeline)
        pipeline.start_sessionizer("one")
        for i in range(3):
            # Both are open as their records are read; the jump closes one, and the other makes a restart read
            # all again. There the record that came behind the jump must not join those that came after it.
            user, now = f"user-{i}", now_ms()
            records.send(records.request(user, now - 1500), records.request(f"other-{i}", now + 15000))
            wait_until("the jump", 20, lambda n=i + 1: len(pipeline.output().sessions) >= n, 0.2)
            (watermark,) = pipeline.watermarks()
            behind, after = watermark - 1550, [watermark - 650 + 900 * k for k in range(16)]
            records.send(*[records.request(user, ms) for ms in (behind, *after)])
            wait_until("its commit", 20, lambda: pipeline.committed() == pipeline.ends("exploration"), 0.2)
            check(len(pipeline.output().sessions) == i + 1, "all is open as the sessionizer is killed")
            pipeline.kill("sessionize-one")
            pipeline.tend()
        wait_until("the others", 60, lambda: len(pipeline.output().sessions) >= 9, 0.5)
        time.sleep(2)
        pipeline.stop("sessionize-one")
        found = pipeline.output()
        check(all(len(parts) == 1 for parts in found.sessions.values()), "each session once")
        steps = sorted(len(parts[0]["steps"]) for parts in found.sessions.values())
        check(steps == [1] * 6 + [16] * 3 and len(found.late) == 3, f"sessions of so many steps: {steps}; {len(found.late)} late")


@case
def lagging_not_cut(bench: Bench):
    """A reader that is behind is not idle: sessions stay whole, however long nothing can be read."""
    with bench.pipeline(partitions=1, idle_ms=1000) as pipeline:
        records = bench.records(pipeline)
        start = now_ms() - 120000

        def send(first: int, end: int):
            """Two users, requests 800 ms apart, produced long after."""
            for i in range(first, end):
                records.load.send([(u.encode(), records.make.encode(records.request(u, start + 800 * i))) for u in ("a", "b")], 0)
            records.load.finish()

        send(0, 25)
        # An open transaction on the input: what is behind it is there, and cannot be read.
        producer = confluent_kafka.Producer({"bootstrap.servers": pipeline.cluster.bootstrap, "transactional.id": "input", "log_level": 0})
        producer.init_transactions(30)
        producer.begin_transaction()
        other = records.request("c", start + 800 * 25)
        producer.produce(pipeline.topic("exploration"), records.make.encode(other), b"c", 0)
        producer.flush(30)
        send(25, 50)
        pipeline.start_sessionizer("one")
        service = pipeline.services["sessionize-one"]
        for _ in range(3):  # three times as long as idle is, with restarts
            wait_until("all that can be read", 30, lambda: (pipeline.committed() or [0])[0] >= 50, 0.2)
            time.sleep(3)
            pipeline.kill(service.name)
            pipeline.spawn(service)
        producer.commit_transaction(30)
        records.close()
        settle(pipeline)
        longest = max(len(s["steps"]) for several in pipeline.expected.sessions.values() for s in several)
        check(longest >= 25, f"sessions are long: {longest}")


@case
def partitions_increased(bench: Bench):
    """The topic gets more partitions: members take them up, users that moved have their session split."""
    with bench.pipeline(partitions=2) as pipeline:
        pipeline.start_sessionizer("one", "--set", "kafka.consumer.topic.metadata.refresh.interval.ms=1000")
        pipeline.start_learner("one", "--set", "kafka.consumer.topic.metadata.refresh.interval.ms=1000")
        admin = bench.cluster.admin()

        def fault(_):
            time.sleep(2)
            new = [NewPartitions(pipeline.topic("exploration"), 4)]
            for future in admin.create_partitions(new).values():
                future.result(30)
            pipeline.partitions = 4

        load_process = pipeline.load(4)
        time.sleep(0.5)
        fault(None)
        pipeline.sent(load_process)
        again = pipeline.load(5, seed=2)  # a producer that knows of them
        pipeline.sent(again)
        settle(pipeline)
        taken = sorted({r for r in pipeline.committed() if r > 0})
        check(len(pipeline.committed()) == 4 and all(o > 0 for o in pipeline.committed()), f"all four are read: {taken}")
        check(pipeline.log_has("sessionize-one", "msg=sessionize.new_partition"), "nothing is said of the new partitions")


# --- the learner


def learner_round(pipeline: Pipeline, learners, fault, seen=lambda: True):
    """Load for some rounds while fault() strikes the learners, and more of it until seen(); then rows and policies
    must be exact."""
    pipeline.start_sessionizer("one")
    for name in learners:
        pipeline.start_learner(name)
    # A round counts the sessions served under its parent: the first policy comes before the load.
    wait_until("the first policy", 60, lambda: tended(pipeline) and policies.read(pipeline, "policy_history"), 0.2)
    load_process = pipeline.load(16, 1, 400)
    time.sleep(2)
    fault()
    pipeline.sent(load_process)
    for seed in (2, 3, 4):  # where rounds are slow, most of the load is served by their parent
        if comes_true(20, lambda: tended(pipeline) and seen()):
            break
        pipeline.sent(pipeline.load(8, seed, 400))
    settle(pipeline)
    records = sum(len(parts) for parts in pipeline.found.sessions.values())
    result = oracle.Result()
    for name in learners:
        pipeline.wait_learned(name, records)
    wait_until("a policy of a round", 60, lambda: tended(pipeline) and len(policies.read(pipeline, "policy_history")) > 1, 0.5)
    pipeline.stop_all("learn")
    for name in learners:
        pipeline.compare_rows(name, result)
    print(policies.check(pipeline, result))
    exact(result, pipeline)


def comes_true(limit_s: float, reached) -> bool:
    deadline = time.monotonic() + limit_s
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.5)
    return reached()


def tended(pipeline: Pipeline) -> bool:
    pipeline.tend()
    return True


def learner_dies_at(bench: Bench, points):
    with bench.pipeline(round_sessions=ROUND) as pipeline:

        def fault():
            service = pipeline.services["learn-one"]
            for point in points:
                pipeline.kill(service.name)
                pipeline.spawn(service, point)
                wait_until(f"killed at {point}", 60, lambda: service.process.poll() is not None)
                check(service.process.returncode == -signal.SIGKILL, f"{point}: {pipeline.last_words(service.name)}")
                pipeline.spawn(service)
                time.sleep(0.5)

        learner_round(pipeline, ["one"], fault)


@case
def learner_killed_storing(bench: Bench):
    """Killed before and after its rows are written: none is lost, none stored twice."""
    learner_dies_at(bench, ["learn.commit", "learn.committed"] * 2)


@case
def learner_killed_in_round(bench: Bench):
    """Killed after training and before publishing: the round is finished with the same bytes."""
    learner_dies_at(bench, ["learn.trained", "learn.gated", "learn.publish"])


@case
def learner_killed_after_publish(bench: Bench):
    """Killed after publishing, before its store says so: not published again."""
    learner_dies_at(bench, ["learn.published", "learn.ended"])


@case
def two_learners(bench: Bench):
    """Two learners: one leads, the other waits; a killed or stopped leader is followed, a zombie is fenced."""
    with bench.pipeline(round_sessions=ROUND) as pipeline:

        def fault():
            pipeline.kill("learn-one")
            time.sleep(1)
            pipeline.tend()
            time.sleep(2)
            for name in ("learn-one", "learn-two"):
                pipeline.pause(name)
                time.sleep(1.4 * SESSION_TIMEOUT_MS / 1000)
                pipeline.resume(name)
                time.sleep(1)

        learner_round(pipeline, ["one", "two"], fault)
        for name in ("learn-one", "learn-two"):
            check_leads(pipeline, name)


def check_leads(pipeline: Pipeline, name: str):
    """A learner begins rounds only while it leads."""
    leads = False
    for line in (pipeline.folder / f"{name}.log").read_text().splitlines():
        if "msg=learn.start" in line:
            leads = False
        elif "msg=leader " in line:
            # One that rejoins because another came leads until it is told otherwise.
            leads = "state=leading" in line or (leads and "state=rejoining was=leading" in line)
        elif "msg=round.begin" in line:
            check(leads, f"{name} began a round and did not lead: {line}")


@case
def store_lost(bench: Bench):
    """The store's disk is gone: it is built again from the sessions topic, and versions go on."""
    with bench.pipeline(round_sessions=ROUND) as pipeline:

        def fault():
            wait_until("a round", 60, lambda: len(policies.read(pipeline, "policy_history")) > 1, 0.5)
            pipeline.kill("learn-one")
            shutil.rmtree(pipeline.folder / "store-one")
            pipeline.tend()

        def seen():
            return pipeline.log_has("learn-one", "actor=record")

        learner_round(pipeline, ["one"], fault, seen)
        check(seen(), "the next round starts from the actor that was published")


def fill(path: Path):
    """Writes until the disk is full."""
    with open(path, "wb", buffering=0) as out:
        try:
            while out.write(b"x" * 65536):
                pass
        except OSError:
            pass


@case
def disk_full(bench: Bench):
    """The store's disk fills: the learner stops with 74 and says so, and goes on when there is room."""
    disk = Path(tempfile.mkdtemp(prefix="mtf-disk-"))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk], stderr=subprocess.PIPE, check=False)
    if mounted.returncode != 0:
        disk.rmdir()
        raise Skipped(f"cannot mount: {mounted.stderr.decode()}")
    try:
        with bench.pipeline() as pipeline:
            pipeline.start_sessionizer("one")
            load_process = pipeline.load(12, 1, 300)
            pipeline.start_learner("one", "--set", f"store.path={disk}/store")
            (pipeline.folder / "store-one").symlink_to(disk / "store")
            pipeline.wait_learned("one", 100)
            ballast = disk / "ballast"
            fill(ballast)
            process = pipeline.services["learn-one"].process
            wait_until("it stops", 60, lambda: process.poll() is not None)
            words = pipeline.last_words("learn-one")
            check(process.returncode == 74 and "space" in words, f"{process.returncode}: {words}")
            ballast.unlink()
            pipeline.start_learner("one", "--set", f"store.path={disk}/store")
            pipeline.sent(load_process)
            settle(pipeline)
            exact_rows(pipeline, "one")
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
        disk.rmdir()


@case
def other_topic(bench: Bench):
    """The sessions topic was made anew: the learner stops with the remedy rather than mix the two."""
    with bench.pipeline(partitions=1) as pipeline:
        records = bench.records(pipeline)
        pipeline.start_sessionizer("one")
        pipeline.start_learner("one")
        records.send(*[records.request(f"u{i}") for i in range(20)])
        records.close()
        pipeline.wait_sessionized()
        pipeline.wait_learned("one", 20)
        pipeline.stop_all("learn")
        pipeline.stop_all("sessionize")
        make_anew(bench, pipeline, "sessions")
        pipeline.start_sessionizer("one")
        records.send(*[records.request(f"w{i}") for i in range(40)])
        records.close()
        pipeline.wait_sessionized()
        pipeline.start_learner("one")
        process = pipeline.services["learn-one"].process
        wait_until("it stops", 30, lambda: process.poll() is not None)
        words = pipeline.last_words("learn-one")
        check(process.returncode == 65 and "--accept-loss" in words, f"{process.returncode}: {words}")


def run(mtf: str, cluster: Cluster, name: str) -> int:
    folder = Path(tempfile.mkdtemp(prefix=f"mtf-{name}-"))
    started = time.monotonic()
    try:
        CASES[name](Bench(mtf, cluster, folder, name))
    except Skipped as error:
        print(f"{name}: skipped: {error}")
        shutil.rmtree(folder)
        return 77
    except (Failed, Broken, oracle.records.Broken) as error:
        print(f"{name}: FAILED: {error}")
    except Exception:  # a bug of the test's, or what no test foresaw: the cluster must be whole again
        traceback.print_exc()
    else:
        print(f"{name}: as promised, {time.monotonic() - started:.0f} s")
        shutil.rmtree(folder)
        return 0
    print(f"{name}: the logs are in {folder}")
    for log in sorted(folder.glob("*/*.log")):
        print(f"--- the end of {log}\n{log.read_text(errors='replace')[-1500:]}")
    for node in BROKERS:  # for the next case
        if not cluster.pid(node):
            cluster.start(node, wait=False)
        else:
            cluster.resume(node)
    return 1


def main() -> int:
    if sys.argv[1:] == ["--list"]:
        print("\n".join(CASES))
        return 0
    if len(sys.argv) != 4 or sys.argv[3] not in CASES:
        print(__doc__, file=sys.stderr)
        return 64
    os.environ.pop("MTF_FAULT_POINT", None)
    return run(str(Path(sys.argv[1]).resolve()), Cluster(Path(sys.argv[2])), sys.argv[3])


if __name__ == "__main__":
    sys.exit(main())
