"""Reads mtf's topics with nothing of mtf but schemas/*.avsc: confluent-kafka, fastavro, safetensors, numpy.

A record is Avro single-object encoded: C3 01, the little-endian CRC-64-AVRO fingerprint of the writer's
schema in parsing canonical form, the datum. Tombstones are None.
"""

import hashlib
import io
import struct
import time
from pathlib import Path
from typing import NamedTuple

import confluent_kafka
import fastavro
import numpy
import safetensors.numpy

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


class Broken(Exception):
    """A record is not what the schemas and docs promise."""


def crc64_avro(data: bytes) -> int:
    """The Rabin fingerprint as the Avro specification defines it."""
    empty = 0xC15D213AA4D7A795
    crc = empty
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (empty if crc & 1 else 0)
    return crc


class Schemas:
    """The schemas of a folder, by fingerprint and by record name."""

    def __init__(self, folder: Path = SCHEMAS):
        self.by_fingerprint = {}
        for path in sorted(folder.glob("*.avsc")):
            schema = fastavro.schema.load_schema(str(path), named_schemas={})
            canonical = fastavro.schema.to_parsing_canonical_form(schema)
            self.by_fingerprint[crc64_avro(canonical.encode())] = schema

    def decode(self, value: bytes):
        """(record's full name, datum). Raises Broken."""
        if len(value) < 10 or value[:2] != b"\xc3\x01":
            raise Broken(f"no single-object frame: {value[:10].hex()}")
        (fingerprint,) = struct.unpack("<Q", value[2:10])
        schema = self.by_fingerprint.get(fingerprint)
        if schema is None:
            raise Broken(f"no schema has the fingerprint {fingerprint:016x}")
        body = io.BytesIO(value[10:])
        try:
            datum = fastavro.schemaless_reader(body, schema, return_record_name=True)
        except Exception as error:  # fastavro raises many kinds on bad bytes
            raise Broken(f"undecodable {schema['name']}: {error}") from error
        if body.read(1):
            raise Broken(f"bytes left after a {schema['name']}")
        return schema["name"], datum


class Message(NamedTuple):
    partition: int
    offset: int
    timestamp_ms: int
    stamped_by_broker: bool
    key: bytes
    value: bytes  # None: a tombstone
    headers: dict


def wait_decided(bootstrap: str, topic: str, partition: int, timeout_s: float = 120.0):
    """Until all that is on a partition now is committed or aborted. Brokers answer a commit before its markers are
    on every log, and on a busy machine that takes a while; what is open longer was left open."""
    place = confluent_kafka.TopicPartition(topic, partition)

    def end(isolation: str) -> int:
        settings = {"bootstrap.servers": bootstrap, "group.id": "mtf-check", "isolation.level": isolation, "log_level": 0}
        consumer = confluent_kafka.Consumer(settings)
        try:
            return consumer.get_watermark_offsets(place, timeout=30)[1]
        finally:
            consumer.close()

    deadline, last = time.monotonic() + timeout_s, None
    while True:
        try:
            last = end("read_uncommitted") if last is None else last
            if (stable := end("read_committed")) >= last:
                return
            why = f"a transaction is open at {stable}, before {last}"
        except confluent_kafka.KafkaException as e:  # a broker that has just been given a topic denies it for a moment
            why = str(e)
        if time.monotonic() > deadline:
            raise Broken(f"{topic}/{partition}: {why}, for {timeout_s:.0f} s")
        time.sleep(0.1)


def read_topic(bootstrap: str, topic: str, timeout_s: float = 60.0, decided: bool = True):
    """Every record of a topic that is committed, up to its end as it is now; what is being committed is waited for,
    unless decided is False: where a transaction was left open on purpose."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "mtf-check",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
        }
    )
    try:
        metadata = consumer.list_topics(timeout=timeout_s).topics
        if topic not in metadata:
            raise Broken(f"topic {topic} does not exist")
        waiting = set()
        starts = []
        for partition in metadata[topic].partitions:
            if decided:
                wait_decided(bootstrap, topic, partition)
            place = confluent_kafka.TopicPartition(topic, partition)
            first, end = consumer.get_watermark_offsets(place, timeout=timeout_s)
            if first < end:
                waiting.add(partition)
                starts.append(confluent_kafka.TopicPartition(topic, partition, first))
        consumer.assign(starts)
        while waiting:
            message = consumer.poll(timeout_s)
            if message is None:
                raise Broken(f"topic {topic}: nothing for {timeout_s} s, partitions {waiting} not read to their end")
            if message.error() is not None:
                if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    waiting.discard(message.partition())
                    continue
                raise Broken(f"topic {topic}: {message.error()}")
            kind, stamp = message.timestamp()
            yield Message(
                message.partition(),
                message.offset(),
                stamp,
                kind == confluent_kafka.TIMESTAMP_LOG_APPEND_TIME,
                message.key(),
                message.value(),
                dict(message.headers() or []),
            )
    finally:
        consumer.close()


def act(payload: bytes, state) -> numpy.ndarray:
    """The action (A) of a safetensors payload for a raw state (S): normalise, dense layers with ReLU
    between, tanh at the end. A feature that is not finite counts as the mean."""
    tensors = safetensors.numpy.load(payload)
    state = numpy.asarray(state, dtype=numpy.float64)
    x = (state - tensors["normaliser.mean"]) / tensors["normaliser.deviation"]
    x = numpy.where(numpy.isfinite(state), x, 0.0)
    layers = sum(name.startswith("actor.") and name.endswith(".weight") for name in tensors)
    for i in range(layers):
        x = tensors[f"actor.{i}.weight"].astype(numpy.float64) @ x + tensors[f"actor.{i}.bias"]
        x = numpy.maximum(x, 0.0) if i + 1 < layers else numpy.tanh(x)
    return x


def check_policy(policy: dict, tolerance: float = 1e-5) -> float:
    """Verifies hash and test vectors; the largest difference of an action. Raises Broken."""
    where = f"policy {policy['name']} version {policy['version']}"
    if policy["format"] != "safetensors":
        raise Broken(f"{where}: format {policy['format']}")
    if hashlib.sha256(policy["payload"]).digest() != policy["sha256"]:
        raise Broken(f"{where}: sha256 is not the payload's")
    if len(policy["test_vectors"]) < 16:
        raise Broken(f"{where}: {len(policy['test_vectors'])} test vectors, 16 are promised")
    worst = 0.0
    for vector in policy["test_vectors"]:
        action = act(policy["payload"], vector["state"])
        if action.shape != (len(policy["actions"]),) or len(vector["action"]) != len(policy["actions"]):
            raise Broken(f"{where}: a test vector's action has the wrong length")
        worst = max(worst, float(numpy.max(numpy.abs(action - numpy.asarray(vector["action"])))))
    if not worst <= tolerance:
        raise Broken(f"{where}: test vectors differ by {worst}")
    return worst
