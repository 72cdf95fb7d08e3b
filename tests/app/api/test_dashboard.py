"""The dashboard's files: all there, all its own, and under a policy that lets nothing else in."""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from app.api.dashboard import FOLDER

SCRIPTS = sorted(path for path in FOLDER.rglob("*.js") if "vendor" not in path.parts)
LICENCES = ("MIT License", "Apache License", "Permission is hereby granted")
FILES = [str(path.relative_to(FOLDER)) for path in sorted(FOLDER.rglob("*")) if path.is_file()]


def policy(reply):
    """A Content-Security-Policy by its directives."""
    parts = (part.split() for part in reply.headers["Content-Security-Policy"].split(";"))
    return {name: sources for name, *sources in parts}


def test_the_page_is_under_a_strict_policy(client):
    reply = client.get("/")
    found = policy(reply)
    assert reply.headers["Content-Type"].startswith("text/html")
    assert found["default-src"] == ["'none'"]
    allowed = {source for sources in found.values() for source in sources}
    assert {source for source in allowed if not source.startswith("'sha256-")} == {"'none'", "'self'", "blob:", "data:"}
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("address", ["/", "/docs"])
def test_the_only_script_inside_a_page_is_allowed_by_its_hash(client, address):
    page = client.get(address)
    inside = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page.text, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inside]
    assert len(inside) == 1
    assert policy(page)["script-src"] == ["'self'", *hashes]
    assert not re.search(r"\son\w+=|\sstyle=", page.text)


def test_the_document_is_a_page_that_loads_nothing_from_elsewhere(client):
    page = client.get("/docs")
    places = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(places) == 3
    assert {client.get(f"/{place}").status_code for place in places} == {200}
    assert policy(page)["default-src"] == ["'none'"]


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_and_asked_for_again_by_its_tag(client, name):
    reply = client.get(f"/web/{name}")
    assert reply.content == (FOLDER / name).read_bytes()
    assert reply.headers["Content-Security-Policy"]
    kinds = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert kinds.get(Path(name).suffix, "") in reply.headers["Content-Type"]
    assert client.get(f"/web/{name}", headers={"If-None-Match": reply.headers["ETag"]}).status_code == 304
    assert client.head(f"/web/{name}").headers["Content-Length"] == str(len(reply.content))


@pytest.mark.parametrize(
    "path", ["../main.py", "%2e%2e/main.py", "%2e%2e%2fmain.py", "..%5cmain.py", "missing.js", "", "lib"]
)
def test_nothing_else_is_served(client, path):
    reply = client.get(f"/web/{path}")
    assert (reply.status_code, reply.json()["type"]) == (404, "not_found")


def test_everything_that_is_named_is_there_and_on_this_host(client):
    page = client.get("/").text
    places = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(r'": "(\./web/[^"]+)"', page)
    names = set(re.findall(r'"([^"]+)": "\./', page))
    for script in SCRIPTS:
        for imported in re.findall(r'from "([^"]+)"', script.read_text()):
            if imported.startswith("."):
                place = f"web/{script.relative_to(FOLDER).as_posix()}"
                places.append(urljoin(f"/{place}", imported).lstrip("/"))
            else:
                assert imported in names
    assert len(places) > 30
    assert {client.get(f"/{place.removeprefix('./')}").status_code for place in places} == {200}


def test_no_script_or_style_of_ours_names_another_host_or_makes_code_of_text():
    ours = [*SCRIPTS, FOLDER / "index.html", FOLDER / "style.css"]
    for path in ours:
        text = path.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org)", text), path
        assert not re.search(r"\beval\(|new Function|innerHTML|document\.write", text), path


def test_what_others_wrote_is_as_they_wrote_it_and_under_their_licence():
    rows = re.findall(
        r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (FOLDER / "vendor/README.md").read_text(), re.MULTILINE
    )
    files = {path for path in (FOLDER / "vendor").glob("*/*") if not path.name.startswith("LICENSE")}
    assert {FOLDER / "vendor" / name for name, _ in rows} == files
    for name, digest in rows:
        path = FOLDER / "vendor" / name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
        licence = next(path.parent.glob("LICENSE*")).read_text()
        assert any(words in licence for words in LICENCES)


def test_a_service_that_asks_for_keys_shows_the_page_and_no_data(keyed_client):
    assert keyed_client.get("/").status_code == 200
    assert keyed_client.get("/web/main.js").status_code == 200
    assert keyed_client.get("/jobs").status_code == 401
