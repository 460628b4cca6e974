#!/usr/bin/env python3
"""Goal: `mtf topics create`, the stages' look at their topics, `mtf offsets`, `mtf sessions tail` and
`mtf config check --connect` hold on a real broker what docs/operations.md says of them. Method: the commands
as an operator runs them, between topics that are spoilt with the admin API, a sessionizer and its log.

    operators.py MTF RUN     (a folder of broker.sh with a broker up; the topics ops.* are new)

The processes' outputs are in RUN/operators.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from processes import Failed, Processes, main, wait_until

PREFIX = "ops."
PARTITIONS = 3
SESSIONS = 300

SETTINGS = """\
kafka:
  bootstrap_servers: {bootstrap}
  producer.linger.ms: 5
topics: {{exploration: ops.exploration, sessions: ops.sessions, late: ops.late, dead_letter: ops.dead-letter,
          policy: ops.policy, policy_history: ops.policy-history, leader: ops.leader}}
sessionize: {{group: ops, instance: one, commit_interval_ms: 100}}
store.path: {folder}/store
"""


def expect(what: str, wanted, got):
    if wanted != got:
        raise Failed(f"{what}: expected {wanted}, got {got}")


class Stand:
    def __init__(self, processes: Processes, bootstrap: str):
        self.processes, self.bootstrap, self.folder = processes, bootstrap, processes.folder
        self.config = self.folder / "mtf.yaml"
        self.config.write_text(SETTINGS.format(bootstrap=bootstrap, folder=self.folder))
        self.admin = AdminClient({"bootstrap.servers": bootstrap})

    def call(self, code: int, *words, says=()) -> str:
        """Runs mtf to its end, which must be this code and these words; its standard output."""
        command = [self.processes.mtf, *map(str, words), "-c", str(self.config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        told = done.stdout + done.stderr
        if done.returncode != code:
            raise Failed(f"{' '.join(command)}: code {done.returncode}, not {code}: {told}")
        for text in says:
            if text not in told:
                raise Failed(f"{' '.join(command)}: does not say '{text}': {told}")
        return done.stdout

    def settings_of(self, topic: str) -> dict:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        return {k: v.value for k, v in self.admin.describe_configs([resource])[resource].result(30).items()}

    def change(self, topic: str, **values):
        """Sets these, and all else that was set on the topic to the broker's default."""
        config = {k.replace("_", "."): v for k, v in values.items()}
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config=config)
        self.admin.alter_configs([resource])[resource].result(30)

    def offsets(self) -> list:
        return json.loads(self.call(0, "offsets", "show", "--json"))["partitions"]


def check_topics(stand: Stand):
    """Nothing with --dry-run, then all, then nothing again."""
    told = stand.call(0, "topics", "create", "--partitions", PARTITIONS, "--dry-run")
    expect("topics that a dry run says it would create", 7, told.count("would be created"))
    if [name for name in stand.admin.list_topics(timeout=30).topics if name.startswith(PREFIX)]:
        raise Failed("a dry run created topics")
    stand.call(0, "topics", "create", "--partitions", PARTITIONS, says=["7 created, 0 differ"])
    stand.call(0, "topics", "create", says=["0 created, 0 differ"])
    made = stand.admin.list_topics(timeout=30).topics
    expect("partitions", PARTITIONS, len(made["ops.exploration"].partitions))
    expect("partitions", 1, len(made["ops.policy"].partitions))
    expect("the policy topic's cleanup", "compact", stand.settings_of("ops.policy")["cleanup.policy"])
    history = stand.settings_of("ops.policy-history")
    expect("the history's retention", ("-1", "-1"), (history["retention.ms"], history["retention.bytes"]))
    expect("stamps", "LogAppendTime", stand.settings_of("ops.exploration")["message.timestamp.type"])
    stand.call(64, "topics", "create", "--replication", 2, says=["there are 1 brokers"])


def check_differences(stand: Stand):
    """Each is told with its remedy; a stage refuses the worst and warns of the others."""
    stand.change("ops.sessions", cleanup_policy="compact")
    stand.change("ops.exploration", message_timestamp_type="LogAppendTime", retention_ms="60000")
    remedy = f"kafka-configs.sh --bootstrap-server {stand.bootstrap} --alter --entity-type topics --entity-name"
    stand.call(
        1,
        "topics",
        "create",
        says=[
            "refused  cleanup.policy is compact, not delete",
            f"{remedy} ops.sessions --add-config cleanup.policy=delete",
            "warning  retention.ms is 60000, not 628560000",
            f"{remedy} ops.exploration --add-config retention.ms=628560000",
        ],
    )
    expect("what a look left of the setting", "compact", stand.settings_of("ops.sessions")["cleanup.policy"])
    refusal = ["topic ops.sessions: cleanup.policy is compact, not delete", "--add-config cleanup.policy=delete"]
    for command in (["sessionize"], ["learn", "--fail-fast"]):
        stand.call(64, *command, says=refusal)
    stand.call(64, "config", "check", "--connect", says=["failed   ops.sessions: cleanup.policy is compact"])
    stand.change("ops.sessions")
    stand.change("ops.exploration", message_timestamp_type="CreateTime")
    stand.call(64, "sessionize", says=["ops.exploration: message.timestamp.type is CreateTime, not LogAppendTime"])
    stand.change("ops.exploration", message_timestamp_type="LogAppendTime", retention_ms="60000")
    stand.processes.start("warned", "sessionize", "-c", stand.config)
    log = stand.folder / "warned.log"
    advice = "msg=topics.advice topic=ops.exploration setting=retention.ms is=60000"
    wait_until("the advice", 60, lambda: advice in log.read_text())
    wait_until("the start", 60, lambda: "event=assign" in log.read_text())
    stand.processes.stop("warned")
    stand.change("ops.exploration", message_timestamp_type="LogAppendTime")
    expect("differences when all is well", 0, stand.call(0, "topics", "create", "--json").count('"level":"refused"'))
    added = NewTopic("ops.two-leaders", 2, 1)
    stand.admin.create_topics([added], operation_timeout=30)["ops.two-leaders"].result(60)
    two = ["--set", "topics.leader=ops.two-leaders"]
    stand.call(1, "topics", "create", *two, says=["refused  partitions is 2, not 1", "--set topics.leader=ANOTHER-NAME"])


