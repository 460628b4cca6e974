#!/usr/bin/env python3
"""Goal: the closed loop runs on a real broker and its policies get better. Method: two `mtf sessionize`,
one `mtf learn` and `mtf simulate` as processes, until the simulator has served three policies of rounds;
then independent clients read every topic and the counts must agree.

    e2e.py MTF RUN

MTF is the program; RUN a folder of broker.sh with a broker up and none of the topics mtf.* used yet. The
processes' outputs and the summary are in RUN/e2e.
"""

import json
import sys
import time
from pathlib import Path

import confluent_kafka
import safetensors.numpy

import check_topics
import records
import topics
from processes import Failed, Processes, main, wait_until

POLICIES = 3  # to be trained, published and served
SESSIONS = 40000  # a round's; half the default
EXTRA_MAX = 6  # pairs of rounds more, where the gate held one
DAY_MS = 86400000
START_MS = (int(time.time() * 1000) // DAY_MS - 25) * DAY_MS  # in the past to the last extra round

# The gate is as by default, so it may hold a round that has little data: then more of it comes. The
# networks and steps are small, for the time.
SETTINGS = """\
kafka:
  bootstrap_servers: {bootstrap}
store:
  path: {folder}/store
round:
  min_sessions: {sessions}
learner:
  steps: 1500
  hidden: 32
  critics: 8
"""


def simulate(processes: Processes, config: Path) -> list:
    """The simulator's lines, one a round. A process serves until POLICIES rounds are published and taken
    up; if the gate held some, another goes on: its first round adds data, its second takes up the policy."""
    lines = []
    for run in range(EXTRA_MAX + 1):
        rounds = POLICIES + 1 if run == 0 else 2
        arguments = ["-c", config, "--rounds", rounds, "--sessions", SESSIONS, "--seed", run + 1, "--value"]
        arguments += ["--wait", 45, "--start-ms", START_MS + len(lines) * DAY_MS]
        out = processes.run(f"simulate-{run + 1}", "simulate", *arguments, limit_s=400)
        lines += [json.loads(line) for line in out.splitlines()]
        versions = sorted({line["policy_version"] for line in lines})
        print(f"e2e: {len(lines)} rounds simulated, policies served: {versions}", flush=True)
        if len(versions) > POLICIES:
            return lines
    raise Failed(f"{len(lines)} rounds were simulated, only the policies {versions} served")


def check_value(lines: list, summary: dict):
    """The true value to fresh users, and the reward of the sessions as the clients read it, rose."""
    values = {line["policy_version"]: line["value"] for line in lines}
    seen = {int(v): r for v, r in summary["sessions"]["reward_by_policy_version"].items()}
    for version, value in sorted(values.items()):
        reward = f"{seen[version]['mean']:.2f} +- {seen[version]['error']:.2f}"
        print(f"e2e: policy {version}: value {value['mean']:.2f} {value['ci']}, explored {reward}")
    first, last = min(values), max(values)
    if not values[first]["ci"][1] < values[last]["ci"][0]:
        raise Failed("the value did not rise")
    rise = seen[last]["mean"] - seen[first]["mean"]
    if not rise > 3 * (seen[last]["error"] + seen[first]["error"]):
        raise Failed(f"the reward of a session did not rise: {rise}")


def store_stats(processes: Processes, config: Path) -> dict:
    (processes.folder / "store.out").unlink(missing_ok=True)
    return json.loads(processes.run("store", "store", "stats", "--json", "-c", config))


def check_store(processes: Processes, config: Path, sessions: int, requests: int):
    """What was simulated is what is stored, once the learner has read it and stopped."""
    wait_until("the learner reads all sessions", 120, lambda: store_stats(processes, config)["records"] >= sessions, 1)
    processes.stop("learn")
    stats = store_stats(processes, config)
    found = [stats[name] for name in ("records", "sessions", "transitions", "duplicates", "bad")]
    if found != [sessions, sessions, requests, 0, 0]:
        raise Failed(f"{sessions} sessions with {requests} requests were simulated, the store has {stats}")


def check_clients(folder: Path, bootstrap: str, lines: list, sessions: int) -> dict:
    started = time.monotonic()
    summary = check_topics.Check(bootstrap, check_topics.TOPICS).run()
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
    if summary["problems"]:
        raise Failed("\n".join(summary["problems"]))
    requests = {int(v): n for v, n in summary["exploration"]["requests_by_policy_version"].items()}
    if set(requests) != {line["policy_version"] for line in lines}:
        raise Failed(f"requests by policy version: {requests}, the simulator says {lines}")
    if sum(requests.values()) != sum(line["requests"] for line in lines):
        raise Failed(f"{sum(requests.values())} requests on the topic, the simulator says {lines}")
    if summary["counts"]["sessions"] != sessions or summary["sessions"]["doubled"]:
        raise Failed(f"{sessions} sessions were simulated, on the topic are {summary['counts']}")
    if summary["counts"]["late"] < sum(line["late_ends"] for line in lines) or summary["counts"]["dead_letter"]:
        raise Failed(f"set aside: {summary['counts']}, the simulator says {lines}")
    worst = summary["policies"]["worst_action_difference"]
    print(f"e2e: {summary['counts']} read in {time.monotonic() - started:.0f} s, actions differ by {worst:.2g} at most")
    return summary


def check_policy_commands(processes: Processes, config: Path, bootstrap: str, summary: dict):
    """`mtf policy` shows what the clients read, and exports what they can open."""
    schemas = records.Schemas()
    head = list(records.read_topic(bootstrap, "mtf.policy"))[-1].value
    _, policy = schemas.decode(head)
    version = policy["version"]

    listed = processes.run("policy-list", "policy", "list", "--history", "--json", "-c", config).splitlines()
    if sorted(json.loads(line)["version"] for line in listed) != summary["policies"]["history"]:
        raise Failed(f"policy list --history: {listed}")
    shown = json.loads(processes.run("policy-show", "policy", "show", "--json", "-c", config))
    if shown["version"] != version or shown["sha256"] != policy["sha256"].hex():
        raise Failed(f"policy show: {shown}, the topic's newest is version {version}")

    tensors, record = processes.folder / "policy.safetensors", processes.folder / "policy.avro"
    processes.run("policy-export", "policy", "export", "--out", tensors, "-c", config)
    processes.run("policy-export", "policy", "export", "--out", record, "--format", "record", "-c", config)
    if "normaliser.mean" not in safetensors.numpy.load_file(tensors) or tensors.read_bytes() != policy["payload"]:
        raise Failed(f"{tensors} is not the payload of version {version}")
    if record.read_bytes() != head:
        raise Failed(f"{record} is not the record of version {version}")


def check_interruption(processes: Processes, config: Path, bootstrap: str):
    """A simulator in the midst of a round leaves with 0 on SIGTERM, too."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "e2e"})
    place = confluent_kafka.TopicPartition("mtf.exploration", 0)
    before = consumer.get_watermark_offsets(place, timeout=30)[1]
    start_ms = START_MS + 20 * DAY_MS
    processes.start("simulate-stopped", "simulate", "-c", config, "--sessions", 10**6, "--start-ms", start_ms)
    wait_until("new events", 60, lambda: consumer.get_watermark_offsets(place, timeout=30)[1] > before)
    consumer.close()
    processes.stop("simulate-stopped")


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    folder = run_folder / "e2e"
    folder.mkdir()
    config = folder / "mtf.yaml"
    config.write_text(SETTINGS.format(bootstrap=bootstrap, folder=folder, sessions=SESSIONS))
    topics.create(mtf, bootstrap, 4, 1)
    with Processes(mtf, folder) as processes:
        for name in ("one", "two"):
            processes.start(f"sessionize-{name}", "sessionize", "-c", config, "--set", f"sessionize.instance={name}")
        processes.start("learn", "learn", "-c", config)
        lines = simulate(processes, config)
        sessions = sum(line["sessions"] + line["cap_cuts"] for line in lines)
        check_store(processes, config, sessions, sum(line["requests"] for line in lines))
        summary = check_clients(folder, bootstrap, lines, sessions)
        check_value(lines, summary)
        check_policy_commands(processes, config, bootstrap, summary)
        check_interruption(processes, config, bootstrap)
        processes.stop("sessionize-one")
        processes.stop("sessionize-two")


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
