"""What fastavro makes of our schemas, for the tests in this folder.

golden.py make           rewrites golden/ and prints the fingerprints of fingerprints.h and test_schema.c
golden.py check FILE     reads a container file that test_container wrote and compares it
"""
import io
import json
import pathlib
import sys

import fastavro
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

HERE = pathlib.Path(__file__).parent
SCHEMAS = HERE.parent.parent / "schemas"
NAMES = ["exploration-event", "session", "policy", "replay-event"]
CANONICAL_CASES = [
    '"int"',
    '{"type": "long", "logicalType": "timestamp-millis"}',
    '{"type": "fixed", "size": 16, "namespace": "a.b", "name": "F", "aliases": ["G"]}',
    '{"type": "enum", "name": "x.E", "namespace": "ignored", "symbols": ["A", "B"], "default": "A", "doc": "d"}',
    '{"type": "record", "name": "R", "namespace": "n", "doc": "d", "fields": ['
    '{"default": 1, "type": "int", "name": "i"}, {"name": "next", "type": ["null", "R"], "default": null},'
    '{"name": "m", "type": {"values": {"type": "array", "items": {"type": "bytes"}}, "type": "map"}},'
    '{"name": "o", "type": {"name": "other.O", "type": "record", "fields": [{"name": "e", "type":'
    ' {"type": "enum", "name": "E", "symbols": ["Z"]}}]}}, {"name": "again", "type": "other.E"}]}',
]


def load(name):
    return json.loads((SCHEMAS / f"{name}.avsc").read_text())


def crc(schema):
    """As a number; fastavro gives the hex of its little-endian bytes."""
    return int.from_bytes(bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")), "little")


def framed(name, record):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, parse_schema(load(name), _force=True), record)
    return b"\xc3\x01" + crc(load(name)).to_bytes(8, "little") + out.getvalue()


PREDICTIONS = [0.25, 0.75, 0.125]
REQUEST = {
    "policy_version": 300, "bucket": "baseline", "state": [0.5, -1.25, 3e-8, 1e30], "action": [0.1, -0.9],
    "baseline_action": [0.05, -1.0], "lower": [-0.15, 0.0], "upper": [0.15, 0.15], "sample_weight": 2.5,
    "items": [
        {"item_id": "video-1", "predictions": PREDICTIONS, "features": [7.0],
         "signals": [{"name": "watch", "value": 12.5}, {"name": "positive", "value": 1.0}]},
        {"item_id": "video-2", "predictions": PREDICTIONS, "features": [], "signals": []},
    ],
}
USER = "user \u00e4"
EVENTS = {
    "request": {"event_id": "e-1", "user_id": USER, "event_time_ms": 1700000000123, "session_id": "s-9",
                "body": ("mtf.Request", REQUEST)},
    "feedback": {"event_id": "e-2", "user_id": USER, "event_time_ms": 1700000005000, "session_id": None,
                 "body": ("mtf.Feedback", {"request_id": "e-1", "request_time_ms": 1700000000123,
                                           "item_id": "video-2", "signals": [{"name": "watch", "value": 1e-3}]})},
    "end": {"event_id": "e-3", "user_id": USER, "event_time_ms": 1700000009000, "session_id": None,
            "body": ("mtf.SessionEnd", {"reason": "left"})},
}
SESSION = {
    "session_id": bytes(17 * i for i in range(16)), "user_id": USER, "started_ms": 1700000000123,
    "ended_ms": 1700000031000, "end_reason": "cap", "truncated_head": False, "truncated_tail": True, "part": 1,
    "parts": 3, "steps": [
        {"event_id": "e-1", "time_ms": 1700000000123, "request": REQUEST},
        {"event_id": "e-4", "time_ms": 1700000030000, "request": {**REQUEST, "lower": [], "upper": [], "items": []}},
    ],
}
ROWS = [{"partition": i % 2, "offset": 10 + i // 2, "append_time_ms": 1700000010000 + i, "event": event}
        for i, event in enumerate([EVENTS["request"], EVENTS["feedback"], EVENTS["end"]] * 2)]


def make():
    golden = HERE / "golden"
    for name, event in EVENTS.items():
        (golden / f"{name}.bin").write_bytes(framed("exploration-event", event))
    (golden / "session.bin").write_bytes(framed("session", SESSION))
    # An older writer: fields of its own before, between and after ours, another order, no append time's doc.
    older = load("replay-event")
    older["fields"].insert(0, {"name": "host", "type": {"type": "map", "values": "string"}})
    older["fields"].append({"name": "tail", "type": ["null", {"type": "array", "items": "null"}]})
    rows = [{**row, "host": {"a": "b"}, "tail": [None] * 5} for row in ROWS]
    for codec in ["null", "deflate"]:
        with open(golden / f"replay-{codec}.avro", "wb") as out:
            fastavro.writer(out, parse_schema(older, _force=True), rows, codec=codec, sync_interval=400,
                            sync_marker=bytes(range(16)))
    # A later writer of sessions: fields of its own, which are skipped.
    later = load("session")
    later["fields"].insert(0, {"name": "region", "type": "string"})
    with open(golden / "sessions-deflate.avro", "wb") as out:
        fastavro.writer(out, parse_schema(later, _force=True), [{**SESSION, "region": "north"}] * 3, codec="deflate",
                        sync_interval=400, sync_marker=bytes(range(16)))
    for name in NAMES:
        print(f"{name:20} 0x{crc(load(name)):016x}u")
    for text in CANONICAL_CASES:
        print(to_parsing_canonical_form(json.loads(text)), f"0x{crc(json.loads(text)):016x}u")


def same(a, b):
    """Equal up to the rounding of doubles to floats."""
    if isinstance(a, tuple):
        a = a[1]
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return abs(a - b) <= 1e-6 * abs(a)
    return a == b


def check(path):
    with open(path, "rb") as file:
        rows = list(fastavro.reader(file))
    if len(rows) != len(ROWS) or not all(map(same, ROWS, rows)):
        sys.exit(f"{path}: fastavro reads other values than were written")


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    elif len(sys.argv) == 3 and sys.argv[1] == "check":
        check(sys.argv[2])
    else:
        sys.exit(__doc__)
