"""The application behind a server of its own, in this process: for programs that have to reach it over the network."""

from contextlib import contextmanager
from socket import create_server
from threading import Thread
from time import sleep

from uvicorn import Config, Server

from app.guard import GuardedProtocol
from app.main import create_app
from app.principals import Scope
from app.services.keys import create_key
from app.store.sessions import open_database
from tests.fakes import RecordingQueue


def make_key(database_url):
    """A key that allows everything, as the operator makes it."""
    database = open_database(database_url)
    with database.writing() as session:
        issued = create_key(session, "fuzz", name="fuzz", scopes=tuple(Scope), expires_in=None)
        session.commit()
    database.close()
    return issued.secret


@contextmanager
def served(settings):
    """The application behind its own server, in a thread of this process; nobody takes its work."""
    app = create_app(settings, queue=RecordingQueue())
    listener = create_server(("127.0.0.1", 0))
    server = Server(Config(app, http=GuardedProtocol, lifespan="on", log_config=None, access_log=False))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
