#!/usr/bin/env python3
"""Goal: what was set aside is told, put back once, and accounted for; and an audit finds whatever is lost,
doubled or altered, by name. Method: a real broker, events good, late, of the future, of an unknown schema
and garbage; `mtf dlq`, `mtf late` and `mtf audit` as a person on call would run them, killed in the midst
of replays; idle jumps; a schema that comes late; then copies of the output topics with one record taken away,
doubled or changed.

    aside.py MTF RUN     (a folder of broker.sh with a broker up; the topics aside.*, idle.* and later.* are new)

The processes' outputs are in RUN/aside.
"""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import confluent_kafka
import confluent_kafka.admin
import fastavro

import records
import topics
from processes import Failed, Processes, main, wait_until

PARTITIONS = 4
USERS = 30
MINUTE = 60000
BASE_MS = 1750000000000  # in the past, and always the same: where caps cut depends on it

SETTINGS = """\
kafka:
  bootstrap_servers: {bootstrap}
  producer.linger.ms: 5
topics:
  exploration: {prefix}exploration
  sessions: {prefix}sessions
  late: {prefix}late
  dead_letter: {prefix}dead-letter
schema:
  directory: {folder}/{prefix}schemas
policy:
  state_dim: 2
  actions: valid.pow=0..2
sessionize:
  group: {prefix}sessionize
  instance: one
  gap_ms: {gap_ms}
  grace_ms: 1000
  out_of_orderness_ms: 1000
  max_duration_ms: 604800000
  idle_timeout_ms: {idle_ms}
  commit_interval_ms: 50
"""


def expect(what: str, wanted, got):
    if wanted != got:
        raise Failed(f"{what}: expected {wanted}, got {got}")


class Encoder:
    """Events in single-object encoding: by the repository's schema, or by one that nobody knows yet."""

    def __init__(self, newer: bool = False):
        path = records.SCHEMAS / "exploration-event.avsc"
        self.text = path.read_text()
        if newer:  # one more field: another fingerprint
            schema = json.loads(self.text)
            schema["fields"].insert(3, {"name": "datacentre", "type": "string", "default": ""})
            self.text = json.dumps(schema)
        self.schema = fastavro.schema.parse_schema(json.loads(self.text), named_schemas={})
        canonical = fastavro.schema.to_parsing_canonical_form(json.loads(self.text))
        self.frame = b"\xc3\x01" + struct.pack("<Q", records.crc64_avro(canonical.encode()))

    def __call__(self, user: str, event_id: str, time_ms: int, body: tuple) -> bytes:
        event = {"event_id": event_id, "user_id": user, "event_time_ms": time_ms, "session_id": None, "body": body}
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self.schema, event | {"datacentre": "eu"})
        return self.frame + out.getvalue()


def request(signals: dict = {}) -> tuple:
    item = {
        "item_id": "item",
        "predictions": [0.5],
        "features": [],
        "signals": [{"name": name, "value": value} for name, value in signals.items()],
    }
    return (
        "mtf.Request",
        {
            "policy_version": 1,
            "bucket": "explore",
            "state": [0.0, 1.0],
            "action": [0.1],
            "baseline_action": [0.0],
            "lower": [],
            "upper": [],
            "sample_weight": 1.0,
            "items": [item],
        },
    )


def feedback(request_id: str, request_ms: int) -> tuple:
    signals = [{"name": "watch", "value": 3.0}]
    return (
        "mtf.Feedback",
        {"request_id": request_id, "request_time_ms": request_ms, "item_id": "item", "signals": signals},
    )


