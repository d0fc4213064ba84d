"""Apache Kafka that encrypts, asks who is there and denies by default, as a platform team runs it.

Its certificates are made here, its users and their rights over a listener of its own, where whoever
comes is a superuser: tests look from there, kae's processes come in at the front.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from ssl import Purpose, SSLContext, create_default_context

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from kae.deploy.brokers import ApacheKafka, free_port
from kae.deploy.cluster import Cluster
from kae.streams.kafka.acls import Acl, KafkaRole, plan_acls
from kae.streams.topology.types import Topology

USERNAME, PASSWORD = "KAE_KAFKA_USERNAME", "KAE_KAFKA_PASSWORD"
GENERATIONS = (1, 2, 3)
# Who gives which command.
NOUNS = {
    "worker": KafkaRole.WORKER,
    "backfill": KafkaRole.BACKFILL,
    "replica": KafkaRole.REPLICA,
    "term": KafkaRole.PROPOSER,
    "catalog": KafkaRole.PRODUCER,
    "behaviour": KafkaRole.RECORDER,
    "samples": KafkaRole.TRAINER,
    **dict.fromkeys(
        ("topics", "shard", "snapshot", "dead-letters", "status", "log"), KafkaRole.OPERATOR
    ),
}


class SecuredKafka:
    """One broker, three doors: SCRAM over TLS, client certificates, and the superuser's."""

    def __init__(
        self, folder: Path, scram_port: int | None = None, advertised_port: int | None = None
    ) -> None:
        """`advertised_port` is where clients find who stands before the first door, if anybody."""
        self.ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)
        self._folder = folder
        scram_port = scram_port or free_port()
        self._scram = f"127.0.0.1:{scram_port}"
        self.scram = f"127.0.0.1:{advertised_port or scram_port}"
        self.certified = f"127.0.0.1:{free_port()}"
        # A password in a log, an error or an output is found by its beginning.
        self.passwords = {role: f"hush-{secrets.token_urlsafe(12)}" for role in KafkaRole}
        port = free_port()
        settings = folder / "secured.properties"
        settings.write_text(self._properties(port), encoding="utf-8")
        self.broker = ApacheKafka(folder / "data", port, settings=settings)

    def _properties(self, port: int) -> str:
        keys = self._folder / "broker.pem"
        certificate = self.ca.issue_cert("127.0.0.1", "localhost")
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        keys.write_bytes(_pkcs8(certificate.private_key_pem.bytes()) + chain)
        controller = free_port()
        jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return f"""
listeners=CLIENT://127.0.0.1:{port},SCRAM://{self._scram},CERTIFIED://{self.certified},\
CONTROLLER://127.0.0.1:{controller}
controller.quorum.voters=1@127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port},SCRAM://{self.scram},CERTIFIED://{self.certified}
listener.security.protocol.map=CLIENT:PLAINTEXT,SCRAM:SASL_SSL,CERTIFIED:SSL,CONTROLLER:PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config={jaas}
listener.name.certified.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=([^,]*).*$/$1/
ssl.keystore.type=PEM
ssl.keystore.location={keys}
ssl.truststore.type=PEM
ssl.truststore.location={self.ca_file}
"""

    def standing_between(self) -> tuple[SSLContext, SSLContext]:
        """For who stands before a door: to be taken for the broker, and to trust it."""
        as_broker = create_default_context(Purpose.CLIENT_AUTH)
        self.ca.issue_cert("127.0.0.1").configure_cert(as_broker)
        return as_broker, create_default_context(cafile=str(self.ca_file))

    def make_users(self) -> None:
        """A user for every role, who may do nothing yet."""
        with self.admin() as admin:
            told = admin.alter_user_scram_credentials(
                [
                    UserScramCredentialUpsertion(
                        str(role), ScramMechanism.SCRAM_SHA_512, password, iterations=4096
                    )
                    for role, password in self.passwords.items()
                ]
            )
        assert not any(told.values()), told

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        admin = KafkaAdminClient(bootstrap_servers=self.broker.bootstrap)
        try:
            yield admin
        finally:
            admin.close()

    def allow(self, acls: Iterable[Acl]) -> None:
        """Give the roles' users what `kae topology acls` lists."""
        with self.admin() as admin:
            told = admin.create_acls([rule for acl in acls for rule in _rules(acl)])
        assert told["failed"] == []

    def changes(self) -> dict[str, object]:
        """What differs in a topology whose processes come in by SCRAM."""
        return {
            "kafka.bootstrap": self.scram,
            "kafka.security": {
                "protocol": "SASL_SSL",
                "ca_file": str(self.ca_file),
                "cert_file": None,
                "key_file": None,
                "mechanism": "SCRAM-SHA-512",
                "username": f"env:{USERNAME}",
                "password": f"env:{PASSWORD}",
            },
        }

    def by_certificate(self, role: KafkaRole) -> dict[str, object]:
        """What differs in a topology whose process shows a certificate instead."""
        certificate = self.ca.issue_cert("kae.test", common_name=str(role))
        cert_file, key_file = self._folder / f"{role}.pem", self._folder / f"{role}.key"
        key_file.write_bytes(certificate.private_key_pem.bytes())
        cert_file.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        return {
            "kafka.bootstrap": self.certified,
            "kafka.security": {
                "protocol": "SSL",
                "ca_file": str(self.ca_file),
                "cert_file": str(cert_file),
                "key_file": str(key_file),
                "mechanism": None,
                "username": None,
                "password": None,
            },
        }

    def environment(self, role: KafkaRole) -> dict[str, str]:
        return {USERNAME: str(role), PASSWORD: self.passwords[role]}

    def environments(self) -> Mapping[str, Mapping[str, str]]:
        return {noun: self.environment(role) for noun, role in NOUNS.items()}

    def lend(self, line: Cluster) -> None:
        """Have the processes of a line come in as their roles, and the test as the superuser."""
        # As an operator does before a generation begins: it has logs of its own.
        for generation in GENERATIONS:
            self.allow(plan_acls(line.topology.edited({"generation": generation})))
        line.environments = self.environments()
        line.topology = self.as_superuser(line.topology)

    def as_superuser(self, topology: Topology) -> Topology:
        """The same topology, by the door that asks nothing."""
        plain = Topology.load().model_dump(mode="json")["kafka"]["security"]
        return topology.edited({"kafka.bootstrap": self.broker.bootstrap, "kafka.security": plain})


def _pkcs8(key: bytes) -> bytes:
    """The only form of a key that Java reads."""
    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def _rules(acl: Acl) -> Iterator[ACL]:
    for operation in acl.operations:
        snake = "".join(f"_{c}" if c.isupper() else c for c in operation).strip("_").upper()
        yield ACL(
            f"User:{acl.role}",
            "*",
            ACLOperation[snake],
            ACLPermissionType.ALLOW,
            ResourcePattern(ResourceType[acl.resource.upper()], acl.name),
        )
