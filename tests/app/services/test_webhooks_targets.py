"""Where webhooks may lead: by address, by name, and by a name that changes its mind."""

import asyncio
import contextlib
import socket
import socketserver
import threading
from ipaddress import IPv4Address, IPv6Address

import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import HttpUrl, TypeAdapter

from app.services.targets import TargetRefusedError, is_public, open_outlet, require_target

PUBLIC = "93.184.215.14"
NOT_PUBLIC = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),  # noqa: S104 - refused, not bound
    *("172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1"),
    *("203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "100::1", "2001::1", "2001:db8::1", "3fff::1", "4000::1", "5f00::1", "64:ff9b:1::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
]

v4 = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
http_url = TypeAdapter(HttpUrl)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_not_the_internet_is_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"])
def test_the_internet_is_not(address):
    assert is_public(address)


@given(address=v4)
def test_an_address_is_the_same_in_whatever_form(address):
    number = int(address)
    forms = {
        "mapped": IPv6Address((0xFFFF << 32) | number),
        "6to4": IPv6Address((0x2002 << 112) | (number << 80)),
        "nat64": IPv6Address((0x64FF9B << 96) | number),
    }
    assert {is_public(str(form)) for form in forms.values()} == {is_public(str(address))}
    assert not is_public(str(IPv6Address(number)))


@given(address=v4, form=st.sampled_from(["{:d}", "{:#x}", "0{:o}"]))
def test_a_number_for_a_host_is_the_address_that_it_means(address, form):
    written = str(http_url.validate_python(f"https://{form.format(int(address))}/"))
    assert written == f"https://{address}/"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://example.com/", "https"),
        ("https://user:secret@example.com/", "password"),
        ("https://user@example.com/", "password"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com:0/", "port"),
        ("https://example.com:25/", "port"),
        ("https://example.com:80/", "port"),
        ("https://example.com/" + "a" * 2000, "characters"),
    ],
)
def test_a_url_that_is_refused_by_its_looks(url, told):
    with pytest.raises(TargetRefusedError, match=told):
        require_target(url, private=False)


def test_a_url_that_looks_well():
    assert require_target("https://example.com/hook?a=b", private=False) == ("example.com", 443)
    assert require_target("https://[2606:4700::1111]:8443/", private=False) == ("2606:4700::1111", 8443)
    assert require_target("http://hooks.internal:81/", private=True) == ("hooks.internal", 81)


class Wired(httpcore2.AnyIOBackend):
    """A network on which every address leads to one port of this machine."""

    def __init__(self, port):
        self.port = port
        self.reached = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109
        self.reached.append((host, port))
        return await super().connect_tcp("127.0.0.1", self.port, timeout, local_address, socket_options)


@contextlib.contextmanager
def listening():
    """A port that keeps the first bytes that it is sent, answers something that is no TLS, and hangs up."""
    heard = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            heard.append(self.request.recv(4096))
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1], heard
        finally:
            server.shutdown()
            thread.join()


def post(url, network, answers, *, private=False, times=1):
    """Send something, each look-up of a name giving the next of some answers."""
    asked = iter(answers)

    async def look_up(host, _port):
        return next(asked)

    async def send():
        async with open_outlet(private=private, look_up=look_up, network=network) as outlet:
            for _ in range(times - 1):
                with contextlib.suppress(httpcore2.ConnectError):
                    await outlet.post(url, headers={}, body=b"secret")
            return await outlet.post(url, headers={}, body=b"secret")

    return asyncio.run(send())


@pytest.mark.parametrize("addresses", [[private] for private in NOT_PUBLIC] + [[PUBLIC, "10.0.0.1"]])
def test_nothing_is_sent_where_any_address_is_not_public(addresses):
    with listening() as (port, heard):
        network = Wired(port)
        with pytest.raises(TargetRefusedError, match="not public"):
            post("https://hooks.example/", network, [addresses])
        assert (network.reached, heard) == ([], [])


def test_a_name_that_changes_its_mind_changes_nothing():
    with listening() as (port, heard):
        network = Wired(port)
        with pytest.raises(httpcore2.ConnectError):
            post("https://hooks.example/", network, [[PUBLIC], ["127.0.0.1"]])
        assert network.reached == [(PUBLIC, 443)]
        # The server is greeted by the name that the client gave, not by the address; without TLS it is told nothing.
        assert b"hooks.example" in heard[0]
        assert b"secret" not in heard[0]


def test_every_connection_is_looked_at():
    with listening() as (port, _):
        network = Wired(port)
        with pytest.raises(TargetRefusedError):
            post("https://hooks.example/", network, [[PUBLIC], ["127.0.0.1"]], times=2)
        assert network.reached == [(PUBLIC, 443)]


def test_what_was_allowed_once_is_asked_for_again():
    """A webhook that was registered while the operator allowed private targets."""
    with listening() as (port, heard):
        with pytest.raises(TargetRefusedError, match="https"):
            post("http://hooks.example/", Wired(port), [[PUBLIC]])
        assert heard == []


def test_the_next_address_is_tried_where_nobody_listens_at_the_first():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()[1]

    class Halved(Wired):
        async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):  # noqa: ASYNC109
            self.port = dead if host == PUBLIC else alive
            return await super().connect_tcp(host, port, timeout, local_address, socket_options)

    with listening() as (alive, heard):
        network = Halved(dead)
        status, told = post("http://hooks.example/", network, [[PUBLIC, "8.8.8.8"]], private=True)
        assert (status, told["content-length"]) == (400, "0")
        assert [host for host, _ in network.reached] == [PUBLIC, "8.8.8.8"]
        assert heard[0].startswith(b"POST / HTTP/1.1\r\n")
        assert b"host: hooks.example\r\n" in heard[0].lower()
