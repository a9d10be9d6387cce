import socket

import pytest

from maskmill.serving import server
from maskmill.system.errors import MaskmillError


def test_answers_leave_at_once():
    with (
        server._listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
    ):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(MaskmillError) as raised:
        server._listen("192.0.2.1", 0)
    assert (
        str(raised.value)
        == "cannot listen on 192.0.2.1 port 0: Cannot assign requested address; free the port, or"
        " change services.model_port (or services.host) in params.yaml"
    )