class Stand:
    """The topics, a producer, and mtf's commands with their settings."""

    def __init__(self, processes: Processes, bootstrap: str, prefix: str, gap_ms: int, idle_ms: int):
        self.processes, self.bootstrap, self.prefix = processes, bootstrap, prefix
        self.folder = processes.folder
        self.schemas = records.Schemas()
        self.encode = Encoder()
        self.config = self.folder / f"{prefix}yaml"
        values = {"prefix": prefix, "gap_ms": gap_ms, "idle_ms": idle_ms, "folder": self.folder}
        self.config.write_text(SETTINGS.format(bootstrap=bootstrap, **values))
        self.catalogue = self.folder / f"{prefix}schemas"
        self.catalogue.mkdir()
        topics.create(processes.mtf, bootstrap, PARTITIONS, 1, prefix)
        options = {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 4}
        self.producer = confluent_kafka.Producer(options | {"enable.idempotence": True})
        self.asker = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "asker"})

    # --- the log

    def put(self, user: str, value: bytes):
        self.producer.produce(f"{self.prefix}exploration", key=user.encode(), value=value)

    def flush(self):
        if self.producer.flush(60) != 0:
            raise Failed("events were not taken by the broker")

    def send(self, user: str, event_id: str, minute: float, body: tuple) -> int:
        time_ms = BASE_MS + int(minute * MINUTE)
        self.put(user, self.encode(user, event_id, time_ms, body))
        return time_ms

    def close_all_before(self, minute: float):
        """A request of every partition at that minute: the watermark follows it."""
        self.flush()
        users, count = {}, 0
        while len(users) < PARTITIONS:
            count += 1
            user = f"closer-{minute}-{count}"
            users.setdefault(self.partition_of(user), user)
        for user in users.values():
            self.send(user, f"{user}-1", minute, request())
        self.flush()

    def partition_of(self, user: str) -> int:
        """As murmur2 of Kafka's clients puts a key."""
        data, m, h = user.encode(), 0x5BD1E995, 0x9747B28C ^ len(user)
        full = len(data) // 4 * 4
        for (k,) in struct.iter_unpack("<I", data[:full]):
            k = k * m & 0xFFFFFFFF
            k = (k ^ k >> 24) * m & 0xFFFFFFFF
            h = (h * m & 0xFFFFFFFF) ^ k
        if data[full:]:
            h = (h ^ int.from_bytes(data[full:], "little")) * m & 0xFFFFFFFF
        h = (h ^ h >> 13) * m & 0xFFFFFFFF
        return ((h ^ h >> 15) & 0x7FFFFFFF) % PARTITIONS

    # --- the sessionizer

    def start(self):
        self.processes.start("sessionize", "sessionize", "-c", self.config)

    # --- what came of it

    def read(self, name: str, decided: bool = True) -> list:
        return list(records.read_topic(self.bootstrap, f"{self.prefix}{name}", decided=decided))

    def is_open(self, name: str) -> bool:
        """Whether a transaction is open on the topic: readers of what is committed see less of it."""
        ends = []
        for isolation in ("read_committed", "read_uncommitted"):
            options = {"bootstrap.servers": self.bootstrap, "group.id": "asker", "isolation.level": isolation}
            asker = confluent_kafka.Consumer(options)
            places = [confluent_kafka.TopicPartition(f"{self.prefix}{name}", p) for p in range(PARTITIONS)]
            ends.append([asker.get_watermark_offsets(place, timeout=60)[1] for place in places])
            asker.close()
        return ends[0] != ends[1]

    def sessions(self) -> list:
        return [(self.schemas.decode(m.value)[1], m.headers) for m in self.read("sessions")]

    def wait_until_all_is_read(self):
        """Committed, that is; of a log without transactions."""
        partitions = [confluent_kafka.TopicPartition(f"{self.prefix}exploration", p) for p in range(PARTITIONS)]
        group = f"{self.prefix}sessionize"
        asker = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        wanted = len(self.read("exploration"))
        done = lambda: sum(max(0, p.offset) for p in asker.committed(partitions, 10)) == wanted
        wait_until("all is read and committed", 60, done)
        asker.close()

    def mtf(self, *arguments, code: int = 0, fault: str = None):
        """A command to its end; its standard output, as JSON where it is."""
        environment = dict(os.environ)
        if fault:
            environment["MTF_FAULT_POINT"] = fault
        command = [self.processes.mtf, *map(str, arguments), "-c", self.config]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100, check=False)
        with open(self.folder / "commands.log", "a") as log:
            log.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}[{done.returncode}]\n")
        if done.returncode != code:
            raise Failed(f"mtf {' '.join(map(str, arguments))}: code {done.returncode}, not {code}:\n{done.stderr}")
        if "--json" in arguments and code >= 0:
            return json.loads(done.stdout.splitlines()[-1])
        return done.stdout

    def audit(self, *arguments, code: int = 0) -> dict:
        found = self.mtf("audit", "--json", *arguments, code=code)
        expect("what went in and came out nowhere", 0, found["imbalance"])
        return found

    def copy(self, name: str, change) -> str:
        """A topic like aside.`name` of the records that `change` gives for each: a list of values."""
        number = sum(1 for t in self.asker.list_topics(timeout=30).topics if t.startswith("aside.copy"))
        copy = f"aside.copy-{number}"
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.create_topics([confluent_kafka.admin.NewTopic(copy, PARTITIONS, 1)]).values():
            future.result(60)
        for message in self.read(name):
            for value in change(message):
                headers = list(message.headers.items())
                self.producer.produce(copy, key=message.key, value=value, partition=message.partition, headers=headers)
        self.flush()
        return copy


