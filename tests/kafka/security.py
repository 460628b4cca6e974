#!/usr/bin/env python3
"""Goal: every way into a secured broker works, every refusal says what to change, and no secret is ever
printed. Method: a broker of its own with TLS, SASL and ACLs (secure_broker.py); mtf's roles as users that
have just the permissions that docs/security.md gives them, signed policies, hashed users; then each thing
wrong in turn; at the end every byte that any process wrote is searched for every secret there was.

    security.py MTF FOLDER

MTF is the program; FOLDER is made for the broker and the outputs, and removed again when all is well.
"""

import json
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient
from confluent_kafka.admin import ResourcePatternType, ResourceType

import records
import topics
from ports import free_ports
from processes import Failed, Processes, main, wait_until
from secure_broker import SecureBroker

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Test:
    def __init__(self, mtf: str, folder: Path):
        self.mtf, self.folder = mtf, folder
        self.users = {name: f"s3cret-{secrets.token_hex(12)}" for name in ("master", "mtf-sessionize", "mtf-learn", "ranking", "mtf-operator")}
        self.secrets = list(self.users.values())
        self.calls = 0

    def secret_file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def make_keys(self):
        """The commands of docs/security.md, "Keys"."""
        for line in commands_of(PAGE, "openssl"):
            subprocess.run(line, shell=True, check=True, cwd=self.folder, capture_output=True)
        self.secrets += (self.folder / "policy.key").read_text().splitlines()[1:-1]
        self.secrets.append((self.folder / "user.key").read_text().strip())

    def sasl(self, user: str, listener: str = "SASLTLS", mechanism: str = "SCRAM-SHA-512", but: dict = None) -> list:
        """Settings, as --set arguments; the password is in a file."""
        settings = {
            "kafka.bootstrap_servers": self.broker.address(listener),
            "kafka.security.protocol": "sasl_ssl" if listener == "SASLTLS" else "sasl_plaintext",
            "kafka.ssl.ca.location": self.broker.folder / "ca.pem",
            "kafka.sasl.mechanism": mechanism,
            "kafka.sasl.username": user,
            "kafka.sasl.password_file": self.secret_file(f"{user}.password", self.users[user] + "\n"),
        }
        return as_arguments({**settings, **(but or {})})

    def tls(self, listener: str, authority: str, certificate: str = "") -> list:
        settings = {
            "kafka.bootstrap_servers": self.broker.address(listener),
            "kafka.security.protocol": "ssl",
            "kafka.ssl.ca.location": self.broker.folder / f"{authority}.pem",
        }
        if certificate:
            settings["kafka.ssl.certificate.location"] = self.broker.folder / f"{certificate}.crt"
            settings["kafka.ssl.key.location"] = self.broker.folder / f"{certificate}.key"
        return as_arguments(settings)

    def call(self, code: int, words: str, *arguments, env=None) -> str:
        """Runs mtf, which must leave with this code and say these words; its standard output."""
        self.calls += 1
        command = [self.mtf, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=90, env=env)
        (self.folder / f"call-{self.calls}.out").write_text(done.stdout)
        (self.folder / f"call-{self.calls}.log").write_text(done.stderr)
        said = done.stdout + done.stderr
        if done.returncode != code or words not in said:
            raise Failed(f"{shlex.join(command)}: code {done.returncode}, wanted {code} and '{words}':\n{said[-3000:]}")
        return done.stdout

    # ---- ways in ------------------------------------------------------------------------------

    def check_ways_in(self):
        ways = [self.tls("TLS", "ca"), self.tls("MTLS", "ca", "mtf-mutual")]
        for listener in ("SASL", "SASLTLS"):
            ways += [self.sasl("master", listener, mechanism) for mechanism in MECHANISMS]
        for way in ways:
            self.call(0, "VERSION", "policy", "list", *way)
        # All that librdkafka would ever say.
        self.call(0, "VERSION", "policy", "list", *ways[-1], "--set", "kafka.debug=all", "--set", "log.level=debug")

    def check_refusals(self):
        """Each is refused at once where there is nothing to wait for, and says what to look at."""
        wrong = f"s3cret-{secrets.token_hex(12)}"
        self.secrets.append(wrong)
        path = self.secret_file("wrong.password", wrong)
        for mechanism in MECHANISMS:
            way = self.sasl("master", "SASL", mechanism, {"kafka.sasl.password_file": path})
            self.call(69, "check kafka.sasl.mechanism, kafka.sasl.username and the password", "policy", "list", *way)
            debug = ["--set", "kafka.debug=all", "--set", "log.level=debug"]
            self.call(69, "SASL authentication error", "sessionize", "--fail-fast", *way, *debug)
        unvouched = self.sasl("master", but={"kafka.ssl.ca.location": self.broker.folder / "other-ca.pem"})
        port = self.broker.address("TLS").split(":")[1]  # its certificate is for 127.0.0.1
        other_name = [*self.tls("TLS", "ca"), "--set", f"kafka.bootstrap_servers=localhost:{port}"]
        for way in (self.tls("TLS", "other-ca"), unvouched, other_name):
            self.call(69, "kafka.ssl.ca.location must hold", "policy", "list", *way)
        for certificate in ("", "stranger"):
            way = self.tls("MTLS", "ca", certificate)
            self.call(69, "refuse this client's certificate", "learn", "--fail-fast", *way)
        plain = ["--set", f"kafka.bootstrap_servers={self.broker.address('TLS')}"]
        self.call(69, "check kafka.security.protocol", "policy", "list", *plain)

    # ---- secrets ------------------------------------------------------------------------------

    def check_secret_settings(self):
        """A secret is shown by no command, however it came in; a bad one is refused and not quoted."""
        password = self.users["master"]
        printed = self.call(0, "sasl.password: \"***\"", "config", "print", *self.sasl("master"))
        if "policy.key" in printed:
            raise Failed("config print shows settings that were not set")
        line = ["--set", f"kafka.sasl.password={password}"]
        self.call(0, "settings.exposed", "config", "print", *line)
        self.call(0, "***", "config", "print", env={"MTF_KAFKA_SASL_PASSWORD": password})
        self.call(64, "kafka.sasl.jaas.config", "config", "check", "--set", f"kafka.sasl.jaas.config=password={password}")
        self.call(64, "is not section.key=value", "config", "check", "--set", f"kafka.sasl.password:{password}")
        self.call(64, "", "config", "check", "--set", f"kafka.sasl.pasword={password}")
        for name, words in (("missing", "No such file"), (".", "Is a directory"), ("empty", "empty")):
            self.secret_file("empty", "\n")
            path = self.folder / name
            self.call(64, words, "config", "check", "--set", f"kafka.sasl.password_file={path}")
        broken = f"-----BEGIN PRIVATE KEY-----\n{password}\n-----END PRIVATE KEY-----\n"
        path = self.secret_file("broken.pem", broken)
        way = self.tls("MTLS", "ca") + ["--set", f"kafka.ssl.key.pem_file={path}"]
        self.call(64, "ssl.key.pem", "policy", "list", *way)
        self.call(64, "privacy.user_key_file", "config", "check", "--set", f"privacy.user_key_file={path}")
        self.call(64, "policy.signing_key_file", "config", "check", "--set", f"policy.signing_key_file={path}")

    def check_nothing_leaked(self):
        """In no output of any process; files that are inputs are left out by their names."""
        outputs = [path for path in self.folder.iterdir() if path.suffix in (".log", ".out")]
        if len(outputs) < self.calls:
            raise Failed(f"{len(outputs)} outputs are kept of {self.calls} calls")
        for path in outputs:
            text = path.read_bytes()
            for secret in self.secrets:
                if secret.encode() in text:
                    raise Failed(f"{path} shows a secret: ...{text[max(0, text.index(secret.encode()) - 200):][:300]}")
        print(f"security: {len(self.secrets)} secrets are in none of {len(outputs)} outputs", flush=True)

    # ---- roles --------------------------------------------------------------------------------

    def keys(self) -> list:
        names = {"policy.signing_key_file": "policy.key", "policy.public_key_file": "policy.pub"}
        names["privacy.user_key_file"] = "user.key"
        return as_arguments({key: self.folder / name for key, name in names.items()})

    def role(self, user: str, *more) -> list:
        small = {"learner.steps": 50, "round.min_sessions": 10**9, "store.path": self.folder / "store"}
        return [*self.sasl(user), *self.keys(), *as_arguments(small), *more]

    def check_roles(self):
        """Events -> sessions -> a signed policy, each role with its own permissions only."""
        for line in commands_of(PAGE, "kafka-acls.sh"):
            self.broker.acls(*shlex.split(line.replace("HOST:PORT", self.broker.address("PLAINTEXT")))[1:])
        with Processes(self.mtf, self.folder) as processes:
            port = free_ports(1)[0]
            processes.start("learn", "learn", *self.role("mtf-learn", "--set", f"http.port={port}"))
            processes.start("sessionize", "sessionize", *self.role("mtf-sessionize"))
            self.put("mtf.exploration", "someone", b"no event")
            processes.run("simulate", "simulate", *self.role("ranking", "--sessions", 300, "--wait", 60), limit_s=120)
            if "mtf_policy_version" not in self.metrics(port):
                raise Failed("the learner shows no metrics")
            sessions = wait_until("sessions", 60, lambda: list(self.read("mtf.sessions")))
            processes.stop("learn")
            processes.stop("sessionize")
        schemas = records.Schemas()
        for record in sessions:
            user = schemas.decode(record.value)[1]["user_id"]
            if not re.fullmatch("[0-9a-f]{32}", user) or record.key != user.encode():
                raise Failed(f"a session of user {user} under the key {record.key}")
        for stage in ("sessionize", "learn"):  # a check may look through the topics, and may not write
            self.call(0, "ok       ", "config", "check", "--connect", "--for", stage, *self.role(f"mtf-{stage}"))
        listed = json.loads(self.call(0, "", "policy", "list", "--json", *self.role("ranking")))
        if listed["version"] != 1 or listed["signed"] is not True:
            raise Failed(f"policy list: {listed}")

    def metrics(self, port: int) -> str:
        """Of the process at that port, kept for the search for secrets; empty while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
                text = page.read().decode()
        except urllib.error.URLError:
            return ""
        (self.folder / f"metrics-{port}.out").write_text(text)
        return text

    def read(self, topic: str):
        return records.read_topic(self.broker.address("PLAINTEXT"), topic)

    def put(self, topic: str, key: str, value: bytes):
        producer = confluent_kafka.Producer({"bootstrap.servers": self.broker.address("PLAINTEXT")})
        producer.produce(topic, key=key, value=value)
        if producer.flush(30):
            raise Failed(f"a record for {topic} was not taken")

    def check_operator(self):
        """The commands of the person on call; what they publish is signed, too."""
        operator = self.role("mtf-operator")
        self.call(0, "decode", "dlq", "list", *operator)
        self.call(0, "", "dlq", "replay", "--execute", *operator)
        self.call(0, "", "late", "list", *operator)
        self.call(0, "", "late", "replay", "--execute", *operator)
        self.call(0, "", "audit", *operator)
        self.call(0, "a dry run", "offsets", "reset", "--to-earliest", *operator)
        self.call(0, "steps=", "sessions", "tail", "--from", "2020-01-01", "--limit", 1, *operator)
        self.call(0, "", "policy", "freeze", "--reason", "test", *operator)
        shown = json.loads(self.call(0, "", "policy", "show", "--json", *self.role("ranking")))
        if shown["box"] != 0 or shown["parent"] != 1 or shown["signed"] is not True:
            raise Failed(f"after freeze: {shown}")
        reader = ["--set", "policy.signing_key_file="]
        self.call(64, "policy.signing_key_file is not", "policy", "thaw", *operator, *reader)

    def check_forged_policies(self):
        """Unsigned, altered, and signed by a stranger: refused, and the good one goes on."""
        good = list(self.read("mtf.policy"))[-1].value
        altered = bytearray(good)
        altered[10 + 1 + len("default")] = 2 * 7  # version 7, a zigzag varint
        unsigned = good[:-67] + b"\0"
        stranger = good[:-64] + bytes(64)
        for value in (bytes(altered), unsigned, stranger):
            self.put("mtf.policy", "default", value)
        self.call(0, "bad_signature", "policy", "list", *self.role("ranking"))
        self.call(0, "unsigned", "policy", "list", *self.role("ranking"))
        shown = json.loads(self.call(0, "", "policy", "show", "--json", *self.role("ranking")))
        if shown["version"] != 1:
            raise Failed(f"version {shown['version']} is shown, 7 was forged")
        exported = self.folder / "exported.policy"
        self.call(0, "", "policy", "export", "--format", "record", "--out", exported, *self.role("ranking"))
        if exported.read_bytes() != good:
            raise Failed("an exported record is not the topic's")
        self.check_learner_among_forgeries(unsigned)
        # Without a public key the forged version is served: the check above can fail.
        shown = json.loads(self.call(0, "", "policy", "show", "--json", *self.sasl("ranking")))
        if shown["version"] != 7:
            raise Failed(f"without a public key version {shown['version']} is shown")

    def check_learner_among_forgeries(self, unsigned: bytes):
        """Started again, a learner goes on from the good record; with none left it stops, and does not begin
        again at version 1."""
        before = len(list(self.read("mtf.policy-history")))
        log = self.folder / "learn-again.log"
        with Processes(self.mtf, self.folder) as processes:
            port = free_ports(1)[0]
            processes.start("learn-again", "learn", *self.role("mtf-learn", "--set", f"http.port={port}"))
            counted = 'mtf_policy_refused_total{policy="default"} 3'
            wait_until("three refusals counted", 60, lambda: counted in self.metrics(port))
            if log.read_text().count("policy.refused") != 3:
                raise Failed(f"{log} does not tell of three refusals")
            processes.stop("learn-again")
        if len(list(self.read("mtf.policy-history"))) != before:
            raise Failed("a learner published among forged records")
        self.put("mtf.policy", "lonely", unsigned)
        lonely = ["--set", "policy.name=lonely", "--set", f"store.path={self.folder / 'lonely'}"]
        self.call(65, "every record of policy lonely was refused", "learn", *self.role("mtf-learn", *lonely))

    # ---- permissions --------------------------------------------------------------------------

    def check_missing_permissions(self):
        """Without any one of its permissions a role leaves and names what it may not do."""
        none = ["--fail-fast", "--set", "shutdown.timeout_ms=5000"]
        cases = [
            ("mtf-sessionize", "sessionize", ResourceType.TOPIC, "mtf.exploration"),
            ("mtf-sessionize", "sessionize", ResourceType.TOPIC, "mtf.sessions"),
            ("mtf-sessionize", "sessionize", ResourceType.GROUP, "mtf-sessionize"),
            ("mtf-sessionize", "sessionize", ResourceType.TRANSACTIONAL_ID, "mtf-sessionize-"),
            ("mtf-learn", "learn", ResourceType.TOPIC, "mtf.sessions"),
            ("mtf-learn", "learn", ResourceType.TOPIC, "mtf.policy"),
            ("mtf-operator", "audit", ResourceType.GROUP, "mtf-sessionize"),
        ]
        admin = AdminClient({"bootstrap.servers": self.broker.address("PLAINTEXT")})
        for user, command, kind, name in cases:
            any_ = (None, None, AclOperation.ANY, AclPermissionType.ANY)
            which = AclBindingFilter(kind, name, ResourcePatternType.ANY, f"User:{user}", *any_[1:])
            taken = list(admin.delete_acls([which]).values())[0].result(30)
            if not taken:
                raise Failed(f"{user} had no permission on {name}")
            self.call(64, name, command, *self.role(user, *none))
            if command != "audit":
                self.call(64, "failed   ", "config", "check", "--connect", "--for", command, *self.role(user))
            back = [
                AclBinding(a.restype, a.name, a.resource_pattern_type, a.principal, a.host, a.operation, a.permission_type)
                for a in taken
            ]
            for future in admin.create_acls(back).values():
                future.result(30)

    def run(self):
        self.folder.mkdir()
        self.make_keys()
        with SecureBroker(self.folder / "broker", self.users, ["master"]) as self.broker:
            topics.create(self.mtf, self.broker.address("PLAINTEXT"), 2, 1)
            for check in (
                self.check_secret_settings,
                self.check_ways_in,
                self.check_refusals,
                self.check_roles,
                self.check_forged_policies,
                self.check_missing_permissions,
                self.check_operator,
            ):
                check()
                print(f"security: {check.__name__} done", flush=True)
        self.check_nothing_leaked()


def as_arguments(settings: dict) -> list:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def commands_of(page: Path, program: str) -> list:
    """Lines of the page that run this program."""
    lines = [line for line in page.read_text().splitlines() if line.startswith(program)]
    if not lines:
        raise Failed(f"{page} has no command that starts with {program}")
    return lines


def run(mtf: str, folder: Path):
    shutil.rmtree(folder, ignore_errors=True)
    Test(mtf, folder).run()
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main(__doc__, run))
