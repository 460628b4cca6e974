#!/usr/bin/env python3
"""How long a sessionizer that is killed with many open sessions is away: from kill -9 (and its start again at
once) to the first output that is committed after it.

    recovery.py MTF CLUSTER [--sessions N] [--records N] [--times N]

Each open session has --records records, so the start reads sessions x records again. Prints a JSON object;
exit code 0 if all that was open was open again.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import oracle
from cluster import Cluster
from matrix import Records, now_ms
from pipeline import Failed, Pipeline, wait_until


def measure(pipeline: Pipeline, records: Records, number: int) -> float:
    """Seconds until the dead letter of a record that came while it was away is committed."""
    before = pipeline.ends("dead_letter", "read_committed")[0]
    pipeline.kill("sessionize-one")
    records.send((b"late", b"garbage %d" % number))
    started = time.monotonic()
    pipeline.spawn(pipeline.services["sessionize-one"])
    wait_until("its dead letter", 120, lambda: pipeline.ends("dead_letter", "read_committed")[0] > before, 0.02)
    return time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mtf")
    parser.add_argument("cluster")
    parser.add_argument("--sessions", type=int, default=100000)
    parser.add_argument("--records", type=int, default=5)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mtf-recovery-"))
    rules = oracle.Rules(gap_ms=1800000, grace_ms=60000, out_of_orderness_ms=5000, max_duration_ms=21600000)
    prefix = f"recovery-{int(time.time())}"
    with Pipeline(Path(options.mtf).resolve(), Cluster(Path(options.cluster)), folder, prefix, 4, rules) as pipeline:
        records = Records(pipeline)
        pipeline.start_sessionizer("one")
        for round_number in range(options.records):
            at = now_ms()
            for i in range(options.sessions):
                event = records.request(f"user-{i}", at)
                records.load.send([(event["user_id"].encode(), records.make.encode(event))])
        records.load.finish()
        pipeline.wait_sessionized(300)
        seconds = [measure(pipeline, records, i) for i in range(options.times)]
        pipeline.stop("sessionize-one")
        words = (pipeline.folder / "sessionize-one.log").read_text().splitlines()
        end = [line for line in words if "msg=sessionize.end" in line][-1]
    held = int(end.split(" open=")[1].split()[0])
    print(json.dumps({"open_sessions": held, "records_each": options.records, "seconds": [round(s, 2) for s in seconds]}))
    if held < options.sessions:
        raise Failed(f"{held} sessions are open, {options.sessions} were: {folder}")
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