def send_everything(stand: Stand):
    """USERS sessions of three requests and a feedback each; then what must be set aside."""
    for u in range(USERS):
        user = f"user-{u}"
        first = stand.send(user, f"{user}-1", 1 + u * 0.01, request())
        stand.send(user, f"{user}-2", 1.2 + u * 0.01, request({"valid": 1.0}))
        stand.send(user, f"{user}-2", 1.2 + u * 0.01, request({"valid": 1.0}))  # a retry
        stand.send(user, f"{user}-f", 1.3 + u * 0.01, feedback(f"{user}-1", first))
        stand.send(user, f"{user}-3", 1.4 + u * 0.01, request())
    stand.close_all_before(60)
    # Late: a session of two requests and a feedback, a lone request, and feedback on what is closed.
    late = stand.send("user-1", "late-1", 5, request())
    stand.send("user-1", "late-2", 5.2, request())
    stand.send("user-1", "late-f", 5.3, feedback("late-1", late))
    stand.send("user-2", "late-3", 7, request())
    stand.send("user-3", "late-g", 1.5, feedback("user-3-1", BASE_MS))
    for i in range(5):
        stand.put(f"user-{i}", b"garbage %d" % i)
    for i in range(2):
        stand.put(f"user-{i}", stand.encode(f"user-{i}", f"future-{i}", int(time.time() * 1000) + 60 * MINUTE, request()))
    newer = Encoder(newer=True)
    for i in range(4):
        stand.put("newcomer", newer("newcomer", f"new-{i}", BASE_MS + int((65 + 0.1 * i) * MINUTE), request()))
    stand.close_all_before(64)


def check_lists(stand: Stand):
    dead = stand.mtf("dlq", "list", "--json")["summary"]
    expect("dead letters", {"decode": 5, "unknown_schema": 4, "future_ts": 2}, dead["reasons"])
    late = stand.mtf("late", "list", "--json")["summary"]
    expect("late records", {"late": 3, "no_request": 2}, late["reasons"])
    times = [message.timestamp_ms for message in stand.read("dead-letter")]
    some = stand.mtf("dlq", "list", "--json", "--from", min(times), "--to", max(times) + 1)["summary"]
    expect("dead letters of that time", 11, some["records"])
    none = stand.mtf("dlq", "list", "--json", "--from", max(times) + 1)["summary"]
    expect("dead letters after it", 0, none["records"])
    one = stand.mtf("dlq", "list", "--json", "--reason", "future_ts", "--limit", 1)["summary"]
    expect("of one reason", (2, 1), (one["records"], one["listed"]))


