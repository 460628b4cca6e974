"""mtf's topics under names of a test's own, made by `mtf topics create` (fine if they are there)."""

import subprocess

# What the settings call each; its name behind the prefix.
NAMES = {
    "exploration": "exploration",
    "sessions": "sessions",
    "late": "late",
    "dead_letter": "dead-letter",
    "policy": "policy",
    "policy_history": "policy-history",
    "leader": "leader",
}


def settings(prefix: str) -> list:
    """Arguments of mtf that name the topics so."""
    return [word for role, name in NAMES.items() for word in ("--set", f"topics.{role}={prefix}{name}")]


def create(mtf: str, bootstrap: str, partitions: int, replication: int, prefix: str = "mtf.") -> None:
    sizes = ["--partitions", str(partitions), "--replication", str(replication)]
    brokers = ["--set", f"kafka.bootstrap_servers={bootstrap}"]
    made = subprocess.run(
        [str(mtf), "topics", "create", *sizes, *brokers, *settings(prefix)], capture_output=True, text=True, timeout=120
    )
    if made.returncode != 0:
        raise SystemExit(f"topics: code {made.returncode}\n{made.stdout}{made.stderr}")
