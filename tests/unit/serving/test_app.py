"""What the app answers to each wrong request, and to an error of its own."""

import base64
import io
import json
import logging
import os
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from maskmill.images import decode
from maskmill.inference.predict import Predictor
from maskmill.serving import app
from maskmill.serving.scoring import RequestLimits, Scorer
from maskmill.system.errors import MaskmillError
from tests.unit.serving.conftest import save

IMAGE = base64.b64encode(decode.png_bytes(np.zeros((5, 4), np.uint8))).decode()
LIMITS = RequestLimits(threads=1, max_rows=3, max_pixels=400)


@pytest.fixture(scope="module")
def scorer(folder):
    return Scorer(Predictor(folder), LIMITS)


@pytest.fixture
def client(scorer):
    with TestClient(app.create(scorer), raise_server_exceptions=False) as client:
        yield client


def test_each_form_of_mlflow_is_answered_alike(client):
    forms = [
        {"dataframe_records": [{"image": IMAGE}, {"image": IMAGE}]},
        {"dataframe_split": {"columns": ["image"], "data": [[IMAGE], [IMAGE]]}},
        {"dataframe_split": {"columns": ["image"], "index": [7, 8], "data": [[IMAGE], [IMAGE]]}},
    ]
    for form in ("inputs", "instances"):
        forms += [
            {form: [{"image": IMAGE}] * 2},
            {form: {"image": [IMAGE, IMAGE]}},
            {form: [IMAGE, IMAGE]},
        ]
    answers = [client.post("/invocations", json=form) for form in forms]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert [list(row) for row in answers[0].json()["predictions"]] == [
        ["mask", "weights_sha256", "error"]
    ] * 2


def records(*values):
    return {"dataframe_records": [{"image": value} for value in values]}


def tiff_with_nan():
    file = io.BytesIO()
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(file, "TIFF")
    return base64.b64encode(file.getvalue()).decode()


