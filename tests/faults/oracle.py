"""What the pipeline has to put out, computed from the produced log alone: another sessionizer.

It is written from the contracts (schemas/README.md) and the rules of sessions, not from the C: where that is
a state machine over a stream, this sorts and groups. The whole partition is read first; the watermark at
every offset is then a running maximum, and each (user, cap bucket) is cut for itself. Idle jumps depend on
the wall clock and are not modelled: compared runs have sessionize.idle_timeout_ms 0.

    expected = expect(bootstrap, topic, rules)      # the log as an independent client reads it
    found = read_output(bootstrap, prefix)          # read_committed
    result = compare(expected, found)               # lost, doubled, different
"""

import ctypes
import ctypes.util
import io
import json
import math
import struct
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka
import confluent_kafka.admin
import fastavro

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kafka"))
import records  # noqa: E402

# --- hashes: xxHash's own library


class _Hash128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


_xxhash = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_xxhash.XXH3_128bits.restype = _Hash128
_xxhash.XXH3_128bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def hash64(data: bytes) -> int:
    return _xxhash.XXH3_64bits(data, len(data))


def session_id(user: str, event_id: str) -> bytes:
    """XXH3-128, canonical, of both texts with their lengths before them."""
    data = b"".join(struct.pack("<I", len(part)) + part for part in (user.encode(), event_id.encode()))
    value = _xxhash.XXH3_128bits(data, len(data))
    return struct.pack(">QQ", value.high, value.low)


# --- what a record is


@dataclass
class Rules:
    """The settings that the outcome depends on, by their names under `sessionize` and elsewhere."""

    gap_ms: int = 1000
    grace_ms: int = 500
    out_of_orderness_ms: int = 500
    max_future_ms: int = 5000
    max_duration_ms: int = 60000
    max_events: int = 2000
    state_dim: int = 4
    actions: int = 2
    aggregators: dict = field(
        default_factory=lambda: {"watch": "max", "valid": "max", "finish": "max", "positive": "sum", "negative": "sum"}
    )


ACTION_MAX = struct.unpack("<f", struct.pack("<f", 1 + 1e-6))[0]
KINDS = {"mtf.Request": "request", "mtf.Feedback": "feedback", "mtf.SessionEnd": "end"}


class Decoder:
    def __init__(self):
        self.schemas = records.Schemas().by_fingerprint
        self.frames = {struct.pack("<Q", f): s for f, s in self.schemas.items()}
        self.event = next(s for s in self.schemas.values() if s["name"] == "mtf.ExplorationEvent")

    def __call__(self, value):
        """(event, None) or (None, reason) for bytes that are none."""
        if value is None or len(value) < 10 or value[:2] != b"\xc3\x01":
            return None, "decode"
        schema = self.frames.get(value[2:10])
        if schema is None:
            return None, "unknown_schema"
        if schema is not self.event:
            return None, "schema"
        body = io.BytesIO(value[10:])
        try:
            event = fastavro.schemaless_reader(body, schema, return_record_name=True)
        except Exception:  # fastavro raises many kinds on bad bytes
            return None, "decode"
        return (None, "decode") if body.read(1) else (event, None)


def finite(values) -> bool:
    return all(map(math.isfinite, values))


def in_range(values) -> bool:
    return all(abs(v) <= ACTION_MAX for v in values)  # false for NaN


def good_signals(signals) -> bool:
    return all(s["name"] and math.isfinite(s["value"]) for s in signals)


def good_request(body: dict, rules: Rules) -> bool:
    lower, upper, count = body["lower"], body["upper"], rules.actions
    return (
        len(body["state"]) == rules.state_dim
        and len(body["action"]) == count
        and len(body["baseline_action"]) == count
        and finite(body["state"])
        and in_range(body["action"])
        and in_range(body["baseline_action"])
        and body["sample_weight"] > 0
        and math.isfinite(body["sample_weight"])
        and len(lower) == len(upper)
        and len(lower) in (0, count)
        and finite(lower)
        and finite(upper)
        and all(low <= high for low, high in zip(lower, upper))
        and in_box(body)
        and all(
            i["item_id"] and finite(i["predictions"]) and finite(i["features"]) and good_signals(i["signals"])
            for i in body["items"]
        )
    )


