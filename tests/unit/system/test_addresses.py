import os
import socket

import pytest

from maskmill.system import addresses


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("0.0.0.0", "http://127.0.0.1:81"),
        ("::1", "http://[::1]:81"),
        ("::", "http://[::1]:81"),
        ("mills.example", "http://mills.example:81"),
    ],
)
def test_a_server_is_reached_under_an_address_that_can_be_called(host, reached):
    assert addresses.url(host, 81) == reached


def test_who_listens_is_found_and_nobody_where_nobody_does():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert [process.pid for process in addresses.listeners(port)] == [os.getpid()]
    assert addresses.listeners(port) == []
