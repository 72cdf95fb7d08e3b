"""Keys: who comes in, what they may do, and how keys begin and end."""

import asyncio
import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from app.api.gate import OPEN_PATHS, needed_scope
from app.main import create_app
from app.principals import Principal, Scope
from app.services.keyring import REMEMBERED_SECONDS, KeyRing
from app.services.keys import NoKeyError, create_key
from app.settings import AuthMode
from app.store.migrations import migrate
from app.store.sessions import DATABASE_DOWN, open_database
from tests.app.routes import guarded_routes

SECRET = re.compile(r"ot3l_[0-9A-Za-z]{43}")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def admin(make_key):
    return make_key("anna")


@pytest.fixture
def api(keyed_client, admin):
    """Calls with the key of an administrator of the owner anna."""

    def call(method, path, **sent):
        return keyed_client.request(method, path, headers=admin | sent.pop("headers", {}), **sent)

    return call


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def filled(path):
    return re.sub(r"\{[a-z_]+\}", str(uuid4()), path)


# --- Coming in


def test_nobody_comes_in_without_a_key(keyed_client):
    for method, path in guarded_routes():
        reply = keyed_client.request(method, filled(path))
        assert reply.status_code == 401, (method, path)
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="ot3l"'
        assert reply.headers["content-type"] == "application/problem+json"
        assert method == "HEAD" or reply.json()["type"] == "unauthorized"


def test_what_is_not_there_is_not_told_to_strangers(keyed_client, admin):
    assert keyed_client.get("/nowhere").status_code == 401
    assert keyed_client.get("/nowhere", headers=admin).status_code == 404


def test_health_and_the_document_are_open(keyed_client):
    assert {path: keyed_client.get(path).status_code for path in OPEN_PATHS} == dict.fromkeys(OPEN_PATHS, 200)


def test_what_is_no_key_opens_nothing(keyed_client):
    no_keys = ("", " ", " nonsense", " ot3l_" + "é" * 43, " ot3l_" + "A" * 43, " ot3l_" + "A" * 44, " ot3l_A b")
    for sent in (
        "Basic b3QzbDpvdDNs",
        "ot3l_" + "A" * 43,
        *(scheme + key for scheme in ("Bearer", "bearer") for key in no_keys),
    ):
        reply = keyed_client.get("/jobs", headers={"Authorization": sent.encode()})
        assert reply.status_code == 401, sent
        assert ("invalid_token" in reply.headers["WWW-Authenticate"]) == sent.lower().startswith("bearer")


def test_the_scheme_is_written_as_one_likes(keyed_client, admin):
    secret = admin["Authorization"].removeprefix("Bearer ")
    assert keyed_client.get("/jobs", headers={"Authorization": f"bEaReR  {secret}"}).status_code == 200


def test_a_stranger_is_refused_before_the_body_is_read(keyed_settings, queue, make_key):
    make_key()
    app = create_app(keyed_settings, queue=queue)
    sent = []

    async def receive():
        raise AssertionError("the body was asked for")

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/jobs", "query_string": b"", "headers": []}
    with TestClient(app, base_url="http://localhost") as client:
        client.portal.call(app, scope, receive, send)
    assert sent[0]["status"] == 401


# --- What a key allows


def test_without_its_scope_no_key_does_anything(keyed_client, make_key):
    lacking = {scope: make_key("anna", *(set(Scope) - {scope})) for scope in Scope}
    for method, path in guarded_routes():
        needed = needed_scope(method, path)
        reply = keyed_client.request(method, filled(path), headers=lacking[needed])
        assert reply.status_code == 403, (method, path)
        assert f'error="insufficient_scope", scope="{needed}"' in reply.headers["WWW-Authenticate"]
        assert method == "HEAD" or reply.json()["type"] == "forbidden"
        assert method == "HEAD" or repr(needed.value) in reply.json()["detail"]


