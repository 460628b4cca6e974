"""The policy topics under faults: every version once, the same bytes wherever it is, only forwards."""

import oracle


def read(pipeline, role: str) -> list:
    """(offset, key, value, policy or None for a tombstone) of every committed record."""
    schemas = oracle.records.Schemas()
    out = []
    for message in oracle.read_partition(pipeline.cluster.bootstrap, pipeline.topic(role), 0, "read_committed"):
        value = message.value()
        out.append((message.offset(), message.key(), value, schemas.decode(value)[1] if value else None))
    return out


def ordered(policy: dict) -> bool:
    """An operator's record (rollback, freeze ...) has another version's network, and says whose."""
    return any(metric["name"] == "payload_of" for metric in policy["metrics"])


def check(pipeline, result) -> dict:
    """Notes what is doubled or different; what was published."""
    history = {}
    networks = {}  # of a round: version, by the network and the version it was trained from
    for offset, _, value, policy in read(pipeline, "policy_history"):
        version = policy["version"]
        if version in history:
            kind = "doubled" if history[version] == value else "different"
            result.note(kind, "policies", f"version {version} is on the history again at {offset}")
        elif policy["round"] > 0 and not ordered(policy):
            first = networks.setdefault((policy["round"], policy["parent"], policy["payload"]), version)
            if first != version:
                result.note("doubled", "policies", f"version {version} is version {first} published again")
        history[version] = value
    newest, served = 0, 0
    for offset, _, value, policy in read(pipeline, "policy"):
        if policy is None:
            continue
        served += 1
        if policy["version"] <= newest:
            result.note("doubled", "policies", f"version {policy['version']} is served at {offset} after {newest}")
        if policy["parent"] != newest:
            result.note("different", "policies", f"version {policy['version']} was made for {policy['parent']}, but {newest} was served")
        newest = max(newest, policy["version"])
        if history.get(policy["version"]) != value:
            result.note("different", "policies", f"version {policy['version']} is served with other bytes than on the history")
    return {"on_history": len(history), "served": served}