WRONG = {
    "nothing": (b"", "body: not JSON: Expecting value"),
    "cut off": (b'{"inputs": [', "body: not JSON: Expecting value: line 1 column 13"),
    "no UTF-8": (b'{"inputs": ["\xff"]}', "body: not JSON: "),
    "a deep one": (
        b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "body: JSON nested too deeply; allowed",
    ),
    "a number of 10000 digits": (
        b'{"inputs": [' + b"9" * 10_000 + b"]}",
        "body: not JSON: Exceeds the limit",
    ),
    "NaN": (b'{"inputs": [NaN]}', "body: not JSON: NaN is no JSON value; allowed is"),
    "infinity": (b'{"inputs": [-Infinity]}', "body: not JSON: -Infinity is no JSON value"),
    "a list": ([IMAGE], "body: got ['iVBORw0KG"),
    "null": (
        None,
        "body: got None; allowed is an object with one of dataframe_records, dataframe_split",
    ),
    "no form": (
        {"images": [IMAGE]},
        "body: got the keys ['images']; allowed is an object with one of dataframe_rec",
    ),
    "two forms": (
        {"inputs": [IMAGE], "instances": [IMAGE]},
        "body: got the keys ['inputs', 'instances']; allowed is",
    ),
    "no table": ({"dataframe_records": "x"}, "dataframe_records: got 'x'; allowed is a list"),
    "columns as records": (
        {"dataframe_records": {"image": [IMAGE]}},
        "dataframe_records: got {'image': ['iVBOR",
    ),
    "a row that is none": ({"dataframe_records": [IMAGE]}, "row 0: got 'iVBORw0KGgo"),
    "one value as inputs": ({"inputs": IMAGE}, "inputs: got 'iVBORw0KGg"),
    "one value as column": ({"inputs": {"image": IMAGE}}, "inputs: got {'image': 'iVBORw0KGg"),
    "no rows": (records(), "dataframe_records: got no rows; at least one is needed"),
    "another column": (
        {"inputs": {"picture": [IMAGE]}},
        "inputs: got the columns ['picture']; allowed is ['image']",
    ),
    "one column more": (
        {"dataframe_records": [{"image": IMAGE}, {"image": IMAGE, "id": 1}]},
        "row 1: got the columns ['image', 'id']; allowed is ['image']",
    ),
    "no column": (
        {"dataframe_split": {"data": [[IMAGE]]}},
        "dataframe_split: got the keys ['data']; allowed is",
    ),
    "other columns": (
        {"dataframe_split": {"columns": ["id"], "data": [[1]]}},
        "dataframe_split: got the columns ['id']; allowed is ['image']",
    ),
    "ragged rows": (
        {"dataframe_split": {"columns": ["image"], "data": [[IMAGE], []]}},
        "dataframe_split: data: got [['iVBOR",
    ),
    "a number": (
        records(1.5),
        "row 0: column image: got a value of type float; allowed is a base64 string",
    ),
    "null among strings": (
        records(IMAGE, None),
        "row 1: column image: got a value of type null; allowed is a base64",
    ),
    "an array of pixels": (
        records([[0, 1], [2, 3]]),
        "row 0: column image: got a value of type list; allowed is",
    ),
    "too many rows": (
        records(*[IMAGE] * 4),
        "got 4 rows; at most 3 are answered in one request (services.max_rows ",
    ),
    "no image in any row": (
        records("AAAA", "!"),
        "row 0: not an image by its first bytes; read are PNG",
    ),
    "pixels of NaN": (
        records(tiff_with_nan()),
        "row 0: a grey image of float32; allowed are 8 bits, or",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_body_is_400_with_what_got_and_allowed(client, name):
    body, said = WRONG[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(
        "/invocations", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(said)
    assert len(answer.json()["request_id"]) == 16
    assert len(answer.text) < 1000, "what was sent is shown shortened"


def test_the_errors_of_all_rows_are_told(client):
    said = client.post("/invocations", json=records("AAAA", "!")).json()["error"]
    assert "row 1: column image is not base64" in said


def test_an_image_is_refused_by_its_header_before_its_pixels_are_read(client):
    header_only = decode.png_bytes(np.zeros((41, 10), np.uint8))[:60]
    answer = client.post("/invocations", json=records(base64.b64encode(header_only).decode()))
    assert (
        answer.json()["error"]
        == "row 0: 10 x 41 px; at most 400 px are read (params.yaml: services.max_pixels); scale it"
        " down"
    )


@pytest.mark.parametrize(
    "kind",
    ["text/csv", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""],
)
def test_another_content_type_is_415_and_says_which_is_read(client, kind):
    answer = client.post("/invocations", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert (
        answer.json()["error"]
        == f"content-type: got {kind!r}; allowed is application/json, in UTF-8"
    )


def test_the_usual_spellings_of_the_content_type_are_read(client):
    for kind in (
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
    ):
        content = json.dumps(records(IMAGE))
        assert (
            client.post("/invocations", content=content, headers={"content-type": kind}).status_code
            == 200
        )


def test_an_unexpected_error_is_500_with_an_id_that_stands_in_the_log(client, monkeypatch, caplog):
    monkeypatch.setattr(Predictor, "predict", lambda *_: 1 / 0)
    with caplog.at_level(logging.ERROR):
        answer = client.post("/invocations", json=records(IMAGE))
    assert answer.status_code == 500
    assert set(answer.json()) == {"error", "request_id"}
    assert "ZeroDivisionError" not in answer.text
    assert f"request {answer.json()['request_id']} failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_other_endpoints_are_named(client):
    for path in ("/ping", "/health", "/version"):
        assert client.get(path).status_code == 200
    absent, wrong = client.get("/predict"), client.get("/invocations")
    assert (absent.status_code, wrong.status_code, wrong.headers["allow"]) == (404, 405, "POST")
    assert absent.json()["error"].startswith(
        "GET /predict: no such endpoint; there are POST /invocations, "
    )


def test_requests_at_once_never_take_more_threads_than_there_are_cores(folder, monkeypatch):
    cores = len(os.sched_getaffinity(0))
    seen, at_work, most = [], 0, 0
    lock = threading.Lock()
    predict = Predictor.predict

    def watched(self, image):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        seen.append(torch.get_num_threads())
        mask = predict(self, image)
        with lock:
            at_work -= 1
        return mask

    monkeypatch.setattr(Predictor, "predict", watched)
    for threads in (1, cores, 2 * cores):
        most, seen = 0, []
        scorer = Scorer(Predictor(folder), RequestLimits(threads, max_rows=9, max_pixels=100))
        for future in [scorer.submit([IMAGE] * 3) for _ in range(6)]:
            assert len(future.result()) == 3
        assert set(seen) == {threads}
        assert most <= max(1, cores // threads)


def test_weights_that_give_nan_are_not_served(tmp_path):
    def spoil(weights):
        next(value for value in weights.values() if value.is_floating_point()).fill_(float("nan"))

    with pytest.raises(
        MaskmillError, match="a grey image gives NaN or infinity; serve another version"
    ):
        Scorer(Predictor(save(tmp_path, spoil)), LIMITS)
