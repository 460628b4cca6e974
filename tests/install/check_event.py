#!/usr/bin/env python3
"""Reads an event that libmtf wrote with none of this project's code: fastavro and the schema file.
Usage: check_event.py exploration-event.avsc event.bin NAME=VALUE... (fields of the event or its body)
Exit 77: a package is missing (see scripts/python-env.sh)."""
import io
import json
import os
import sys

try:
    from fastavro import schemaless_reader
    from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
except ImportError as missing:
    venv = os.path.join(os.path.dirname(__file__), "../../build/venv/bin/python")
    if os.path.exists(venv) and "venv" not in sys.executable:
        os.execv(venv, [venv, *sys.argv])
    print(missing, file=sys.stderr)
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
with open(sys.argv[2], "rb") as file:
    message = file.read()
frame = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))
assert message[:10] == frame, (message[:10].hex(), frame.hex())
rest = io.BytesIO(message[10:])
event = schemaless_reader(rest, parse_schema(schema))
assert rest.read() == b"", "bytes follow the event"
fields = {**event, **event["body"]}
for wanted in sys.argv[3:]:
    name, value = wanted.split("=", 1)
    assert str(fields[name]) == value, (name, fields[name], value)
assert len(fields["action"]) == len(fields["baseline_action"]) == len(fields["lower"]) == len(fields["upper"])
for action, base, lower, upper in zip(fields["action"], fields["baseline_action"], fields["lower"], fields["upper"]):
    assert base + lower - 1e-6 <= action <= base + upper + 1e-6, "the action left its box"
assert [item["item_id"][:5] for item in fields["items"]] == ["item-"] * len(fields["items"]) != []