def test_reading_reads_writing_writes_and_keys_are_the_administrators():
    for method, path in guarded_routes():
        if path.startswith(("/keys", "/metrics")):
            expected = Scope.ADMIN
        else:
            expected = Scope.READ if method in {"GET", "HEAD"} else Scope.WRITE
        assert needed_scope(method, path) is expected
    assert needed_scope("GET", "/keysmith") is Scope.READ
    assert needed_scope("BREW", "/jobs") is Scope.WRITE


def test_the_document_says_what_the_gate_does(client):
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if path in OPEN_PATHS:
                assert "security" not in operation
                continue
            assert operation["security"] == [{"key": [needed_scope(method.upper(), path)]}]
            for status in ("401", "403", "429"):
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


# --- The life of a key


def test_a_secret_is_shown_once_and_kept_nowhere(api, service_database, caplog):
    reply = api("POST", "/keys", json={"name": "nightly", "scopes": ["write", "read"]})
    made = reply.json()
    secret = made.pop("secret")
    assert reply.status_code == 201
    assert SECRET.fullmatch(secret)
    assert secret.startswith(made["hint"])
    assert len(made["hint"]) < 10
    assert made["scopes"] == ["read", "write"]
    assert reply.headers["Location"] == f"/keys/{made['id']}"
    assert reply.headers["Cache-Control"] == "no-store"
    assert api("GET", reply.headers["Location"]).json() == made
    assert api("GET", "/keys").json()["items"][0] == made
    with service_database.engine.connect() as connection:
        assert secret not in str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert secret not in caplog.text


def test_no_two_secrets_are_alike(api):
    secrets = {api("POST", "/keys", json={"name": "k", "scopes": ["read"]}).json()["secret"] for _ in range(20)}
    assert len(secrets) == 20
    assert len({secret[5:9] for secret in secrets}) > 1


def test_a_key_that_cannot_be_is_refused_by_field(api):
    good = {"name": "k", "scopes": ["read"]}
    for wrong, field in (
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes.0"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 1e300}, "expires_in"),
        ({"owner": "ben"}, "owner"),
    ):
        reply = api("POST", "/keys", json=good | wrong)
        assert (reply.status_code, [error["field"] for error in reply.json()["errors"]]) == (422, [field])


def test_a_rotated_key_gives_way_at_once(api, keyed_client):
    old = api("POST", "/keys", json={"name": "ci", "scopes": ["read"], "expires_in": 1000}).json()
    reply = api("POST", f"/keys/{old['id']}/rotate", json={})
    new = reply.json()
    assert reply.status_code == 201
    assert (new["name"], new["scopes"], new["expires_at"]) == ("ci", ["read"], old["expires_at"])
    assert new["id"] != old["id"]
    assert keyed_client.get("/jobs", headers=bearer(new["secret"])).status_code == 200
    assert keyed_client.get("/jobs", headers=bearer(old["secret"])).status_code == 401
    again = api("POST", f"/keys/{old['id']}/rotate", json={})
    assert (again.status_code, again.json()["type"]) == (409, "key_ended")


def test_a_rotated_key_may_go_on_for_a_while(api, keyed_client):
    old = api("POST", "/keys", json={"name": "ci", "scopes": ["read"]}).json()
    new = api("POST", f"/keys/{old['id']}/rotate", json={"grace_seconds": 3600}).json()
    for key in (old, new):
        assert keyed_client.get("/jobs", headers=bearer(key["secret"])).status_code == 200
    assert api("GET", f"/keys/{old['id']}").json()["expires_at"] is not None
    assert new["expires_at"] is None


def test_grace_makes_no_key_live_longer(api):
    old = api("POST", "/keys", json={"name": "ci", "scopes": ["read"], "expires_in": 60}).json()
    api("POST", f"/keys/{old['id']}/rotate", json={"grace_seconds": 3600})
    assert api("GET", f"/keys/{old['id']}").json()["expires_at"] == old["expires_at"]


