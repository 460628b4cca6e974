#!/usr/bin/env python3
"""Goal: `mtf topics create` and the stages' look at their topics hold on a real broker what docs/operations.md says of them. Method: the commands
as an operator runs them, between topics that are spoilt with the admin API.

    operators.py MTF RUN     (a folder of broker.sh with a broker up; the topics ops.* are new)

The processes' outputs are in RUN/operators.
"""

import subprocess
import sys
from pathlib import Path

from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from processes import Failed, Processes, main, wait_until

PREFIX = "ops."
PARTITIONS = 3

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


def run(mtf: str, run_folder: Path):
    bootstrap = (run_folder / "bootstrap").read_text().strip()
    folder = run_folder / "operators"
    folder.mkdir()
    with Processes(mtf, folder) as processes:
        stand = Stand(processes, bootstrap)
        check_topics(stand)
        check_differences(stand)


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