def check_dead_letters_go_back(stand: Stand):
    """Nothing goes back that would be refused again; once a schema is there, its events do, once."""
    before = len(stand.read("exploration"))
    refused = stand.mtf("dlq", "replay", "--execute", "--json")
    wanted = {"replayed": 0, "still_bad": 9, "still_future": 2}
    expect("a replay that mends nothing", wanted, {name: refused[name] for name in wanted})
    (stand.catalogue / "newer.avsc").write_text(Encoder(newer=True).text)
    expect("a dry run", 4, stand.mtf("dlq", "replay", "--json")["would_replay"])
    stand.mtf("dlq", "replay", "--execute", code=-signal.SIGKILL, fault="replay.commit")
    expect("records on the log after a replay that died", before, len(stand.read("exploration", decided=False)))
    # What it left open is its own topic's: the replay of another pipeline lets it be, the next of this one ends it.
    others = stand.copy("dead-letter", lambda message: [])
    stand.mtf("dlq", "replay", "--execute", "--set", f"topics.dead_letter={others}")
    expect("a transaction is open beside another pipeline's replay", True, stand.is_open("exploration"))
    replayed = stand.mtf("dlq", "replay", "--execute", "--json", "--reason", "unknown_schema")
    # The brokers answer a commit before its markers are on the log.
    wait_until("no transaction is open after the next replay", 60, lambda: not stand.is_open("exploration"))
    expect("replayed", (4, {"unknown_schema": 4}), (replayed["replayed"], replayed["reasons"]))
    again = stand.mtf("dlq", "replay", "--execute", "--json")
    expect("replayed again", (0, 4), (again["replayed"], again["replayed_before"]))
    back = [m for m in stand.read("exploration") if m.headers]
    origins = {m.headers["__mtf.errors.offset"] for m in stand.read("dead-letter") if b"unknown" in reason_of(m)}
    expect("where they were", origins, {m.headers["__mtf.replayed"].split(b"/")[1] for m in back})
    expect("headers of ours on the log", {"__mtf.replayed"}, {name for m in back for name in m.headers})
    # Their session comes out whole.
    stand.start()
    stand.close_all_before(120)
    wait_until("the newcomer's session", 60, lambda: session_of(stand, "newcomer"))
    steps = [step["event_id"] for step in session_of(stand, "newcomer")[0]["steps"]]
    expect("the newcomer's steps", ["new-0", "new-1", "new-2", "new-3"], steps)


def reason_of(message) -> bytes:
    return message.headers.get("__mtf.errors.reason", b"")


def session_of(stand: Stand, user: str) -> list:
    return [session for session, _ in stand.sessions() if session["user_id"] == user]


def check_late_events_become_sessions(stand: Stand):
    def replayed():
        return [session for session, headers in stand.sessions() if "__mtf.replayed" in headers]

    dry = stand.mtf("late", "replay", "--json")
    wanted = {"would_replay": 4, "sessions": 2, "session_events": 4, "no_request": 1}
    expect("a dry run", wanted, {name: dry[name] for name in wanted})
    stand.mtf("late", "replay", "--execute", code=-signal.SIGKILL, fault="replay.commit")
    expect("sessions of a replay that died", [], replayed())
    stand.mtf("late", "replay", "--execute", code=-signal.SIGKILL, fault="replay.committed")
    for _ in range(2):
        again = stand.mtf("late", "replay", "--execute", "--json")
        expect("replayed again", (0, 4, 1), (again["replayed"], again["replayed_before"], again["no_request"]))
    steps = sorted([step["event_id"] for step in session["steps"]] for session in replayed())
    expect("steps of late sessions", [["late-1", "late-2"], ["late-3"]], steps)
    if not all(session["truncated_head"] and session["truncated_tail"] for session in replayed()):
        raise Failed("a late session does not say that it is cut")
    first = next(s for s in replayed() if s["user_id"] == "user-1")["steps"][0]
    signals = first["request"]["items"][0]["signals"]
    expect("the late feedback", [{"name": "watch", "value": 3.0}], signals)