def test_a_revoked_key_stays_revoked(api):
    made = api("POST", "/keys", json={"name": "ci", "scopes": ["read"]}).json()
    first = api("POST", f"/keys/{made['id']}/revoke")
    second = api("POST", f"/keys/{made['id']}/revoke")
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json() == api("GET", f"/keys/{made['id']}").json()
    assert first.json()["revoked_at"] is not None


def test_a_revocation_that_is_sent_again_says_so(api):
    made = api("POST", "/keys", json={"name": "one", "scopes": ["read"]}).json()
    sent = {"Idempotency-Key": "revoke-it"}
    first, again = (api("POST", f"/keys/{made['id']}/revoke", headers=sent) for _ in range(2))
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()


def test_what_was_revoked_opens_nothing_once_it_is_forgotten(api, keyed_client):
    clock = keyed_client.app.state.keys.clock = Clock()
    made = api("POST", "/keys", json={"name": "ci", "scopes": ["read"]}).json()

    def status():
        return keyed_client.get("/jobs", headers=bearer(made["secret"])).status_code

    assert status() == 200
    api("POST", f"/keys/{made['id']}/revoke")
    clock.now += REMEMBERED_SECONDS - 0.001
    assert status() == 200
    clock.now += 0.001
    assert status() == 401


def test_an_expired_key_opens_nothing(keyed_client, make_key):
    assert keyed_client.get("/jobs", headers=make_key("anna", Scope.READ, expires_in=-1)).status_code == 401


def test_a_key_made_twice_by_one_request_is_one_key(api):
    sent = {"json": {"name": "ci", "scopes": ["read"]}, "headers": {"Idempotency-Key": "one"}}
    first, second = api("POST", "/keys", **dict(sent)), api("POST", "/keys", **dict(sent))
    assert (second.status_code, second.json()) == (201, first.json() | {"secret": None})
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(api("GET", "/keys").json()["items"]) == 2