def check_offsets(stand: Stand):
    """Lag and metadata in words; a reset is refused while a member lives, then sends all out again."""
    stand.processes.start("learn", "learn", "-c", stand.config)  # the simulator wants a policy
    log = stand.folder / "learn.log"
    wait_until("the first policy", 60, lambda: "msg=policy.initial" in log.read_text())
    stand.processes.run("simulate", "simulate", "-c", stand.config, "--sessions", SESSIONS, "--seed", 7, limit_s=120)
    stand.processes.stop("learn")
    stand.processes.start("one", "sessionize", "-c", stand.config)
    wait_until("all read", 120, lambda: all(p["lag"] == 0 and p["committed"] == p["end"] for p in stand.offsets()))
    parts = stand.offsets()
    expect("metadata", ["place"] * PARTITIONS, [p["metadata"] for p in parts])
    if not all(p["open_from"] <= p["committed"] and p["watermark_ms"] > 0 for p in parts):
        raise Failed(f"offsets make no sense: {parts}")
    stand.call(0, "offsets", "show", says=["group ops on ops.exploration: Stable, 1 members (one at 127.0.0.1)", "lag 0\n"])
    stand.call(
        64,
        "offsets",
        "reset",
        "--to-earliest",
        "--execute",
        says=["group ops has 1 members (one at 127.0.0.1): stop the sessionizers first"],
    )
    expect("commits after a refusal", True, all(p["committed"] > 0 for p in stand.offsets()))
    out = stand.call(0, "sessions", "tail", "--from", "2020-01-01", "--to-end", "--json")
    before = [json.loads(line) for line in out.splitlines()]
    stand.processes.stop("one")
    return before


def check_reset(stand: Stand, before: list):
    stand.call(0, "offsets", "reset", "--to-earliest", says=["a dry run: nothing was changed", "session_id"])
    expect("commits after a dry run", True, all(p["committed"] > 0 for p in stand.offsets()))

    def reset() -> bool:  # the broker itself refuses while the static member's session lasts
        command = [stand.processes.mtf, "offsets", "reset", "--to-earliest", "--execute", "-c", str(stand.config)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0

    wait_until("the reset", 90, reset, 1)
    expect("commits", [(0, "clean")] * PARTITIONS, [(p["committed"], p["metadata"]) for p in stand.offsets()])
    stand.processes.start("again", "sessionize", "-c", stand.config)
    wait_until("all read again", 120, lambda: all(p["lag"] == 0 and p["committed"] == p["end"] for p in stand.offsets()))
    stand.processes.stop("again")
    out = stand.call(0, "sessions", "tail", "--from", "2020-01-01", "--to-end", "--json")
    place = lambda s: (s["session_id"], s["part"])  # noqa: E731
    old, new = [place(s) for s in before], [place(json.loads(line)) for line in out.splitlines()]
    if not old or len(set(old)) != len(old):
        raise Failed(f"{len(old)} sessions before the reset, {len(set(old))} different ones")
    missing = [one for one in old if new.count(one) != 2]
    expect("sessions that did not come again under their ids", [], missing)
    user = before[0]["user_id"]
    out = stand.call(0, "sessions", "tail", "--from", "2020-01-01", "--to-end", "--json", "--user", user)
    expect("users of a tail by user", {user}, {json.loads(line)["user_id"] for line in out.splitlines()})


def check_datetime(stand: Stand):
    """To a time between two batches of events: to the offset where the second begins."""
    ends = [p["end"] for p in stand.offsets()]
    asker = confluent_kafka.Consumer({"bootstrap.servers": stand.bootstrap, "group.id": "asker"})
    middle = [confluent_kafka.TopicPartition("ops.exploration", i, ends[i] // 2) for i in range(PARTITIONS)]
    asker.assign([middle[0]])
    message = asker.poll(30)
    while message is None or message.error():
        message = asker.poll(30)
    time_ms = message.timestamp()[1]
    wanted = asker.offsets_for_times(
        [confluent_kafka.TopicPartition("ops.exploration", i, time_ms) for i in range(PARTITIONS)], timeout=30
    )
    asker.close()
    told = json.loads(stand.call(0, "offsets", "reset", "--to-datetime", time_ms, "--json"))
    expect("done by a dry run", False, told["done"])
    found = [p["target"] for p in told["partitions"]]
    expect("targets", [ends[p.partition] if p.offset < 0 else p.offset for p in wanted], found)


def check_connect(stand: Stand):
    told = stand.call(0, "config", "check", "--connect", says=["reading ops.exploration: a record came"])
    if re.search(r"^(failed|warning)", told, re.M):
        raise Failed(f"a sound cluster is not: {told}")
    stand.call(64, "config", "check", "--connect", "--set", "topics.late=ops.none", says=["failed   ops.none: it does not exist"])


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    folder = run_folder / "operators"
    folder.mkdir()
    with Processes(mtf, folder) as processes:
        stand = Stand(processes, bootstrap)
        check_topics(stand)
        check_differences(stand)
        before = check_offsets(stand)
        check_reset(stand, before)
        check_datetime(stand)
        check_connect(stand)
    print(f"operators: {len(before)} sessions, all of them twice after a reset")


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
