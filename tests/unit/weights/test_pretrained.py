"""Weights to start from: every form that the setting can have, and every file that it can name."""

import hashlib
import http.server
import pickle
import threading
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch

from maskmill import models
from maskmill.system.errors import MaskmillError
from maskmill.weights import download, pretrained

WHERE = "params.yaml: models.unet.weights"
TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


def read(setting, tmp_path):
    return pretrained.read(str(setting), tmp_path / "state", WHERE)


def refusal(setting, tmp_path):
    with pytest.raises(MaskmillError) as raised:
        read(setting, tmp_path)
    text = str(raised.value)
    assert text.startswith(WHERE)
    return text


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(given, tensors=TENSORS):
    return given.tensors.keys() == tensors.keys() and all(
        torch.equal(given.tensors[k], v) for k, v in tensors.items()
    )


def cached(tmp_path):
    return sorted(
        path.name for path in (tmp_path / "state/weights").glob("*") if path.suffix != ".lock"
    )


@pytest.fixture
def torch_file(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(TENSORS, path)
    return path


def test_a_safetensors_file_is_read_as_it_stands(tmp_path):
    path = tmp_path / "weights.bin"  # by what it holds, not by its name
    safetensors.torch.save_file(TENSORS, path)
    given = read(path, tmp_path)
    assert same(given)
    assert given.sha256 == sha256(path)
    assert not (tmp_path / "state").exists()


def test_a_torch_file_is_read_once_and_kept_as_safetensors(tmp_path, torch_file, monkeypatch):
    first = read(torch_file, tmp_path)
    monkeypatch.setattr(torch, "load", None)
    again = read(torch_file, tmp_path)
    assert same(first)
    assert same(again)
    assert first.sha256 == again.sha256 == sha256(torch_file)
    (name,) = cached(tmp_path)
    assert name.startswith(first.sha256)
    assert name.endswith(".safetensors")


def test_damage_in_what_was_kept_is_found_and_mended(tmp_path, torch_file):
    read(torch_file, tmp_path)
    path = tmp_path / "state/weights" / cached(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert same(read(torch_file, tmp_path))


@pytest.mark.parametrize(
    "held",
    [
        {"epoch": 3, "state_dict": TENSORS},
        {"model": TENSORS, "optimizer": {"state": {}}},
        {f"module.{key}": value for key, value in TENSORS.items()},
        {f"_orig_mod.{key}": value for key, value in TENSORS.items()},
        OrderedDict((key, torch.nn.Parameter(value)) for key, value in TENSORS.items()),
    ],
    ids=["checkpoint", "model", "DataParallel", "compiled", "parameters"],
)
def test_the_usual_wrappings_are_taken_off(tmp_path, held):
    torch.save(held, tmp_path / "weights.pth")
    assert same(read(tmp_path / "weights.pth", tmp_path))


def test_tensors_that_share_memory_come_apart(tmp_path):
    both = torch.ones(2, 3)
    torch.save({"a": both, "b": both.T}, tmp_path / "weights.pth")
    assert same(read(tmp_path / "weights.pth", tmp_path), {"a": both, "b": both.T})


def test_a_torch_file_of_before_zip_archives_is_read(tmp_path):
    torch.save(TENSORS, tmp_path / "weights.pth", _use_new_zipfile_serialization=False)
    assert same(read(tmp_path / "weights.pth", tmp_path))


class Hostile:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_code_in_a_file_does_not_run(tmp_path, write, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    if write == "torch":
        torch.save({"a": Hostile()}, path)
    else:
        path.write_bytes(pickle.dumps(Hostile()))
    text = refusal(path, tmp_path)
    assert f"{path} is not a torch file of tensors alone, and nothing else in it is run" in text
    assert "False" not in text
    assert "safetensors.torch.save_file" in text
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "neither safetensors nor a torch file"),
        (b"<html>not found</html>", "neither safetensors nor a torch file"),
        (b"PK\x03\x04 and no archive", "is not a torch file of tensors alone"),
        (b"\x80\x02", "is not a torch file of tensors alone"),
        (b"\x80\x02junk", "is not a torch file of tensors alone"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, content, text):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    assert text in refusal(path, tmp_path)
    assert str(path) in refusal(path, tmp_path)


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"a": 1, "b": 2}, "it holds the keys a, b"),
        ([torch.ones(1)], "it holds list"),
        ({}, "it holds the keys"),
    ],
)
def test_a_torch_file_that_holds_something_else_says_what(tmp_path, held, text):
    torch.save(held, tmp_path / "weights.pth")
    told = refusal(tmp_path / "weights.pth", tmp_path)
    assert (
        "needed is a state dict (name: tensor), by itself or under state_dict, model_state_dict,"
        " model" in told
    )
    assert text in told


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.eye(3).to_sparse(), "sparse, quantized or without values: a; save plain tensors"),
        (
            torch.empty(2, device="meta"),
            "sparse, quantized or without values: a; save plain tensors",
        ),
        (
            torch.zeros(1).expand(10**6, 10**6),
            "its tensors take 4,000,000,000,000 bytes and the file has",
        ),
    ],
    ids=["sparse", "meta", "spread"],
)
def test_tensors_that_do_not_stand_for_themselves_are_refused(tmp_path, tensor, text):
    torch.save({"a": tensor}, tmp_path / "weights.pth")
    assert text in refusal(tmp_path / "weights.pth", tmp_path)


