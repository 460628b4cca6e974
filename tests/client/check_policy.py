#!/usr/bin/env python3
"""Reads policy records with none of this project's code: fastavro for the record, safetensors for
the payload, numpy for the network, ed25519.py for the signature. Usage: check_policy.py policy.avsc write_policies | record ...
Exit 77: a package is missing (see scripts/python-env.sh)."""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import ed25519

try:
    import fastavro
    import numpy as np
    import safetensors.numpy
    from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form
except ImportError as missing:
    venv = os.path.join(os.path.dirname(__file__), "../../build/venv/bin/python")
    if os.path.exists(venv) and "venv" not in sys.executable:
        os.execv(venv, [venv, *sys.argv])
    print(missing, file=sys.stderr)
    sys.exit(77)


def read_record(path, raw_schema):
    """A single-object message: C3 01, the schema's fingerprint, the datum."""
    with open(path, "rb") as file:
        head = file.read(10)
        expected = bytes.fromhex(fingerprint(to_parsing_canonical_form(raw_schema), "CRC-64-AVRO"))
        assert head == b"\xc3\x01" + expected, (head.hex(), expected.hex())
        record = fastavro.schemaless_reader(file, parse_schema(raw_schema))
        assert file.read() == b"", "bytes follow the record"
    return record


def act(tensors, state):
    x = (state - tensors["normaliser.mean"]) / tensors["normaliser.deviation"]
    x[~np.isfinite(x)] = 0
    layers = sum(name.endswith(".weight") for name in tensors)
    for i in range(layers):
        x = tensors[f"actor.{i}.weight"] @ x + tensors[f"actor.{i}.bias"]
        if i < layers - 1:
            x = np.maximum(x, 0)
    return np.tanh(x)


def check(path, raw_schema):
    record = read_record(path, raw_schema)
    payload = record["payload"]
    assert record["format"] == "safetensors"
    assert hashlib.sha256(payload).digest() == record["sha256"]
    header_bytes = int.from_bytes(payload[:8], "little")
    assert header_bytes % 8 == 0
    names = list(json.loads(payload[8 : 8 + header_bytes]))
    assert names == sorted(names) and names[0] == "__metadata__", names
    tensors = safetensors.numpy.load(payload)
    assert tensors["normaliser.mean"].shape == (record["state_dim"],)
    dims = [(row["prediction"], row["kind"]) for row in record["actions"]]
    assert len(set(dims)) == len(dims)
    for row in record["actions"]:
        assert record["prediction_names"][row["prediction_index"]] == row["prediction"]
    vectors = record["test_vectors"]
    assert len(vectors) >= 16
    assert any(not any(vector["state"]) for vector in vectors), "none is all zero"
    worst = 0.0
    for vector in vectors:
        state = np.array(vector["state"], dtype=np.float32)
        wanted = np.array(vector["action"], dtype=np.float32)
        assert wanted.shape == (len(dims),) and np.abs(wanted).max() <= 1
        worst = max(worst, float(np.abs(act(tensors, state) - wanted).max()))
    assert worst <= 1e-5, worst
    print(f"{path}: version {record['version']}, {len(payload)} bytes, largest difference {worst:.1e}")


SEED = bytes(range(32))


def write_signing_key(path):
    """PKCS#8 (RFC 8410) of SEED, in PEM."""
    der = bytes.fromhex("302e020100300506032b657004220420") + SEED
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"-----BEGIN PRIVATE KEY-----\n{base64.b64encode(der).decode()}\n-----END PRIVATE KEY-----\n")


def check_signature(path, raw_schema):
    """What is signed is the message with its last field null, the union's branch 0."""
    signature = read_record(path, raw_schema)["signature"]
    with open(path, "rb") as file:
        message = file.read()
    assert message.endswith(b"\x02\x80\x01" + signature) and len(signature) == 64
    message = message[:-67] + b"\x00"
    public = ed25519.public_key(SEED)
    assert ed25519.verify(public, message, signature), "the signature does not verify"
    altered = message[:100] + bytes([message[100] ^ 1]) + message[101:]
    assert not ed25519.verify(public, altered, signature), "the signature verifies another record"
    print(f"{path}: signed")


def main():
    with open(sys.argv[1]) as file:
        raw_schema = json.load(file)
    if os.access(sys.argv[2], os.X_OK):
        with tempfile.TemporaryDirectory() as folder:
            key = os.path.join(folder, "key")
            write_signing_key(key)
            subprocess.run([sys.argv[2], folder, key], check=True)
            os.remove(key)
            paths = sorted(os.path.join(folder, name) for name in os.listdir(folder))
            assert len(paths) == 10
            for once, again in zip(paths[::2], paths[1::2]):
                with open(once, "rb") as a, open(again, "rb") as b:
                    assert a.read() == b.read(), f"{once} and {again} differ"
                check(once, raw_schema)
            check_signature(paths[-1], raw_schema)
    else:
        for path in sys.argv[2:]:
            check(path, raw_schema)


main()
