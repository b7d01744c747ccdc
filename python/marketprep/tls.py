"""TLS to Kafka: our certificate, the authorities that we trust, and what goes wrong with either."""

import ssl
from pathlib import Path

from marketprep.settings import KafkaSettings

# Reasons of OpenSSL's for which it refuses a certificate:
# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID = 9
_EXPIRED = 10
_WITHOUT_AUTHORITY = (2, 18, 19, 20, 21)
_OF_ANOTHER_HOST = (62, 64)


class TlsError(Exception):
    """Files that cannot be used; the message says which, and what to do."""


def context(settings: KafkaSettings) -> ssl.SSLContext:
    """What TLS connections to the brokers are made with. Raises TlsError."""
    try:
        made = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise TlsError(
            f"kafka.ca_file {settings.ca_file} cannot be used ({_said(error)}): the certificates "
            "of authorities as PEM are needed."
        ) from None
    if settings.certificate_file:
        # without any password OpenSSL would ask for one at the terminal, and wait
        password = settings.key_password.get_secret_value() if settings.key_password else ""
        try:
            made.load_cert_chain(settings.certificate_file, settings.key_file, password)
        except OSError as error:
            raise TlsError(_own_fault(settings, settings.certificate_file, error)) from None
    return made


def _own_fault(settings: KafkaSettings, certificate_file: Path, error: OSError) -> str:
    """What is wrong with our own certificate or its key."""
    certificate = f"kafka.certificate_file {certificate_file}"
    key = f"kafka.key_file {settings.key_file}" if settings.key_file else certificate
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{key} is not the key of {certificate}: name two that belong together."
        if b"ENCRYPTED" in (settings.key_file or certificate_file).read_bytes():
            if settings.key_password:
                return f"kafka.key_password does not open {key}: correct it."
            return (
                f"{key} is encrypted: give its password by kafka.key_password_file, or by "
                "MARKETPREP_KAFKA_KEY_PASSWORD."
            )
    files = f"{certificate} and {key}" if settings.key_file else certificate
    return f"{files} cannot be used ({_said(error)}): a certificate and its key as PEM are needed."


def _said(error: OSError) -> str:
    """What an error of the system or of OpenSSL says, in a few words."""
    if isinstance(error, ssl.SSLError):
        return error.reason.lower().replace("_", " ") if error.reason else "no PEM"
    return error.strerror or type(error).__name__


def explain(error: ssl.SSLError, settings: KafkaSettings) -> str:
    """A sentence for people: why no TLS connection comes about, and what they can do about it."""
    servers = ", ".join(settings.bootstrap_servers)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _distrust(error, settings, servers)
    reason = error.reason or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        if settings.certificate_file is None:
            return (
                f"Kafka at {servers} asks for a certificate of ours: set kafka.certificate_file "
                "and kafka.key_file."
            )
        return (
            f"Kafka at {servers} refuses kafka.certificate_file {settings.certificate_file}: it "
            "has expired, or none of the authorities that brokers trust has signed it; name one "
            "that is valid."
        )
    return (
        f"No TLS connection to Kafka at {servers} comes about ({_said(error)}): is "
        f"kafka.security_protocol {settings.security_protocol} that of its port?"
    )


def _distrust(error: ssl.SSLCertVerificationError, settings: KafkaSettings, servers: str) -> str:
    """Why the certificate of a broker is not trusted."""
    certificate, code = f"The certificate of Kafka at {servers}", error.verify_code
    if code == _EXPIRED:
        return f"{certificate}, or that of its authority, has expired: renew it on the brokers."
    if code == _NOT_YET_VALID:
        return f"{certificate} is not valid yet: are the clocks right, here and there?"
    if code in _OF_ANOTHER_HOST:
        said = error.verify_message.rstrip(".")
        return (
            f"{certificate} is of another host ({said}): use the names in it, for "
            "kafka.bootstrap_servers as for the brokers' advertised.listeners."
        )
    if code in _WITHOUT_AUTHORITY:
        trusted = f"those in {settings.ca_file}" if settings.ca_file else "those of the system"
        return (
            f"{certificate} is signed by no authority that is trusted, which are {trusted}: set "
            "kafka.ca_file to the certificate of the one that has signed it."
        )
    return f"{certificate} is not accepted ({error.verify_message}): correct it on the brokers."