def check_clean_audit(stand: Stand):
    whole = stand.audit()
    expect("sessions that differ", 0, whole["difference_count"])
    wanted = USERS + PARTITIONS + PARTITIONS + 1  # closers at 60 and 64; those at 120 are open
    expect("sessions", (wanted, wanted), (whole["sessions"]["expected"], whole["sessions"]["found"]))
    expect("late", (5, 5), (whole["late"]["expected"], whole["late"]["found"]))
    expect("dead letters", (11, 11), (whole["dead_letters"]["expected"], whole["dead_letters"]["found"]))
    expect("duplicates", USERS, sum(p["duplicates"] for p in whole["partitions"]))
    expect("replayed sessions", 2, whole["replays"])
    expect("that decode today", 4, sum(p["decodes_now"] for p in whole["partitions"]))
    events = len(stand.read("exploration"))
    expect("records", events, sum(p["records"] for p in whole["partitions"]))
    if "all accounted for" not in stand.mtf("audit"):
        raise Failed("the table does not say so")
    # Two windows are the whole: what is open at the end of the first is brought forward.
    middle = stand.read("exploration")[0].timestamp_ms + 1000
    parts = [stand.audit("--to", middle), stand.audit("--from", middle)]
    expect("differences in parts", [0, 0], [part["difference_count"] for part in parts])
    expect("records in parts", events, sum(p["records"] for part in parts for p in part["partitions"]))
    expect("sessions in parts", wanted, sum(part["sessions"]["expected"] for part in parts))
    before = stand.audit("--to", 1000)
    expect("before anything", (0, 0), (before["difference_count"], before["sessions"]["expected"]))
    for p in range(PARTITIONS):
        forward = (parts[0]["partitions"][p]["open_after"], parts[1]["partitions"][p]["open_before"])
        expect(f"open in partition {p}, brought forward", forward[0], forward[1])


def check_tampering_is_named(stand: Stand):
    """One record is missing, twice, altered or nobody's: the audit says which, and leaves with 1."""

    def named(setting: str, topic: str, change) -> list:
        found = stand.audit("--set", f"topics.{setting}={stand.copy(topic, change)}", code=1)
        return [(d["kind"], d["problem"], d.get("session_id", d.get("offset"))) for d in found["differences"]]

    def replace(victim, *values):
        return lambda message: list(values) if message == victim else [message.value]

    victim = next(m for m in stand.read("sessions") if not m.headers and m.key == b"user-7")
    value = victim.value
    name = stand.schemas.decode(value)[1]["session_id"].hex()
    altered = value.replace(struct.pack("<d", 3.0), struct.pack("<d", 4.0), 1)
    bogus = value.replace(bytes.fromhex(name), bytes(16), 1)
    for what, problem, found, values in (
        ("a session taken away", "missing", name, []),
        ("a session twice", "doubled", name, [value, value]),
        ("a signal altered", "different", name, [altered]),
        ("a session of nobody", "unexpected", "0" * 32, [value, bogus]),
    ):
        expect(what, [("sessions", problem, found)], named("sessions", "sessions", replace(victim, *values)))
    expect("no session at all", [], named("sessions", "sessions", replace(victim, value, b"rubbish")))

    for topic, setting, kind in (("late", "late", "late"), ("dead-letter", "dead_letter", "dead_letters")):
        # Not one that decodes today: in the log it is whole, and in its session by its replay.
        victim = next(m for m in stand.read(topic) if reason_of(m) not in (b"", b"unknown_schema"))
        offset = int(victim.headers["__mtf.errors.offset"])
        expect(f"{topic}: one taken away", [(kind, "missing", offset)], named(setting, topic, replace(victim)))
        twice = replace(victim, victim.value, victim.value)
        expect(f"{topic}: one twice", [(kind, "doubled", offset)], named(setting, topic, twice))


