#!/usr/bin/env python3
"""Creates mtf's topics with the settings their contracts ask for (fine if they exist).

    topics.py BOOTSTRAP [--partitions N] [--replication N] [--prefix mtf.]
"""

import argparse
import sys

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

# name behind the prefix: (partitions, or None for --partitions; settings)
TOPICS = {
    "exploration": (None, {"message.timestamp.type": "LogAppendTime"}),
    "sessions": (None, {}),
    "late": (1, {}),
    "dead-letter": (1, {}),
    "policy": (1, {"cleanup.policy": "compact"}),
    "policy-history": (1, {"retention.ms": "-1", "retention.bytes": "-1"}),
    "leader": (1, {}),
}


def create(bootstrap: str, partitions: int, replication: int, prefix: str = "mtf.") -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [
        NewTopic(prefix + name, count or partitions, replication, config=config)
        for name, (count, config) in TOPICS.items()
    ]
    for name, future in admin.create_topics(wanted, operation_timeout=30).items():
        try:
            future.result(60)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise SystemExit(f"topics: {name}: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--replication", type=int, default=1)
    parser.add_argument("--prefix", default="mtf.")
    arguments = parser.parse_args()
    create(arguments.bootstrap, arguments.partitions, arguments.replication, arguments.prefix)


if __name__ == "__main__":
    sys.exit(main())
