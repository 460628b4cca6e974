"""A broker of broker.sh with one listener per way to come in: TLS, TLS with client certificates, SASL with
and without TLS (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), and ACLs. Certificates and users are made anew in the
folder; who comes over PLAINTEXT (the tests' own administration) or TLS without a certificate may do anything.
"""

import os
import subprocess
from pathlib import Path

from ports import free_ports

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("MTF_TEST_KAFKA_CACHE", HERE / "../../build/kafka-3.9.2"))
CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"

# listener: (security protocol, SASL mechanisms)
LISTENERS = {
    "PLAINTEXT": ("PLAINTEXT", ""),
    "TLS": ("SSL", ""),
    "MTLS": ("SSL", ""),
    "SASL": ("SASL_PLAINTEXT", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
    "SASLTLS": ("SASL_SSL", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
    "CONTROLLER": ("PLAINTEXT", ""),
}

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{ports[CONTROLLER]}
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map={protocols}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
auto.create.topics.enable=false
log.message.timestamp.type=LogAppendTime
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
group.initial.rebalance.delay.ms=0
num.network.threads=1
num.io.threads=2
log.cleaner.dedupe.buffer.size=16777216
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:CN=mtf-mutual
ssl.keystore.type=PEM
ssl.keystore.location={folder}/server.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mtls.ssl.client.auth=required
"""


class SecureBroker:
    """users: {name: password}; they are superusers only if named in `masters`."""

    def __init__(self, folder: Path, users: dict, masters: list):
        self.folder, self.users, self.masters = folder, users, masters
        self.ports = dict(zip(LISTENERS, free_ports(len(LISTENERS))))
        folder.mkdir(parents=True)

    def address(self, listener: str) -> str:
        return f"127.0.0.1:{self.ports[listener]}"

    def __enter__(self):
        for name in ("ca", "other-ca"):
            self.make_authority(name)
        self.make_certificate("server", "ca", "subjectAltName=IP:127.0.0.1")
        self.make_certificate("mtf-mutual", "ca")
        self.make_certificate("stranger", "other-ca")
        server = [self.folder / name for name in ("server.key", "server.crt")]
        (self.folder / "server.pem").write_text("".join(path.read_text() for path in server))
        self.write_properties()
        self.format()
        (self.folder / "bootstrap").write_text(self.address("PLAINTEXT") + "\n")
        subprocess.run([HERE / "broker.sh", "up", self.folder], check=True, stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        subprocess.run([HERE / "broker.sh", "kill", self.folder], check=True)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=self.folder, capture_output=True)

    def make_authority(self, name: str):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
        self.openssl("req", "-x509", "-days", "30", "-subj", f"/CN={name}", *key, "-out", f"{name}.pem")

    def make_certificate(self, name: str, authority: str, extension: str = ""):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key"]
        self.openssl("req", "-new", "-subj", f"/CN={name}", *key, "-out", f"{name}.csr")
        (self.folder / "extension").write_text(extension)
        signer = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial", "-days", "30"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", *signer, "-extfile", "extension", "-out", f"{name}.crt")

    def write_properties(self):
        each = {name: f"{name}://{self.address(name)}" for name in LISTENERS}
        lines = PROPERTIES.format(
            ports=self.ports,
            folder=self.folder,
            listeners=",".join(each.values()),
            advertised=",".join(url for name, url in each.items() if name != "CONTROLLER"),
            protocols=",".join(f"{name}:{protocol}" for name, (protocol, _) in LISTENERS.items()),
        ).splitlines()
        for user in self.masters:
            lines = [line + f";User:{user}" if line.startswith("super.users=") else line for line in lines]
        known = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        module = "org.apache.kafka.common.security.{} required"
        for name, (_, mechanisms) in LISTENERS.items():
            if not mechanisms:
                continue
            prefix = f"listener.name.{name.lower()}"
            lines.append(f"{prefix}.sasl.enabled.mechanisms={mechanisms}")
            lines.append(f"{prefix}.plain.sasl.jaas.config={module.format('plain.PlainLoginModule')} {known};")
            for scram in ("scram-sha-256", "scram-sha-512"):
                lines.append(f"{prefix}.{scram}.sasl.jaas.config={module.format('scram.ScramLoginModule')};")
        (self.folder / "server.properties").write_text("\n".join(lines) + "\n")
        (self.folder / "log4j.properties").write_text(
            "log4j.rootLogger=WARN, out\n"
            "log4j.appender.out=org.apache.log4j.ConsoleAppender\n"
            "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
            "log4j.appender.out.layout.ConversionPattern=%d %p %c{1} %m%n\n"
        )

    def java(self, main: str, *arguments) -> str:
        command = ["java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        command += [f"-Dlog4j.configuration=file:{self.folder}/log4j.properties", "-cp", f"{CACHE}/libs/*", main]
        done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{main} {arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def format(self):
        scram = []
        for user, password in self.users.items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                scram += ["--add-scram", f"{mechanism}=[name={user},password={password}]"]
        properties = ["-c", self.folder / "server.properties"]
        self.java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, *properties, *scram)

    def acls(self, *arguments):
        """kafka-acls.sh with these arguments."""
        self.java("kafka.admin.AclCommand", *arguments)