def check_a_schema_counts_from_then_on(stand: Stand):
    """A dead letter of an unknown schema, and its session still open when the schema comes: over restarts it
    stays a dead letter, until it is put back; then it counts once."""
    newer = Encoder(newer=True)
    stand.send("user", "known", 1, request())
    stand.put("user", newer("user", "unknown", BASE_MS + MINUTE + 1000, request()))
    stand.flush()
    stand.start()
    wait_until("the dead letter", 60, lambda: len(stand.read("dead-letter")) == 1)
    stand.wait_until_all_is_read()
    stand.processes.stop("sessionize")
    (stand.catalogue / "newer.avsc").write_text(newer.text)
    stand.start()
    stand.put("user", newer("user", "newer", BASE_MS + MINUTE + 2000, request()))
    stand.flush()
    stand.wait_until_all_is_read()
    stand.processes.stop("sessionize")
    # What is open now was read by that schema.
    (stand.catalogue / "newer.avsc").rename(stand.catalogue / "newer")
    stand.mtf("sessionize", code=64)
    (stand.catalogue / "newer").rename(stand.catalogue / "newer.avsc")
    stand.start()
    stand.close_all_before(60)
    wait_until("the session", 60, lambda: session_of(stand, "user"))
    steps = [step["event_id"] for step in session_of(stand, "user")[0]["steps"]]
    expect("steps of the open session", ["known", "newer"], steps)
    expect("replayed", 1, stand.mtf("dlq", "replay", "--execute", "--json")["replayed"])
    wait_until("it is late by now", 60, lambda: len(stand.read("late")) == 1)
    stand.processes.stop("sessionize")
    expect("late, replayed", 1, stand.mtf("late", "replay", "--execute", "--json")["replayed"])
    every = [step["event_id"] for session in session_of(stand, "user") for step in session["steps"]]
    expect("all steps", ["known", "newer", "unknown"], sorted(every))
    expect("differences", 0, stand.audit()["difference_count"])


def check_idle_jumps_are_explained(stand: Stand):
    """A quiet partition closes by the clock what the log alone would keep open: what comes then is late, or
    a session of its own."""
    start_ms = int(time.time() * 1000)

    def send(user: str, event_id: str, after_ms: int, body: tuple):
        stand.put(user, stand.encode(user, event_id, start_ms + after_ms, body))

    users = ("anna", "bert", "carl")
    for user in users:
        send(user, f"{user}-1", 0, request())
    stand.flush()
    stand.start()
    wait_until("the clock closes the sessions", 60, lambda: len(stand.sessions()) == len(users))
    send("anna", "anna-2", 500, request())  # would have joined: now another session
    send("bert", "bert-f", 100, feedback("bert-1", start_ms))  # would have found its request: now late
    send("carl", "carl-0", -900, request())  # would have been the first of its session: now late
    stand.flush()
    wait_until("two are late", 60, lambda: len(stand.read("late")) == 2)
    time.sleep(4)  # past gap, grace and out-of-orderness
    now_ms = int(time.time() * 1000) - start_ms
    for p in range(PARTITIONS):
        user = next(f"closer-{i}" for i in range(1000) if stand.partition_of(f"closer-{i}") == p)
        send(user, f"{user}-1", now_ms, request())
    stand.flush()
    wait_until("the closers are read", 60, lambda: len(stand.sessions()) == len(users) + 1 + PARTITIONS)
    stand.processes.stop("sessionize")
    found = stand.audit()
    expect("differences", 0, found["difference_count"])
    expect("explained", (5, 2), (found["sessions"]["explained"], found["late"]["explained"]))
    without = stand.audit("--set", "sessionize.idle_timeout_ms=0", code=1)
    expect("differences where there are no jumps", 7, without["difference_count"])


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    folder = run_folder / "aside"
    folder.mkdir()
    with Processes(mtf, folder) as processes:
        idle = Stand(processes, bootstrap, "idle.", gap_ms=1000, idle_ms=500)
        check_idle_jumps_are_explained(idle)
        idle.asker.close()
        later = Stand(processes, bootstrap, "later.", gap_ms=MINUTE, idle_ms=0)
        check_a_schema_counts_from_then_on(later)
        later.asker.close()
        stand = Stand(processes, bootstrap, "aside.", gap_ms=MINUTE, idle_ms=0)
        stand.start()
        send_everything(stand)
        wait_until("all is set aside", 60, lambda: len(stand.read("dead-letter")) == 11 and len(stand.read("late")) == 5)
        processes.stop("sessionize")
        check_lists(stand)
        expect("differences before any replay", 0, stand.audit()["difference_count"])
        check_dead_letters_go_back(stand)
        check_late_events_become_sessions(stand)
        processes.stop("sessionize")
        check_clean_audit(stand)
        check_tampering_is_named(stand)
        stand.asker.close()
    counts = Counter(m.headers.get("__mtf.errors.reason", b"-").decode() for m in stand.read("dead-letter"))
    print(f"aside: {len(stand.read('exploration'))} events, dead letters {dict(counts)}, all as it should be")


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
