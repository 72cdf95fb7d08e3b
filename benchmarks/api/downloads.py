"""Downloading a checkpoint, beside whoever does nothing but send files."""

import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from uuid import UUID

import httpx2

from app.local.children import Part
from app.local.parts import HOST, free_ports
from app.store.blobs import BlobStore
from app.store.records import JobArtifactRecord
from benchmarks.api.filling import add_succeeded
from benchmarks.api.goals import DOWNLOAD_SHARE, Measured, judge_rate
from benchmarks.api.load import GENERATOR, Ask
from benchmarks.api.stage import Stage, api, program
from benchmarks.api.throughput import Contender, Turn, errors_of, raw_of, take_turns
from benchmarks.judging import Verdict

HEADINGS = ("who", "MB/s", "p99 ms a file", "CPU ms a file", "errors")
_NGINX = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
PEER = "nginx" if _NGINX else "sendfile"
_NAME = "checkpoint.safetensors"
_KEY = f"bench/{_NAME}"


def measure_downloads(stage: Stage) -> Measured:
    """The same file from the local store, through the service from S3, from S3 itself, and from the peer."""
    file = stage.folder / "files" / _NAME
    file.parent.mkdir()
    file.write_bytes(os.urandom(stage.sizes.file_bytes))
    job = _add(stage, file, (stage.local_blobs(), stage.blobs()))
    path = f"/jobs/{job}/checkpoint"
    local, local_url = api("local", blob_url=stage.local_blob_url)
    signing, signing_url = api("signing", presign="true")
    peer, peer_url = _peer(file)
    with stage.beside(local, signing, peer) as children:
        signed = httpx2.get(f"{signing_url}{path}", follow_redirects=False).headers["Location"]
        contenders = {
            PEER: Contender(Ask(f"{peer_url}/{_NAME}"), children["peer"]),
            "OT3L, local store": Contender(Ask(f"{local_url}{path}"), children["local"]),
            "OT3L, from S3": Contender(Ask(f"{stage.service.url}{path}"), stage.service.children["api"]),
            "S3 itself, presigned": Contender(Ask(signed), stage.service.children["s3"]),
        }
        turns = take_turns(contenders, stage.sizes, connections=stage.sizes.n_downloads)
    return Measured(
        "download",
        f"a checkpoint of {stage.sizes.file_bytes / 1e6:.0f} MB: GET /jobs/{{id}}/checkpoint",
        [*_judge(turns), errors_of(turns)],
        HEADINGS,
        [(who, *_cells(taken)) for who, taken in turns.items()],
        [f"{stage.sizes.n_downloads} at once; load from {GENERATOR}"],
        raw_of(turns),
    )


def _judge(turns: dict[str, list[Turn]]) -> list[Verdict]:
    loads = {who: [turn.load for turn in taken] for who, taken in turns.items()}
    return [judge_rate(who, DOWNLOAD_SHARE, loads[who], loads[PEER], PEER) for who in loads if "local" in who]


def _add(stage: Stage, file: Path, stores: Sequence[BlobStore]) -> UUID:
    """A job that has made the file, in all of these stores."""
    for store in stores:
        store.put_file(_KEY, file)
    with stage.database() as database, database.writing() as session:
        job = add_succeeded(session, stage.pair)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        made = {"key": _KEY, "size": file.stat().st_size, "sha256": digest, "media_type": "application/octet-stream"}
        session.add(JobArtifactRecord(job_id=job, name=_NAME, **made))
        session.commit()
    return job


def _peer(file: Path) -> tuple[Part, str]:
    [port] = free_ports(1)
    url = f"http://{HOST}:{port}"
    if _NGINX is None:
        return program("peer", port, sys.executable, "-m", "benchmarks.api.sendfile", str(port), str(file)), url
    settings = file.parent / "nginx.conf"
    settings.write_text(_NGINX_SETTINGS.format(folder=file.parent, address=f"{HOST}:{port}"))
    return program("peer", port, _NGINX, "-p", str(file.parent), "-e", "stderr", "-c", str(settings)), url


_NGINX_SETTINGS = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen {address};
        root {folder};
    }}
}}
"""


def _cells(turns: Sequence[Turn]) -> tuple[str, ...]:
    rates = [turn.load.byte_rate / 1e6 for turn in turns]
    return (
        f"{median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})",
        f"{1e3 * median(turn.load.p99 for turn in turns):.1f}",
        f"{1e3 * median(turn.cpu for turn in turns):.1f}",
        str(sum(turn.load.errors for turn in turns)),
    )