def in_box(body: dict) -> bool:
    """An explored action was drawn from its box."""
    drawn = zip(body["action"], body["baseline_action"], body["lower"], body["upper"])
    return body["bucket"] != "explore" or all(low - 1e-5 <= a - base <= high + 1e-5 for a, base, low, high in drawn)


def is_valid(event: dict, rules: Rules) -> bool:
    """schemas/README.md: a record that decodes but cannot be used."""
    if not event["event_id"] or not event["user_id"] or event["event_time_ms"] <= 0:
        return False
    kind, body = event["body"]
    if kind == "mtf.Request":
        return good_request(body, rules)
    if kind == "mtf.Feedback":
        return bool(body["request_id"] and body["item_id"]) and body["request_time_ms"] > 0 and good_signals(body["signals"])
    return True


# --- a partition


@dataclass(slots=True)
class Record:
    offset: int
    watermark: int  # after this record
    place: int  # where in time it belongs
    event_id: str
    kind: str
    value: bytes


@dataclass(slots=True)
class Activity:
    start: int
    end: int
    content: list  # records, by offset
    ids: set
    over_cap: bool = False


@dataclass
class Expected:
    """Sessions by (user, id), more than one where a doubled event id came first in several; what is set
    aside by its place in the log."""

    sessions: dict = field(default_factory=lambda: defaultdict(list))
    late: dict = field(default_factory=dict)  # (partition, offset): (reason, value)
    dead: dict = field(default_factory=dict)
    events: int = 0
    duplicates: int = 0
    over_cap: int = 0
    held: int = 0  # events in sessions that are still open at the end of the log

    def add(self, other: "Expected"):
        for name, value in vars(other).items():
            mine = getattr(self, name)
            if name == "sessions":
                for key, several in value.items():
                    mine[key] += several
            elif isinstance(mine, dict):
                mine.update(value)
            else:
                setattr(self, name, mine + value)