def test_pages_cover_the_list(api):
    made = [api("POST", "/keys", json={"name": f"k{n}", "scopes": ["read"]}).json()["id"] for n in range(4)]
    seen, cursor = [], None
    while True:
        page = api("GET", "/keys", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen[:-1] == made[::-1]
    assert len(seen) == 5


def test_it_is_written_when_a_key_was_used_but_not_each_time(api, keyed_client, service_database):
    made = api("POST", "/keys", json={"name": "ci", "scopes": ["read"]}).json()
    ring = keyed_client.app.state.keys

    def used():
        keyed_client.get("/jobs", headers=bearer(made["secret"]))
        keyed_client.portal.call(ring.note_uses)
        return api("GET", f"/keys/{made['id']}").json()["last_used_at"]

    assert made["last_used_at"] is None
    first = used()
    assert first is not None
    assert used() == first
    with service_database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE api_keys SET last_used_at = '2020-01-01 00:00:00.000000'")
    assert used() > first


# --- What it costs


def statements_on_keys(database):
    seen = []

    @event.listens_for(database.reading.kw["bind"], "before_cursor_execute")
    def note(_connection, _cursor, statement, *_):
        if "api_keys" in statement:
            seen.append(statement)

    return seen


def test_a_poll_asks_the_database_for_its_key_once(keyed_client, admin):
    seen = statements_on_keys(keyed_client.app.state.database)
    for _ in range(20):
        assert keyed_client.get("/jobs", headers=admin).status_code == 200
    assert len(seen) == 1


def test_many_at_once_wait_for_one_answer(database):
    with database.writing() as session:
        issued = create_key(session, "anna", name="k", scopes=[Scope.READ], expires_in=None)
        session.commit()
    ring, seen = KeyRing(database), statements_on_keys(database)

    async def ask():
        asking = [asyncio.create_task(ring.find(issued.secret)) for _ in range(20)]
        await asyncio.sleep(0)
        asking[0].cancel()
        return await asyncio.gather(*asking[1:])

    assert asyncio.run(ask()) == [Principal("anna", frozenset({Scope.READ}), issued.id)] * 19
    assert len(seen) == 1


def test_what_no_key_can_be_is_not_looked_up(keyed_client):
    seen = statements_on_keys(keyed_client.app.state.database)
    keyed_client.get("/jobs", headers=bearer("guess"))
    assert seen == []


def test_no_answer_is_not_taken_for_one(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/later/ot3l.db")
    ring, secret = KeyRing(database), "ot3l_" + "A" * 43
    with pytest.raises(DATABASE_DOWN):
        asyncio.run(ring.find(secret))
    (tmp_path / "later").mkdir()
    migrate(f"sqlite:///{tmp_path}/later/ot3l.db")
    assert asyncio.run(ring.find(secret)) is None
    database.close()


def test_a_database_that_is_down_is_not_blamed_on_the_key(keyed_client, admin):
    keyed_client.app.state.keys.database = open_database("sqlite:////nowhere/at/all.db")
    reply = keyed_client.get("/jobs", headers=admin)
    assert (reply.status_code, reply.json()["type"]) == (503, "unavailable")


# --- Where no keys are asked for


def test_this_machine_needs_no_key(client):
    for url in ("http://localhost", "http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert client.get(f"{url}/jobs").status_code == 200, url


def test_a_name_that_leads_here_by_a_trick_is_refused(client):
    for host in (
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "a@evil.example",
        "10.0.0.1",
        "",
        "[",
        "::1",
    ):
        reply = client.get("/jobs", headers={"Host": host})
        assert (reply.status_code, reply.json()["type"]) == (400, "bad_host"), host
        assert client.get("/health/live", headers={"Host": host}).status_code == 200


def test_an_address_that_others_reach_is_refused(client):
    reply = client.get("http://192.0.2.7:8000/jobs", headers={"Host": "localhost"})
    assert (reply.status_code, reply.json()["type"]) == (403, "keys_required")


def test_a_page_of_another_site_is_refused(client):
    for origin in ("https://evil.example", "http://localhost.evil.example", "null", ""):
        reply = client.post("/datasets", headers={"Origin": origin})
        assert (reply.status_code, reply.json()["type"]) == (403, "foreign_origin")
    assert client.get("/jobs", headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_an_operator_may_leave_it_to_a_gateway(settings, queue):
    behind = settings.model_copy(update={"host": "0.0.0.0", "auth": AuthMode.OFF})  # noqa: S104
    with TestClient(create_app(behind, queue=queue), base_url="http://ot3l.example") as client:
        assert client.get("/jobs").status_code == 200


# --- The first key


@pytest.mark.parametrize("made", [[], [(Scope.READ, Scope.WRITE)]])
@pytest.mark.parametrize("changed", [{"auth": AuthMode.ON}, {"host": "0.0.0.0"}])  # noqa: S104
def test_without_an_administrator_the_service_does_not_start(settings, queue, make_key, made, changed):
    for scopes in made:
        make_key("anna", *scopes)
    make_key("anna", *Scope, expires_in=-1)
    app = create_app(settings.model_copy(update=changed), queue=queue)
    with (
        pytest.raises(NoKeyError, match=r"python -m app\.cli keys create --direct --owner NAME .* --scope admin"),
        TestClient(app, base_url="http://localhost"),
    ):
        pytest.fail("it started")
    make_key("anna", Scope.ADMIN)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/jobs").status_code == 401


def test_a_key_has_an_id_and_an_owner_of_its_own(api, make_key, keyed_client):
    other = keyed_client.get("/keys", headers=make_key("ben")).json()["items"]
    mine = api("GET", "/keys").json()["items"]
    assert len(mine) == len(other) == 1
    assert UUID(mine[0]["id"]) != UUID(other[0]["id"])
