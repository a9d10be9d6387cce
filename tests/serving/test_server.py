"""What real servers refuse, and how they start and end."""

import base64
import signal
import subprocess

import httpx
import psutil
import pytest

from tests.pipelines.conftest import change_params
from tests.services.conftest import until
from tests.serving.conftest import encode, masks, picture, post

GOOD = encode(picture(16, 16))


def test_rows_that_are_no_images_do_not_spoil_the_others(clients):
    rows = post(clients["unet"], GOOD, "no base64!", GOOD).json()["predictions"]
    assert [row["mask"] is None for row in rows] == [False, True, False]
    assert (
        rows[1]["error"] == "row 1: column image is not base64; send the bytes of an image file so"
    )
    assert len(masks(post(clients["unet"], GOOD, GOOD))) == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"dataframe_records": [', "body: not JSON: Expecting value"),
        (b"[" * 100_000, "body: JSON nested too deeply"),
        (b'{"dataframe_records": [{"image": NaN}]}', "body: not JSON: NaN is no JSON value"),
        (
            b'{"dataframe_records": [{"image": 3.5}]}',
            "row 0: column image: got a value of type float; allowed is",
        ),
        (
            b'{"dataframe_records": [{"image": "AAAA"}]}',
            "row 0: not an image by its first bytes; read are PNG",
        ),
    ],
)
def test_a_wrong_body_is_400_and_the_server_lives_on(clients, body, said):
    client = clients["unet"]
    answer = client.post("/invocations", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)
    assert client.get("/ping").status_code == 200


def test_an_image_over_the_limit_is_refused(clients):
    answer = post(clients["unet"], encode(picture(500, 401)))
    assert answer.status_code == 400
    assert (
        answer.json()["error"]
        == "row 0: 401 x 500 px; at most 200,000 px are read (params.yaml: services.max_pixels);"
        " scale it down"
    )
    assert masks(post(clients["unet"], encode(picture(500, 400))))[0].shape == (500, 400)


def test_the_guard_stands_before_the_model(clients):
    client = clients["unet"]

    def status(**headers):
        return client.post(
            "/invocations", json={"inputs": {"image": [GOOD]}}, headers=headers
        ).status_code

    assert status() == 200
    assert status(host="evil.example") == 400
    assert status(origin="https://evil.example") == 403
    assert httpx.post(client.base_url.join("/invocations"), trust_env=False).status_code == 401
    too_large = client.post("/invocations", content=b"x" * 1_000_001)
    assert (too_large.status_code, "services.max_body_mb" in too_large.text) == (413, True)


def test_it_listens_on_loopback_alone(clients):
    for client in clients.values():
        listening = psutil.Process(client.process.popen.pid).net_connections("inet")
        assert {c.laddr.ip for c in listening if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_it_says_what_it_serves_and_logs_each_request(clients, registered):
    post(clients["resnet18_unet"], GOOD)
    process = clients["resnet18_unet"].process
    # logged once it is answered
    assert until(lambda: '"POST /invocations HTTP/1.1" 200' in process.output, 10)
    assert (
        f"serving icbm152 version {registered.versions['resnet18_unet']} (resnet18_unet, weights "
        in process.output
    )


def test_the_line_that_it_prints_works_in_a_shell(clients, tmp_path):
    (tmp_path / "IMAGE.png").write_bytes(base64.b64decode(GOOD))
    output = clients["resnet18_unet"].process.output
    line = output[output.index("printf ") : output.index("/invocations") + len("/invocations")]
    done = subprocess.run(
        ["sh", "-c", line], cwd=tmp_path, text=True, capture_output=True, check=True
    )
    assert done.stdout.startswith('{"predictions": [{"mask": "')


def test_mlflows_own_server_puts_what_is_wrong_into_the_rows(bare):
    large = encode(picture(500, 401))
    rows = post(bare, GOOD, "AAAA", large).json()["predictions"]
    assert rows[0]["error"] is None
    assert rows[1]["error"].startswith("row 1: not an image by its first bytes")
    assert rows[2]["error"].startswith("row 2: 401 x 500 px; at most 200,000 px are read")
    assert [row["mask"] for row in rows[1:]] == [None, None]
    many = post(bare, *[GOOD] * 9)
    assert many.status_code == 200
    assert {row["error"][:27] for row in many.json()["predictions"]} == {
        "got 9 rows; at most 8 are a"
    }
    assert (
        post(bare, 3)
        .json()["predictions"][0]["error"]
        .startswith("row 0: column image: got a value of type int")
    )
    for wrong in ({"dataframe_records": [{"picture": GOOD}]}, {"inputs": None}):
        answer = bare.post("/invocations", json=wrong)
        assert answer.status_code == 400
        assert "Traceback" not in answer.text
        assert "stack_trace" not in answer.text


def test_signals_end_it_in_good_order(registered):
    signals = [signal.SIGINT, signal.SIGTERM]
    processes = [registered.serve("--port", "0") for _ in signals]
    try:
        for process in processes:
            process.wait_until_up()
        for process, number in zip(processes, signals, strict=True):
            process.popen.send_signal(number)
        assert [process.ended() for process in processes] == [0, 0]
        assert "Traceback" not in "".join(process.output for process in processes)
    finally:
        for process in processes:
            process.end()


def test_a_taken_port_is_an_error_that_names_who_has_it(clients, registered):
    client = clients["resnet18_unet"]
    late = registered.serve("--port", str(client.base_url.port))
    assert late.ended() == 2
    assert (
        f"cannot listen on 127.0.0.1 port {client.base_url.port}: Address already in use, held by "
        in late.output
    )
    assert f"(process {client.process.popen.pid})" in late.output
    assert "services.model_port" in late.output


def test_without_a_champion_the_error_says_how_to_get_one(registered, tmp_path):
    (tmp_path / "params.yaml").write_bytes((registered.root / "params.yaml").read_bytes())
    change_params(tmp_path, {"tracking.model": "another"})
    early = registered.serve("--port", "0", cwd=tmp_path)
    assert early.ended() == 2
    assert early.lines[-1].startswith("error: no version of 'another' has alias 'champion'")
    assert "`make pipeline` trains and registers one" in early.lines[-1]