class Partition:
    """One partition's log, record by record, then cut() for what has to come of it."""

    def __init__(self, number: int, rules: Rules):
        self.number = number
        self.rules = rules
        self.decode = Decoder()
        self.expected = Expected()
        self.groups = defaultdict(list)  # (user, bucket): records by offset
        self.watermark = -(1 << 62)
        self.shift = {}  # a user's share of the cap

    def add(self, offset: int, append_ms: int, value):
        rules, expected = self.rules, self.expected
        expected.events += 1
        event, reason = self.decode(value)
        if event is None or not is_valid(event, rules):
            expected.dead[self.number, offset] = (reason or "invalid", value)
            return
        time_ms = event["event_time_ms"]
        if time_ms > append_ms + rules.max_future_ms:
            expected.dead[self.number, offset] = ("future_ts", value)
            return
        self.watermark = max(self.watermark, min(time_ms, append_ms) - rules.out_of_orderness_ms)
        kind, body = event["body"]
        user = event["user_id"]
        place = body["request_time_ms"] if kind == "mtf.Feedback" else time_ms
        if user not in self.shift:
            self.shift[user] = hash64(user.encode()) % rules.max_duration_ms
        bucket = (place + self.shift[user]) // rules.max_duration_ms
        record = Record(offset, self.watermark, place, event["event_id"], KINDS[kind], value)
        self.groups[user, bucket].append(record)

    def cut(self) -> Expected:
        while self.groups:
            (user, bucket), members = self.groups.popitem()
            self.activities(user, bucket, members)
        self.expected.sessions = dict(self.expected.sessions)  # a lambda does not travel
        return self.expected

    def activities(self, user: str, bucket: int, members: list):
        wait = self.rules.gap_ms + self.rules.grace_ms
        gap = self.rules.gap_ms
        open_ones = []
        for record in members:
            still = []
            for activity in open_ones:
                if activity.end + wait < record.watermark:
                    self.emit(user, bucket, activity)
                else:
                    still.append(activity)
            touched = [a for a in still if a.start - gap <= record.place <= a.end + gap]
            open_ones = [a for a in still if a not in touched] if touched else still
            if touched:
                activity = self.merged(touched)
                activity.start = min(activity.start, record.place)
                activity.end = max(activity.end, record.place)
                open_ones.append(activity)
                self.keep(activity, record)
            elif record.kind != "request":
                self.late(record, "no_request")
            elif record.place + wait < record.watermark:
                self.late(record, "late")
            else:
                open_ones.append(Activity(record.place, record.place, [record], {record.event_id}))
        for activity in open_ones:
            if activity.end + wait < self.watermark:
                self.emit(user, bucket, activity)
            else:
                self.expected.held += len(activity.content)

    def merged(self, several: list) -> Activity:
        first, *others = several
        for other in others:
            union = sorted(first.content + other.content, key=lambda r: r.offset)
            first = Activity(min(first.start, other.start), max(first.end, other.end), [], set(), first.over_cap or other.over_cap)
            for record in union:
                self.keep(first, record)
        return first

    def keep(self, activity: Activity, record: Record):
        """Its content, unless it is there already or there is enough."""
        if record.event_id in activity.ids:
            self.expected.duplicates += 1
        elif len(activity.content) >= self.rules.max_events:
            self.expected.over_cap += 1
            activity.over_cap = True
        else:
            activity.content.append(record)
            activity.ids.add(record.event_id)

    def late(self, record: Record, reason: str):
        self.expected.late[self.number, record.offset] = (reason, record.value)

    # --- a closed activity

    def emit(self, user: str, bucket: int, activity: Activity):
        whole = []
        for record in activity.content:
            event, _ = self.decode(record.value)
            whole.append((event["event_time_ms"], record.event_id, record, event))
        whole.sort(key=lambda entry: entry[:2])
        events = [entry for entry in whole if entry[2].kind != "feedback"]
        pieces = self.pieces(events)
        opening = events[0] if events else None
        requests = self.join(whole)
        edge_low = bucket * self.rules.max_duration_ms - self.shift[user]
        edge_high = edge_low + self.rules.max_duration_ms
        for piece, reason in pieces:
            first, last = piece[0], piece[-1]
            tail = False
            if reason == "gap":  # nothing of this activity came after it
                tail = activity.over_cap
                if edge_high - activity.end <= self.rules.gap_ms:
                    reason, tail = "cap", True
            session = {
                "session_id": session_id(user, first[1]),
                "user_id": user,
                "started_ms": first[0],
                "ended_ms": last[0],
                "end_reason": reason,
                "truncated_head": first is opening and activity.start - edge_low < self.rules.gap_ms,
                "truncated_tail": tail,
                "part": 0,
                "parts": 1,
                "steps": [
                    {"event_id": i, "time_ms": at, "request": requests[r.offset]}
                    for at, i, r, _ in piece
                    if r.kind == "request"
                ],
            }
            self.expected.sessions[user, session["session_id"]].append(session)

    def pieces(self, whole: list) -> list:
        """Requests and ends cut at ends and by the producer's session: [(records, end reason)], in the
        order of their firsts. An end ends the session it names; without a request it is late."""
        pieces, open_ones, current = [], {}, None  # open_ones: by the producer's session
        for entry in whole:
            named = entry[3]["session_id"]
            if named is not None and current is None and None in open_ones:
                open_ones[named] = open_ones.pop(None)  # what had no id before the first one is its
            current = named if named is not None else current
            if current not in open_ones:
                open_ones[current] = []
                pieces.append(open_ones[current])
            open_ones[current].append(entry)
            if entry[2].kind == "end":
                del open_ones[current]
        with_steps = []
        for piece in pieces:
            if any(entry[2].kind == "request" for entry in piece):
                with_steps.append(piece)
            else:
                for _, _, record, _ in piece:
                    self.late(record, "no_request")
        requests = [e[:2] for e in whole if e[2].kind == "request"]
        newest = max(requests, default=None)
        return [(piece, self.why(piece, newest)) for piece in with_steps]

    @staticmethod
    def why(piece: list, newest) -> str:
        """A session that was not ended, and after which another came, is ended by its coming."""
        if piece[-1][2].kind == "end":
            return "end_event"
        return "id_change" if newest > piece[-1][:2] else "gap"

    def join(self, whole: list) -> dict:
        """Every request (by offset) with its signals aggregated; feedback that finds no place is late."""
        requests = {e[1]: e for e in whole if e[2].kind == "request"}
        more = defaultdict(list)  # (request, item): signals in order
        for _, _, record, event in whole:
            if record.kind != "feedback":
                continue
            body = event["body"][1]
            request = requests.get(body["request_id"])
            items = {i["item_id"]: i for i in request[3]["body"][1]["items"]} if request else {}
            item = items.get(body["item_id"])
            if item is None:
                self.late(record, "no_request")
            elif {s["name"] for s in item["signals"]} & {s["name"] for s in body["signals"]}:
                self.late(record, "double_signal")
            else:
                more[body["request_id"], body["item_id"]] += body["signals"]
        joined = {}
        for event_id, (_, _, record, event) in requests.items():
            body = event["body"][1]
            items = [
                dict(i, signals=self.aggregate(i["signals"] + more.get((event_id, i["item_id"]), [])))
                for i in body["items"]
            ]
            joined[record.offset] = dict(body, items=items)
        return joined

    def aggregate(self, signals: list) -> list:
        values = {}
        for signal in signals:
            name, value = signal["name"], signal["value"]
            how = self.rules.aggregators.get(name, "last")
            if name not in values or how == "last":
                values[name] = value
            elif how == "sum":
                values[name] += value
            elif how == "max":
                values[name] = max(values[name], value)
        return [{"name": n, "value": values[n]} for n in sorted(values)]


