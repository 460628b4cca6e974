#!/usr/bin/env python3
"""Ten million records that are no events: all of them dead letters, counted right, memory flat, no crash.

    garbage.py MTF CLUSTER [--records N]

Garbage, records cut short and unknown schemas, with a good request now and then; errors.max_consecutive is 0.
Samples the sessionizer's memory; prints a JSON object. Exit code 0 if every count is right, and the second
half of the records raised the peak by less than a tenth.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from cluster import Cluster
from matrix import RULES, Records, counted
from pipeline import Failed, Pipeline
import oracle

POOL = 5000


def pool(records: Records) -> list:
    """(key, value, kind) to draw from."""
    rand = random.Random(7)
    whole = records.make.encode(records.request("u"))
    out = []
    for number in range(POOL):
        key = b"user-%d" % number
        if number % 3 == 0:
            out.append((key, rand.randbytes(rand.randrange(0, 40)), "decode"))
        elif number % 3 == 1:
            out.append((key, whole[: rand.randrange(10, len(whole) - 1)], "decode"))
        else:
            out.append((key, b"\xc3\x01" + rand.randbytes(8) + whole[10:40], "unknown_schema"))
    return out


def memory_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mtf")
    parser.add_argument("cluster")
    parser.add_argument("--records", type=int, default=10_000_000)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mtf-garbage-"))
    prefix = f"garbage-{int(time.time())}"
    with Pipeline(Path(options.mtf).resolve(), Cluster(Path(options.cluster)), folder, prefix, 4, oracle.Rules(**RULES)) as pipeline:
        records = Records(pipeline)
        pipeline.start_sessionizer("one", "--set", "sessionize.commit_interval_ms=1000")
        service = pipeline.services["sessionize-one"]
        drawn, kinds, samples, good = pool(records), {"decode": 0, "unknown_schema": 0}, [], 0
        started = time.monotonic()
        for first in range(0, options.records, POOL):
            batch = drawn[: options.records - first]
            records.load.send([(key, value) for key, value, _ in batch])
            for _, _, kind in batch:
                kinds[kind] += 1
            if first % (20 * POOL) == 0:
                event = records.request(f"user-{first}")
                records.load.send([(event["user_id"].encode(), records.make.encode(event))])
                good += 1
                samples.append(memory_kb(service.process.pid))
            if service.process.poll() is not None:
                raise Failed(f"it left with {service.process.returncode}: {pipeline.last_words(service.name)}")
        records.load.finish()
        produced_s = time.monotonic() - started
        records.close()
        pipeline.wait_sessionized(900)
        samples.append(memory_kb(service.process.pid))
        pipeline.stop("sessionize-one")
        counts = counted(pipeline, "sessionize-one")
    middle = len(samples) // 2
    summary = {
        "records": options.records,
        "produced_s": round(produced_s),
        "seconds": round(time.monotonic() - started),
        "dead_decode": counts["dead_decode"],
        "dead_unknown_schema": counts["dead_unknown_schema"],
        "sessions": counts["session_records"],
        "memory_mib": {"first_half": max(samples[: middle or 1]) // 1024, "second_half": max(samples[middle:]) // 1024},
    }
    print(json.dumps(summary))
    if (counts["dead_decode"], counts["dead_unknown_schema"]) != (kinds["decode"], kinds["unknown_schema"]):
        raise Failed(f"{kinds} were sent, counted are {counts}")
    if counts["records_in"] != options.records + good + pipeline.partitions:
        raise Failed(f"{options.records + good} records and the closers, counted are {counts}")
    if max(samples[middle:]) > 1.1 * max(samples[: middle or 1]):
        raise Failed(f"memory grows: {samples}")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
