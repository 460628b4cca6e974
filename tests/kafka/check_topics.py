#!/usr/bin/env python3
"""Reads all of mtf's topics with independent clients and checks every record; prints a JSON summary.

    check_topics.py BOOTSTRAP [--topic exploration=mtf.exploration ...]

Exit code 0: every record is as schemas/README.md says; 1: the summary's "problems" tell what is not.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict

import numpy

import records

TOPICS = {
    "exploration": "mtf.exploration",
    "sessions": "mtf.sessions",
    "late": "mtf.late",
    "dead_letter": "mtf.dead-letter",
    "policy": "mtf.policy",
    "policy_history": "mtf.policy-history",
}
# Formula 2 with the settings' defaults; watch is winsorised.
WEIGHTS = {"valid": 1.0, "watch": 0.02, "finish": 0.5, "positive": 2.0, "negative": -2.0}
WATCH_MAX = 300.0
PROBLEMS_MAX = 20
EDGE = 1e-5  # float32 rounding of baseline + offset


class Check:
    def __init__(self, bootstrap: str, topics: dict):
        self.bootstrap = bootstrap
        self.topics = topics
        self.schemas = records.Schemas()
        self.problems = []
        self.counts = {}
        self.dimensions = set()

    def problem(self, message, text: str, topic: str):
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(f"{topic}/{message.partition}@{message.offset}: {text}")

    def each(self, role: str, name: str):
        """(message, datum) of every record of a topic that is a `name`; others are problems."""
        topic = self.topics[role]
        self.counts[role] = 0
        for message in records.read_topic(self.bootstrap, topic):
            self.counts[role] += 1
            if message.value is None:
                if role != "policy":
                    self.problem(message, "a tombstone", topic)
                continue
            try:
                found, datum = self.schemas.decode(message.value)
            except records.Broken as error:
                self.problem(message, str(error), topic)
                continue
            if found != name:
                self.problem(message, f"a {found}, not a {name}", topic)
                continue
            yield message, datum

    def request(self, request: dict):
        """The words of what is wrong with a request, or None."""
        A = len(request["action"])
        self.dimensions.add((len(request["state"]), A))
        vectors = {k: numpy.asarray(request[k], dtype=float) for k in ("state", "action", "baseline_action", "lower", "upper")}
        if not all(numpy.isfinite(v).all() for v in vectors.values()):
            return "a number is not finite"
        if len(request["baseline_action"]) != A or len(request["lower"]) not in (0, A) or len(request["upper"]) not in (0, A):
            return "action, baseline and box differ in length"
        if (abs(vectors["action"]) > 1 + EDGE).any() or (abs(vectors["baseline_action"]) > 1 + EDGE).any():
            return "an action is outside [-1,1]"
        offset = vectors["action"] - vectors["baseline_action"]
        if request["bucket"] == "explore" and len(request["lower"]) == A:
            if (offset < vectors["lower"] - EDGE).any() or (offset > vectors["upper"] + EDGE).any():
                return "an explored action is outside its box"
        if request["sample_weight"] <= 0 or not request["items"]:
            return "no items, or a sample weight <= 0"
        return None

    def exploration(self):
        kinds, versions, users = Counter(), Counter(), {}
        for message, event in self.each("exploration", "mtf.ExplorationEvent"):
            kind, body = event["body"]
            kinds[kind.removeprefix("mtf.")] += 1
            if message.key.decode() != event["user_id"]:
                self.problem(message, "key is not the user id", self.topics["exploration"])
            if users.setdefault(event["user_id"], message.partition) != message.partition:
                self.problem(message, "one user in two partitions", self.topics["exploration"])
            if kind == "mtf.Request":
                versions[body["policy_version"]] += 1
                wrong = self.request(body)
                if wrong:
                    self.problem(message, wrong, self.topics["exploration"])
        return {"kinds": dict(kinds), "requests_by_policy_version": {str(v): n for v, n in sorted(versions.items())}}

    def sessions(self):
        seen, rewards, reasons = set(), defaultdict(list), Counter()
        doubled = 0
        for message, session in self.each("sessions", "mtf.Session"):
            place = (session["session_id"], session["part"])
            doubled += place in seen
            first_time = place not in seen
            seen.add(place)
            reasons[session["end_reason"]] += 1
            times = [step["time_ms"] for step in session["steps"]]
            if message.key.decode() != session["user_id"]:
                self.problem(message, "key is not the user id", self.topics["sessions"])
            if times != sorted(times) or not session["started_ms"] <= session["ended_ms"]:
                self.problem(message, "steps are not in order of time", self.topics["sessions"])
            if not 0 <= session["part"] < session["parts"]:
                self.problem(message, f"part {session['part']} of {session['parts']}", self.topics["sessions"])
            total = 0.0
            for step in session["steps"]:
                wrong = self.request(step["request"])
                if wrong:
                    self.problem(message, wrong, self.topics["sessions"])
                total += sum(reward(item) for item in step["request"]["items"])
            if first_time and session["steps"]:
                rewards[session["steps"][0]["request"]["policy_version"]].append(total)
        value = {
            str(version): {
                "sessions": len(totals),
                "mean": float(numpy.mean(totals)),
                "error": float(numpy.std(totals) / max(1, len(totals)) ** 0.5),
            }
            for version, totals in sorted(rewards.items())
        }
        return {"doubled": doubled, "end_reasons": dict(reasons), "reward_by_policy_version": value}

    def policies(self):
        history, worst = {}, 0.0
        for message, policy in self.each("policy_history", "mtf.Policy"):
            try:
                worst = max(worst, records.check_policy(policy))
            except records.Broken as error:
                self.problem(message, str(error), self.topics["policy_history"])
            history[(policy["name"], policy["version"])] = message.value
        served = []
        for message, policy in self.each("policy", "mtf.Policy"):
            suffix = "" if policy["stage"] == "live" else "#" + policy["stage"]
            if message.key.decode() != policy["name"] + suffix:
                self.problem(message, f"key {message.key!r}", self.topics["policy"])
            if history.get((policy["name"], policy["version"])) != message.value:
                self.problem(message, "not the same bytes on the history topic", self.topics["policy"])
            if policy["verdict"] in ("hold", "reject"):
                self.problem(message, f"a verdict of {policy['verdict']} on the servable topic", self.topics["policy"])
            try:
                worst = max(worst, records.check_policy(policy))
            except records.Broken as error:
                self.problem(message, str(error), self.topics["policy"])
            served.append(policy["version"])
        return {"history": sorted(v for _, v in history), "served": served, "worst_action_difference": worst}

    def aside(self):
        """Late records are the events as they came; dead letters may be anything, and say why."""
        reasons = Counter()
        for _ in self.each("late", "mtf.ExplorationEvent"):
            pass
        self.counts["dead_letter"] = 0
        for message in records.read_topic(self.bootstrap, self.topics["dead_letter"]):
            self.counts["dead_letter"] += 1
            reason = next((v for k, v in message.headers.items() if k.endswith("reason")), None)
            if reason is None:
                self.problem(message, "a dead letter without a reason", self.topics["dead_letter"])
            reasons[(reason or b"").decode()] += 1
        return {"dead_letter_reasons": dict(reasons)}

    def run(self) -> dict:
        summary = {"exploration": self.exploration(), "sessions": self.sessions(), "policies": self.policies(), "aside": self.aside()}
        if len(self.dimensions) > 1:
            self.problems.append(f"records of several dimensions: {sorted(self.dimensions)}")
        return {"counts": self.counts, **summary, "problems": self.problems}


def reward(item: dict) -> float:
    total = 0.0
    for signal in item["signals"]:
        value = min(signal["value"], WATCH_MAX) if signal["name"] == "watch" else signal["value"]
        total += WEIGHTS.get(signal["name"], 0.0) * value
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bootstrap")
    parser.add_argument("--topic", action="append", default=[], metavar="ROLE=NAME")
    arguments = parser.parse_args()
    topics = dict(TOPICS)
    for pair in arguments.topic:
        role, _, name = pair.partition("=")
        if role not in topics or not name:
            parser.error(f"--topic {pair}: ROLE is one of {', '.join(topics)}")
        topics[role] = name
    summary = Check(arguments.bootstrap, topics).run()
    json.dump(summary, sys.stdout, indent=1)
    print()
    return 1 if summary["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