# --- the log and the output, by an independent client


def watermarks(consumer, place) -> tuple:
    """First and end offsets; a broker that has just been given a topic denies it for a moment."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return consumer.get_watermark_offsets(place, timeout=60)
        except confluent_kafka.KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def read_partition(bootstrap: str, topic: str, partition: int, isolation: str):
    """Every message of a partition up to its end as it is now. Aborted ones are skipped as asked."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "oracle",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )
    try:
        place = confluent_kafka.TopicPartition(topic, partition)
        first, end = watermarks(consumer, place)
        if first == end:
            return
        place.offset = first
        consumer.assign([place])
        heard = time.monotonic()
        while True:
            messages = consumer.consume(1000, 0.05)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() > heard + 60:
                raise records.Broken(f"{topic}/{partition}: nothing for 60 s, its end is {end}")
            for message in messages:
                if message.error() is None:
                    yield message
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    return
                else:
                    raise records.Broken(f"{topic}/{partition}: {message.error()}")
    finally:
        consumer.close()


def partitions_of(bootstrap: str, topic: str) -> list:
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    return sorted(admin.list_topics(topic, timeout=30).topics[topic].partitions)


def _expect_partition(bootstrap: str, topic: str, number: int, rules: Rules) -> Expected:
    partition = Partition(number, rules)
    for message in read_partition(bootstrap, topic, number, "read_uncommitted"):
        partition.add(message.offset(), message.timestamp()[1], message.value())
    return partition.cut()


def expect(bootstrap: str, topic: str, rules: Rules, workers: int = 2) -> Expected:
    total = Expected()
    numbers = partitions_of(bootstrap, topic)
    with ProcessPoolExecutor(workers) as pool:
        for found in pool.map(_expect_partition, *zip(*[(bootstrap, topic, n, rules) for n in numbers])):
            total.add(found)
    return total


@dataclass
class Found:
    """Committed output: sessions as lists of parts by (user, id); origins with what was set aside."""

    sessions: dict = field(default_factory=lambda: defaultdict(list))
    places: dict = field(default_factory=dict)  # (user, id): (partition, offset) of each part
    late: dict = field(default_factory=lambda: defaultdict(list))
    dead: dict = field(default_factory=lambda: defaultdict(list))
    dead_stages: Counter = field(default_factory=Counter)
    problems: list = field(default_factory=list)


def read_output(bootstrap: str, topics: dict) -> Found:
    """topics: sessions, late, dead_letter -> names. What is being committed is waited for."""
    found = Found()
    schemas = records.Schemas()
    for topic in topics.values():
        for number in partitions_of(bootstrap, topic):
            records.wait_decided(bootstrap, topic, number)
    for number in partitions_of(bootstrap, topics["sessions"]):
        for message in read_partition(bootstrap, topics["sessions"], number, "read_committed"):
            name, session = schemas.decode(message.value())
            if name != "mtf.Session" or message.key() != session["user_id"].encode():
                found.problems.append(f"sessions/{number}@{message.offset()}: {name} under the key {message.key()}")
                continue
            key = session["user_id"], session["session_id"]
            found.sessions[key].append(session)
            found.places.setdefault(key, []).append((number, message.offset()))
    for role, into in (("late", found.late), ("dead_letter", found.dead)):
        for number in partitions_of(bootstrap, topics[role]):
            for message in read_partition(bootstrap, topics[role], number, "read_committed"):
                headers = {k.rpartition(".")[2]: v.decode() for k, v in message.headers() or []}
                if headers.get("stage") == "learn":
                    found.dead_stages["learn"] += 1
                    continue
                origin = int(headers["partition"]), int(headers["offset"])
                into[origin].append((headers["reason"], message.value(), "original_bytes" in headers))
    return found


