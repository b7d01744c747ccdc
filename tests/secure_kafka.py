"""A real Kafka that demands TLS, passwords and rights: a listener for each way to be let in."""

import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from certificates import Authority
from cluster import wait_until
from marketprep.local import LocalKafka
from marketprep.settings import load_settings

#: The passwords of the users that there are. Neither stands anywhere but here.
PASSWORDS = {"marketprep": "brown-paper-4711", "guest": "white-paper-0815"}
KEY_PASSWORD = "sealed-envelope-1234"  # noqa: S105 - it opens keys that live as long as a test

#: What each listener demands: its protocol, and how passwords are proven there.
_LISTENERS = {
    "TRUSTED": ("PLAINTEXT", ""),
    "PASSWORDS": ("SASL_SSL", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
    "CERTIFICATES": ("SSL", ""),
    "CLEAR": ("SASL_PLAINTEXT", "PLAIN"),
    "EXPIRED": ("SASL_SSL", "PLAIN"),
    "MOVED": ("SASL_SSL", "PLAIN"),
}
_SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class SecureKafka:
    """The broker, while it runs."""

    #: By listener. Whoever comes by TRUSTED may do everything: that is the tests' own way in.
    addresses: Mapping[str, str]
    #: The one that has signed all of the broker, and of the clients that it lets in.
    authority: Authority
    #: One that the broker does not know.
    stranger: Authority
    #: A client that may do everything.
    admin: AdminClient

    def login(self, mechanism: str, listener: str = "PASSWORDS") -> dict[str, Any]:
        """The settings of kafka by which the service is let in, but for its password."""
        protocol, _ = _LISTENERS[listener]
        return {
            "bootstrap_servers": self.addresses[listener],
            "security_protocol": protocol,
            "sasl_mechanism": mechanism,
            "sasl_username": "marketprep",
            "ca_file": str(self.authority.file),
        }

    def certificate(self, files: tuple[Path, Path]) -> dict[str, Any]:
        """Likewise with a certificate and its key."""
        certificate_file, key_file = files
        return {
            "bootstrap_servers": self.addresses["CERTIFICATES"],
            "security_protocol": "SSL",
            "ca_file": str(self.authority.file),
            "certificate_file": str(certificate_file),
            "key_file": str(key_file),
        }

    def grant(self, rights: Iterable[AclBinding]) -> None:
        """Gives rights, and takes all others away; waits until the broker goes by them."""
        anything: Any = None  # which its types do not know of
        one = AclBindingFilter(
            ResourceType.ANY,
            anything,
            ResourcePatternType.ANY,
            anything,
            anything,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for removed in self.admin.delete_acls([one]).values():
            removed.result()
        if wanted := list(rights):
            for given in self.admin.create_acls(wanted).values():
                given.result()
        # what the controller has noted the broker learns of a little later
        wait_until(lambda: set(self.admin.describe_acls(one).result()) == set(wanted), "rights")


def right(
    resource: str, operation: str, kind: str = "topic", user: str = "marketprep"
) -> AclBinding:
    """A right to do something with a resource, or with all whose names begin so: `name*`."""
    is_prefix = resource.endswith("*")
    return AclBinding(
        ResourceType[kind.upper()],
        resource.removesuffix("*"),
        ResourcePatternType.PREFIXED if is_prefix else ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[operation.upper()],
        AclPermissionType.ALLOW,
    )


@contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """Runs a broker while the context lasts."""
    authority, stranger = Authority(folder, "authority"), Authority(folder, "stranger")
    ports = dict(zip([*_LISTENERS, "CONTROLLER"], _free_ports(len(_LISTENERS) + 1), strict=True))
    users = [
        f"--add-scram={mechanism}=[name={name},password={password}]"
        for mechanism in _SCRAM
        for name, password in PASSWORDS.items()
    ]
    extra = _properties(authority, ports)
    place = {"folder": folder / "kafka", "port": ports["TRUSTED"]}
    settings = load_settings().local_kafka.model_copy(update=place)
    with LocalKafka(settings, print, extra=extra, format_arguments=users):
        addresses = {name: f"127.0.0.1:{ports[name]}" for name in _LISTENERS}
        admin = AdminClient({"bootstrap.servers": addresses["TRUSTED"], "log_level": 0})
        yield SecureKafka(addresses, authority, stranger, admin)


def _properties(authority: Authority, ports: Mapping[str, int]) -> dict[str, str]:
    listeners = ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
    # a name of the machine that stands in no certificate
    advertised = listeners.replace("MOVED://127.0.0.1", "MOVED://localhost")
    protocols = {name: protocol for name, (protocol, _) in _LISTENERS.items()}
    protocols["CONTROLLER"] = "PLAINTEXT"
    properties = {
        "listeners": listeners,
        "advertised.listeners": advertised,
        "inter.broker.listener.name": "TRUSTED",
        "controller.quorum.voters": f"1@127.0.0.1:{ports['CONTROLLER']}",
        "listener.security.protocol.map": ",".join(map(":".join, protocols.items())),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # who comes by a listener that asks nothing
        "listener.name.certificates.ssl.client.auth": "required",
    }
    own = authority.issue("broker", address="127.0.0.1")
    expired = authority.issue("expired", address="127.0.0.1", is_expired=True)
    for name, (protocol, mechanisms) in _LISTENERS.items():
        listener = f"listener.name.{name.lower()}"
        if protocol.endswith("SSL"):
            certificate_file, key_file = expired if name == "EXPIRED" else own
            store = certificate_file.with_suffix(".store")
            store.write_bytes(key_file.read_bytes() + certificate_file.read_bytes())
            properties |= {
                f"{listener}.ssl.keystore.type": "PEM",
                f"{listener}.ssl.keystore.location": str(store),
                f"{listener}.ssl.truststore.type": "PEM",
                f"{listener}.ssl.truststore.location": str(authority.file),
            }
        if mechanisms:
            properties[f"{listener}.sasl.enabled.mechanisms"] = mechanisms
            for mechanism in mechanisms.split(","):
                key = f"{listener}.{mechanism.lower()}.sasl.jaas.config"
                properties[key] = _login_module(mechanism)
    return properties


def _login_module(mechanism: str) -> str:
    if mechanism != "PLAIN":
        return f"{_MODULES}.scram.ScramLoginModule required;"
    users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
    return f"{_MODULES}.plain.PlainLoginModule required {users};"


def _free_ports(count: int) -> list[int]:
    """Ports that are free, each another one."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