def test_a_file_with_its_digest_is_held_against_it(tmp_path, torch_file):
    assert same(read(f"{torch_file}#sha256={sha256(torch_file).upper()}", tmp_path))
    text = refusal(f"{torch_file}#sha256={'0' * 64}", tmp_path)
    assert f"has the sha256 {sha256(torch_file)}, the setting says {'0' * 64}" in text


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            "no/such.pth",
            (
                "no/such.pth: no such file; allowed are a file (safetensors or torch),"
                " https://HOST/FILE#sha"
            ),
        ),
        (
            "http://host/a.pth#sha256=" + "0" * 64,
            "allowed are a file (safetensors or torch), https://HOST/FILE#sha256",
        ),
        ("s3://host/a.pth", "allowed are a file"),
        ("https://[host/a.pth#sha256=" + "0" * 64, "allowed are a file"),
        ("https:///a.pth#sha256=" + "0" * 64, "allowed are a file"),
        ("https://host/\xe4.pth#sha256=" + "0" * 64, "allowed are a file"),
        ("https://host/a.pth", "has no digest; add #sha256= and 64 hexadecimal digits"),
        ("https://host/a.pth#sha256=12", "got #sha256='12'; needed are 64 hexadecimal digits"),
        ("https://me:secret@host/a.pth#sha256=" + "0" * 64, "holds a user, password or query"),
        ("https://host/a.pth?token=1#sha256=" + "0" * 64, "holds a user, password or query"),
    ],
)
def test_a_setting_of_another_form_says_what_is_allowed(tmp_path, setting, text):
    told = refusal(setting, tmp_path)
    assert text in told
    assert "secret" not in told


def test_a_version_without_alias_or_number_is_refused():
    assert pretrained.is_version("models:/cells@champion", WHERE) and pretrained.is_version(
        "models:/cells/3", WHERE
    )
    assert not pretrained.is_version("models/a.pth", WHERE)
    for setting in (
        "models:/cells",
        "models:/cells/",
        "models:/cells@",
        "models:/cells/latest",
        "models:cells/3",
    ):
        with pytest.raises(
            MaskmillError, match=r"models\.unet\.weights: got 'models:.*; allowed are a file"
        ):
            pretrained.is_version(setting, WHERE)


def test_no_network_has_an_option_that_a_variant_has_beside_them():
    for name in models.names():
        assert {"network", "weights"}.isdisjoint(models.network_options(name))


class Server:
    """A web server on loopback with one file, which counts its downloads."""

    def __init__(self, content):
        outer = self
        self.content, self.asked, self.length = content, 0, None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                if self.path == "/elsewhere":
                    self.send_response(302)
                    self.send_header("Location", "ftp://127.0.0.1/weights.pth")
                    self.end_headers()
                    return
                self.send_response(404 if self.path == "/none" else 200)
                self.send_header("Content-Length", str(outer.length or len(outer.content)))
                self.end_headers()
                self.wfile.write(outer.content)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def setting(self, path="weights.pth", digest=None):
        digest = digest or hashlib.sha256(self.content).hexdigest()
        return f"http://127.0.0.1:{self.http.server_port}/{path}#sha256={digest}"


@pytest.fixture
def server(torch_file, monkeypatch):
    monkeypatch.setattr(download, "SCHEMES", ("http",))  # loopback has no certificate
    made = Server(torch_file.read_bytes())
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_an_address_is_downloaded_once_and_kept_as_safetensors_alone(tmp_path, server, capsys):
    assert same(read(server.setting(), tmp_path))
    assert same(read(server.setting(), tmp_path))
    assert server.asked == 1
    assert capsys.readouterr().out.count("downloading http://127.0.0.1") == 1
    assert [name.rpartition(".")[2] for name in cached(tmp_path)] == ["safetensors"]


def test_a_downloaded_safetensors_file_is_kept_as_it_is(tmp_path, server):
    server.content = safetensors.torch.save(TENSORS)
    for _ in range(2):
        assert same(read(server.setting(), tmp_path))
    assert server.asked == 1


def test_another_file_at_the_address_is_refused_and_not_kept(tmp_path, server):
    text = refusal(server.setting(digest="0" * 64), tmp_path)
    assert (
        f"has the sha256 {hashlib.sha256(server.content).hexdigest()}, the setting says {'0' * 64}"
        in text
    )
    assert cached(tmp_path) == []


def test_a_damaged_download_is_fetched_again(tmp_path, server):
    server.content = safetensors.torch.save(TENSORS)
    read(server.setting(), tmp_path)
    (tmp_path / "state/weights" / cached(tmp_path)[0]).write_bytes(b"half")
    assert same(read(server.setting(), tmp_path))
    assert server.asked == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_is_not_kept(tmp_path, server, announced, monkeypatch):
    monkeypatch.setattr(download, "_MAX_BYTES", 100)
    if not announced:
        server.length = 50
        monkeypatch.setattr(download, "_MAX_BYTES", 40)
    assert "are downloaded; is it the right file?" in refusal(server.setting(), tmp_path)
    assert cached(tmp_path) == []


def test_an_address_that_does_not_answer_or_breaks_off_says_what_to_do(tmp_path, server):
    assert "cannot be had: Not Found; try again, or download it elsewhere" in refusal(
        server.setting("none"), tmp_path
    )
    server.length = len(server.content) + 10
    assert f"it broke off after {len(server.content):,} of" in refusal(server.setting(), tmp_path)
    server.http.shutdown()
    server.http.server_close()
    assert "refused; try again, or download it elsewhere and name the file" in refusal(
        server.setting(), tmp_path
    )
    assert cached(tmp_path) == []


def test_a_way_on_to_another_scheme_is_not_taken(tmp_path, server):
    text = refusal(server.setting("elsewhere"), tmp_path)
    assert "it leads on to ftp://127.0.0.1/weights.pth, and only http is followed" in text