def normal(session: dict) -> dict:
    """The order of an item's signals means nothing."""
    steps = []
    for step in session["steps"]:
        request = step["request"]
        items = [dict(i, signals=sorted(i["signals"], key=lambda s: s["name"])) for i in request["items"]]
        steps.append(dict(step, request=dict(request, items=items)))
    return dict(session, steps=steps)


def wholes(parts: list):
    """The sessions that records of one id make, parts put together; None if the parts do not fit."""
    count = parts[0]["parts"]
    if any(p["parts"] != 1 for p in parts):
        parts = sorted(parts, key=lambda s: s["part"])
        copies, rest = divmod(len(parts), count)
        if rest or [s["part"] for s in parts] != sorted(list(range(count)) * copies):
            return None
        return [together(parts[i::copies]) for i in range(copies)]
    return [normal(part) for part in parts]


def together(parts: list) -> dict:
    steps = [step for part in parts for step in part["steps"]]
    one = dict(parts[0], steps=steps, part=0, parts=1, truncated_tail=parts[-1]["truncated_tail"])
    return normal(one)


@dataclass
class Result:
    lost: int = 0
    doubled: int = 0
    different: int = 0
    details: Counter = field(default_factory=Counter)
    examples: list = field(default_factory=list)

    def note(self, what: str, kind: str, words: str, count: int = 1):
        setattr(self, what, getattr(self, what) + count)
        self.details[f"{kind}_{what}"] += count
        if sum(e.startswith(f"{kind} {what}") for e in self.examples) < 5:
            self.examples.append(f"{kind} {what}: {words}")

    @property
    def exact(self) -> bool:
        return not (self.lost or self.doubled or self.different)


def difference(wanted, got, path: str = "") -> str:
    """The first place where two values differ."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in wanted:
            words = difference(wanted[key], got.get(key), f"{path}.{key}")
            if words:
                return words
        return "" if set(wanted) == set(got) else f"{path}: fields {sorted(got)}"
    if isinstance(wanted, (list, tuple)) and isinstance(got, (list, tuple)):
        for index, pair in enumerate(zip(wanted, got)):
            words = difference(*pair, f"{path}[{index}]")
            if words:
                return words
        return "" if len(wanted) == len(got) else f"{path}: {len(got)} instead of {len(wanted)}"
    return "" if wanted == got else f"{path}: {str(got)[:60]} instead of {str(wanted)[:60]}"


def compare(expected: Expected, found: Found, result: Result = None) -> Result:
    result = result or Result()
    for key, several in expected.sessions.items():
        compare_sessions(key, several, found, result)
    for key, parts in found.sessions.items():
        if key not in expected.sessions:
            session = parts[0]
            steps = [s["event_id"] for s in session["steps"]]
            result.note("different", "sessions", f"{key[0]} {key[1].hex()}: not expected: {session['end_reason']}, {steps[:4]}")
    for kind, wanted, got in (("late", expected.late, found.late), ("dead", expected.dead, found.dead)):
        compare_aside(kind, wanted, got, result)
    for problem in found.problems:
        result.note("different", "output", problem)
    return result


def compare_sessions(key, several: list, found: Found, result: Result):
    """The sessions of one id, as multisets."""
    who = f"{key[0]} {key[1].hex()} at {found.places.get(key)}"
    got = wholes(found.sessions[key]) if key in found.sessions else []
    if got is None:
        result.note("different", "sessions", f"{who}: parts {[p['part'] for p in found.sessions[key]]}")
        return
    missing, surplus = list(several), []
    for session in got:
        same = next((one for one in missing if not difference(one, session)), None)
        if same is None:
            surplus.append(session)
        else:
            missing.remove(same)
    while missing and surplus:
        result.note("different", "sessions", f"{who}: {difference(missing.pop(), surplus.pop())}")
    for session in missing:
        result.note("lost", "sessions", f"{who}: {len(session['steps'])} steps, {session['end_reason']}")
    for session in surplus:
        again = any(not difference(one, session) for one in several)
        result.note("doubled" if again else "different", "sessions", f"{who}: once more than expected")


def compare_aside(kind: str, wanted: dict, got: dict, result: Result):
    for origin, (reason, value) in wanted.items():
        copies = got.get(origin)
        if not copies:
            result.note("lost", kind, f"{origin}: {reason}")
            continue
        if len(copies) > 1:
            result.note("doubled", kind, f"{origin}: {reason}", len(copies) - 1)
        got_reason, got_value, cut = copies[0]
        same = value.startswith(got_value) if cut else value == got_value
        if got_reason != reason or not same:
            result.note("different", kind, f"{origin}: {got_reason} instead of {reason}, same bytes: {same}")
    for origin, copies in got.items():
        if origin not in wanted:
            result.note("different", kind, f"{origin}: not expected: {copies[0][0]}")


# --- the learner's rows

WEIGHTS = {"valid": 1.0, "watch": 0.02, "finish": 0.5, "positive": 2.0, "negative": -2.0}
WATCH_MAX = 300.0


def reward(request: dict) -> float:
    """Formula 2 with the settings' defaults."""
    total = 0.0
    for item in request["items"]:
        for signal in item["signals"]:
            value = signal["value"]
            if signal["name"] == "watch":
                value = max(-WATCH_MAX, min(WATCH_MAX, value))
            total += WEIGHTS.get(signal["name"], 0.0) * value
    return total


