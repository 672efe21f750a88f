"""How the processes of a submitted run find and trust each other: addresses and TLS credentials."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import dask
from distributed import Client, LocalCluster
from distributed.security import Security
from distributed.utils import get_ip, get_ip_interface

from qbsweep.errors import QbsweepError
from qbsweep.runs.dask import CONFIG


@contextlib.contextmanager
def listening_client(interface: str, security: Security) -> Iterator[tuple[Client, str]]:
    """Start a scheduler in this process that workers elsewhere can reach with the credentials; yields its address."""
    with dask.config.set(CONFIG):
        cluster = LocalCluster(
            n_workers=0,
            security=security,
            host=address_of(interface),
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client, cluster.scheduler_address


def address_of(interface: str) -> str:
    """Return this machine's address on a network interface, by default on the one that leads out."""
    if not interface:
        return str(get_ip())
    try:
        return str(get_ip_interface(interface))
    except ValueError as error:
        raise QbsweepError(f"`interface` of the profile: {error}") from None


def create_credentials(folder: Path) -> None:
    """Make a key and a certificate that only the user of this process can read: whoever has them may run code."""
    security = Security.temporary()
    folder.mkdir(mode=0o700)
    for name in ("tls_client_key", "tls_client_cert"):
        descriptor = os.open(folder / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(str(getattr(security, name)))


def load_credentials(folder: Path) -> Security:
    """Return the credentials of `create_credentials`, for a scheduler, a worker or a client."""
    key, certificate = (str(folder / f"tls_client_{name}.pem") for name in ("key", "cert"))
    for path in (key, certificate):
        if not Path(path).exists():
            raise QbsweepError(f"{path} is missing; `qbsweep submit` makes new credentials")
    for item in (folder, Path(key), Path(certificate)):
        found = item.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise QbsweepError(f"{item} is not yours alone: whoever put it there could run code as you; submit again")
    roles = {
        f"tls_{role}_{kind}": path
        for role in ("client", "scheduler", "worker")
        for kind, path in (("key", key), ("cert", certificate))
    }
    return Security(require_encryption=True, tls_ca_file=certificate, **roles)
