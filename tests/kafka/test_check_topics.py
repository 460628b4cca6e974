#!/usr/bin/env python3
"""Goal: check_topics.py lets good records pass and tells each kind of bad one. Method: records written by
fastavro to topics of their own, one thing wrong in each.

    test_check_topics.py RUN     (a folder of broker.sh with a broker up)
"""

import copy
import hashlib
import io
import struct
import sys
import time
import unittest
from pathlib import Path

import confluent_kafka
import fastavro
import numpy
import safetensors.numpy
from confluent_kafka.admin import AdminClient, NewTopic

import check_topics
import records

S, H, A = 4, 8, 2
BOOTSTRAP = ""


def encode(schemas: records.Schemas, name: str, datum) -> bytes:
    fingerprint, schema = next((f, s) for f, s in schemas.by_fingerprint.items() if s["name"] == name)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, datum)
    return b"\xc3\x01" + struct.pack("<Q", fingerprint) + body.getvalue()


def request() -> dict:
    return {
        "policy_version": 1, "bucket": "explore", "state": [0.5] * S, "action": [0.1] * A, "baseline_action": [0.0] * A,
        "lower": [-0.15] * A, "upper": [0.15] * A, "sample_weight": 1.0,
        "items": [{"item_id": "i", "predictions": [0.5], "features": [], "signals": [{"name": "watch", "value": 400.0}, {"name": "positive", "value": 1.0}]}],
    }


def event() -> dict:
    return {"event_id": "e", "user_id": "u", "event_time_ms": 1, "session_id": None, "body": ("mtf.Request", request())}


def session() -> dict:
    return {
        "session_id": bytes(16), "user_id": "u", "started_ms": 1, "ended_ms": 2, "end_reason": "gap", "truncated_head": False,
        "truncated_tail": False, "part": 0, "parts": 1, "steps": [{"event_id": "e", "time_ms": 1, "request": request()}],
    }


def policy() -> dict:
    rng = numpy.random.default_rng(1)
    tensors = {
        "normaliser.mean": rng.normal(size=S), "normaliser.deviation": rng.uniform(0.5, 2, S),
        "actor.0.weight": rng.normal(size=(H, S)), "actor.0.bias": rng.normal(size=H),
        "actor.1.weight": rng.normal(size=(A, H)), "actor.1.bias": rng.normal(size=A),
    }
    tensors = {name: value.astype(numpy.float32) for name, value in tensors.items()}
    vectors = []
    for _ in range(16):
        state = rng.normal(size=S).astype(numpy.float32)
        hidden = (state - tensors["normaliser.mean"]) / tensors["normaliser.deviation"]
        hidden = numpy.maximum(tensors["actor.0.weight"] @ hidden + tensors["actor.0.bias"], 0)
        action = numpy.tanh(tensors["actor.1.weight"] @ hidden + tensors["actor.1.bias"])
        vectors.append({"state": state.tolist(), "action": action.tolist()})
    payload = safetensors.numpy.save(tensors)
    dim = {"prediction": "p", "kind": "pow", "prediction_index": 0, "low": 0.0, "high": 1.0}
    return {
        "name": "default", "version": 2, "parent": 1, "stage": "live", "round": 0, "algorithm": "integrated", "created_ms": 1,
        "state_dim": S, "state_schema_hash": "", "actions": [dim] * A, "prediction_names": ["p"], "box": 0.15,
        "training_offsets": [], "parent_checkpoint": "", "metrics": [], "verdict": "promote", "reason": "", "format": "safetensors",
        "payload": payload, "onnx": None, "sha256": hashlib.sha256(payload).digest(), "test_vectors": vectors, "signature": None,
    }


class CheckTopics(unittest.TestCase):
    def summary(self, puts) -> dict:
        """The check's summary of fresh topics holding `puts`: (role, key, value, headers)."""
        topics = {role: f"check-{role}-{time.time_ns()}" for role in check_topics.TOPICS}
        admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
        for future in admin.create_topics([NewTopic(t, 1, 1) for t in topics.values()]).values():
            future.result(60)
        producer = confluent_kafka.Producer({"bootstrap.servers": BOOTSTRAP})
        for role, key, value, headers in puts:
            producer.produce(topics[role], key=key, value=value, headers=headers)
        self.assertEqual(producer.flush(60), 0)
        return check_topics.Check(BOOTSTRAP, topics).run()

    def setUp(self):
        self.schemas = records.Schemas()

    def problem_of(self, role: str, name: str, datum, key="u") -> str:
        found = self.summary([(role, key, encode(self.schemas, name, datum), {})])["problems"]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_good_records_pass_and_are_counted(self):
        record = encode(self.schemas, "mtf.Policy", policy())
        summary = self.summary([
            ("exploration", "u", encode(self.schemas, "mtf.ExplorationEvent", event()), {}),
            ("sessions", "u", encode(self.schemas, "mtf.Session", session()), {}),
            ("policy", "default", record, {}),
            ("policy", "default#canary", None, {}),
            ("policy_history", "default", record, {}),
            ("dead_letter", "u", b"garbage", {"mtf.errors.reason": "decode"}),
        ])
        self.assertEqual(summary["problems"], [])
        self.assertEqual(summary["counts"]["exploration"], 1)
        self.assertEqual(summary["exploration"]["kinds"], {"Request": 1})
        self.assertAlmostEqual(summary["sessions"]["reward_by_policy_version"]["1"]["mean"], 0.02 * 300 + 2)
        self.assertLess(summary["policies"]["worst_action_difference"], 1e-5)
        self.assertEqual(summary["aside"]["dead_letter_reasons"], {"decode": 1})

    def test_garbage_is_told(self):
        found = self.summary([("exploration", "u", b"garbage", {}), ("dead_letter", "u", b"garbage", {})])["problems"]
        self.assertIn("no single-object frame", found[0])
        self.assertIn("without a reason", found[1])

    def test_bytes_left_and_missing_are_told(self):
        good = encode(self.schemas, "mtf.ExplorationEvent", event())
        found = self.summary([("exploration", "u", good + b"x", {}), ("exploration", "u", good[:-9], {})])["problems"]
        self.assertIn("bytes left", found[0])
        self.assertIn("undecodable", found[1])

    def test_an_action_outside_its_box_is_told(self):
        bad = event()
        bad["body"][1]["action"][1] = 0.2
        self.assertIn("outside its box", self.problem_of("exploration", "mtf.ExplorationEvent", bad))

    def test_a_wrong_key_is_told(self):
        self.assertIn("key is not the user id", self.problem_of("sessions", "mtf.Session", session(), key="v"))

    def test_a_wrong_test_vector_is_told(self):
        bad = policy()
        bad["test_vectors"][7]["action"][0] += 1e-4
        self.assertIn("test vectors differ", self.problem_of("policy_history", "mtf.Policy", bad))

    def test_a_wrong_hash_is_told(self):
        bad = copy.deepcopy(policy())
        bad["sha256"] = bytes(32)
        self.assertIn("sha256", self.problem_of("policy_history", "mtf.Policy", bad))

    def test_a_served_policy_missing_from_the_history_is_told(self):
        self.assertIn("history", self.problem_of("policy", "mtf.Policy", policy(), key="default"))


if __name__ == "__main__":
    BOOTSTRAP = (Path(sys.argv.pop()) / "bootstrap").read_text().strip()
    unittest.main()