def expected_rows(expected: Expected, found: Found) -> dict:
    """(session id, part, step): what the learner must have stored. Of several sessions of one id it keeps
    the first that it reads; which of the expected that is, the topic says."""
    rows = {}
    for (user, identity), several in expected.sessions.items():
        parts = found.sessions.get((user, identity), several)
        for part in [p for i, p in enumerate(parts) if p["part"] not in [q["part"] for q in parts[:i]]]:
            for number, row in enumerate(rows_of(user, part)):
                rows[identity.hex(), part["part"], number] = row
    return rows


def rows_of(user: str, session: dict) -> list:
    rows, steps = [], session["steps"]
    for number, step in enumerate(steps):
        request = step["request"]
        last = number + 1 == len(steps)
        cut = session["truncated_tail"] or session["part"] + 1 < session["parts"]
        row = {
            "time_ms": step["time_ms"],
            "user": f"{hash64(user.encode()):016x}",
            "version": request["policy_version"],
            "bucket": request["bucket"],
            "weight": request["sample_weight"],
            "items": len(request["items"]),
            "done": last and not cut,
            "truncated": last and cut,
            "reward": reward(request),
            "state": request["state"],
            "action": request["action"],
        }
        if not last:
            row["next_state"] = steps[number + 1]["request"]["state"]
        rows.append(row)
    return rows


def compare_rows(expected: Expected, lines, found: Found, result: Result) -> Result:
    """lines: `mtf store rows`, one JSON object each."""
    wanted = expected_rows(expected, found)
    places = {key[1].hex(): where for key, where in found.places.items()}
    seen = set()
    for line in lines:
        row = json.loads(line)
        key = row["session"], row["part"], row["step"]
        if key in seen:
            result.note("doubled", "rows", str(key))
            continue
        seen.add(key)
        if key not in wanted:
            result.note("different", "rows", f"{key}: not expected")
            continue
        words = row_difference(wanted[key], row)
        if not words and (row["partition"], row["offset"]) not in places.get(row["session"], []):
            words = f"from {row['partition']}@{row['offset']}, the session is at {places.get(row['session'])}"
        if words:
            result.note("different", "rows", f"{key}: {words}")
    for key in wanted:
        if key not in seen:
            result.note("lost", "rows", str(key))
    return result


def row_difference(wanted: dict, row: dict) -> str:
    for name, value in wanted.items():
        if name in ("state", "action", "next_state", "reward", "weight"):
            got = row.get(name, [])
            pairs = zip(value, got) if isinstance(value, list) else [(value, got)]
            same = not isinstance(value, list) or len(value) == len(got)
            # rows print nine digits, sums of rewards are rounded elsewhere
            if not same or any(abs(a - b) > 1e-6 * max(1.0, abs(a)) for a, b in pairs):
                return f".{name}: {got} instead of {value}"
        elif row[name] != value:
            return f".{name}: {row[name]} instead of {value}"
    return "" if ("next_state" in wanted) == ("next_state" in row) else ".next_state is there or not"
