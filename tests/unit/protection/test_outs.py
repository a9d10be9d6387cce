"""What a run may replace: what a stage has written, and what DVC holds; nothing of the user's."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from maskmill.protection import outs as outs_module
from maskmill.protection.outs import check_outs, outs_of_stages, run_of
from maskmill.protection.unsaved import Disk
from maskmill.settings import config
from maskmill.system import repository
from maskmill.system.errors import MaskmillError
from tests.conftest import REPOSITORY

CACHE = Path(".dvc/cache")


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> config.Params:
    """The settings of a fresh repository, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(repository, "cache_folder", lambda: CACHE)
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return config.load()


def write(path: str, text: str = "made") -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def made_by(stage: str, params: config.Params, *paths: str) -> None:
    """As the stage writes them when it runs."""
    run = run_of(stage, params)
    assert run
    with run.recorded():
        for path in paths:
            write(path)


def refusal(params: config.Params) -> str:
    with pytest.raises(MaskmillError) as raised:
        check_outs(params)
    return str(raised.value)


def cached(file: Path) -> None:
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    write(f"{CACHE}/files/md5/{digest[:2]}/{digest[2:]}", file.read_text())


def locked(out: str, **entry: object) -> None:
    with Path("dvc.lock").open("w") as file:
        YAML().dump({"schema": "2.0", "stages": {"any": {"outs": [{"path": out, **entry}]}}}, file)


def test_the_outs_are_those_of_dvc(params: config.Params):
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], check=True)
    code = "from dvc.repo import Repo\nfor out in Repo().index.outs: print(out.stage.name, out)"
    listed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert sorted(f"{out.name} {out.path}" for out in outs_of_stages(params)) == sorted(
        listed.stdout.splitlines()
    )


def test_nothing_there_and_empty_folders_are_fine(params: config.Params):
    Path("data/raw/images").mkdir(parents=True)
    check_outs(params)


def test_what_a_stage_has_written_may_go_also_when_it_was_killed(params: config.Params):
    made_by("ingest", params, "data/raw/index.csv", "data/raw/images/a.png")
    check_outs(params)
    run = run_of("train unet", params)
    assert run
    with pytest.raises(KeyboardInterrupt), run.recorded():
        write("models/unet/history.csv")
        raise KeyboardInterrupt
    run.ended.unlink()  # killed: nobody has noted the end
    check_outs(params)
    write("models/unet/model.json")  # after its last sign of life, and before the next one was due
    check_outs(params)
    os.utime(run.alive, ns=(0, run.alive.stat().st_mtime_ns - 10**10))
    assert "models/unet/model.json: not as the stage train@unet wrote it" in refusal(params)


def test_a_stage_shows_that_it_lives(params: config.Params, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outs_module, "_BEAT_S", 0.01)
    run = run_of("train unet", params)
    assert run
    with run.recorded():
        first = run.alive.stat().st_mtime_ns
        for _ in range(500):
            if run.alive.stat().st_mtime_ns > first:
                break
            time.sleep(0.01)
        assert run.alive.stat().st_mtime_ns > first


def test_a_run_that_waits_for_the_end_of_the_one_before_keeps_what_both_write(
    params: config.Params,
):
    run = run_of("train unet", params)
    assert run
    earlier, later = ExitStack(), ExitStack()
    earlier.enter_context(run.recorded())
    write("models/unet/history.csv")
    later.enter_context(run.recorded())
    earlier.close()
    assert not run.ended.exists()
    write("models/unet/model.json")
    check_outs(params)
    later.close()
    check_outs(params)


@pytest.mark.parametrize(
    "name", ["data/raw/notes.txt", "data/raw/images/.hidden", "challenger/notes.txt"]
)
def test_a_file_that_was_put_into_an_out_is_named_with_how_to_go_on(
    name: str, params: config.Params
):
    made_by("ingest", params, "data/raw/index.csv", "data/raw/images/a.png")
    made_by("select", params, "challenger/model.json", "metrics/selection.json")
    write(name, "mine")
    text = refusal(params)
    stage, out = (
        ("select", "challenger") if name.startswith("challenger") else ("ingest", "data/raw")
    )
    assert text.startswith(
        f"{name}: not as the stage {stage} wrote {out}, and a run would delete it; move what is"
    )
    assert text.endswith(f"or have DVC keep it: dvc commit --force {stage}")


def test_an_out_that_was_edited_is_named_until_dvc_has_it(params: config.Params):
    made_by("report", params, "reports/index.html")
    page = write("reports/index.html", "with a remark of mine")
    assert refusal(params).startswith("reports/index.html: not as the stage report wrote")
    cached(page)
    check_outs(params)


def test_a_folder_of_the_users_own_is_refused_as_an_out(params: config.Params):
    made_by("ingest", params, "data/raw/index.csv")
    for number in range(7):
        write(f"notes/{number}.txt", "mine")
    elsewhere = params.model_copy(
        update={"paths": params.paths.model_copy(update={"raw": "notes"})}
    )
    assert (
        refusal(elsewhere)
        == "params.yaml: paths.raw: notes holds files that no stage has written (notes/0.txt,"
        " notes/1.txt, notes/2.txt, notes/3.txt, notes/4.txt and 2 more), and a run would delete"
        " them; name a folder that is empty or not there under paths.raw, or move them elsewhere"
    )


def test_a_link_in_a_folder_counts_as_a_file(params: config.Params):
    Path("data/raw").mkdir(parents=True)
    Path("elsewhere").mkdir()
    Path("data/raw/pictures").symlink_to(Path("elsewhere").resolve())
    assert "(data/raw/pictures)" in refusal(params)


def test_what_dvc_has_put_there_may_go(params: config.Params):
    cached(write("data/raw/index.csv", "restored"))
    locked("data/raw")
    check_outs(params)
    CACHE.mkdir(exist_ok=True)
    link = Path("data/raw/images/a.png")
    link.parent.mkdir()
    # cache.type symlink
    link.symlink_to(next(path for path in CACHE.rglob("*") if path.is_file()).resolve())
    check_outs(params)
    link.unlink()
    link.symlink_to(Path("params.yaml").resolve())
    assert "data/raw/images/a.png" in refusal(params)


def test_a_folder_of_the_users_own_is_refused_though_dvc_holds_copies_of_its_files(
    params: config.Params,
):
    cached(write("camvid/images/a.png", "mine"))
    elsewhere = params.model_copy(
        update={"paths": params.paths.model_copy(update={"raw": "camvid"})}
    )
    assert (
        "paths.raw: camvid holds files that no stage has written (camvid/images/a.png)"
        in refusal(elsewhere)
    )


def test_a_page_of_another_make_in_the_reports_is_refused(params: config.Params):
    page = write("reports/problems.html", "<title>problems – maskmill data</title>")
    check_outs(params)
    page.write_text("<title>my site</title>")
    assert "paths.reports: reports/problems.html was not written by maskmill" in refusal(params)


def test_stages_of_the_users_own_and_empty_definitions_are_passed_over(params: config.Params):
    Path("folds").mkdir()
    for text in ("", "stages:\n", "stages: {mine: {cmd: 'cp ${from} b', outs: ['${to}']}}\n"):
        Path("folds/dvc.yaml").write_text(text)
        check_outs(params)


def test_an_out_that_is_as_dvc_lock_holds_it_may_go_though_the_cache_is_empty(
    params: config.Params,
):
    made = write("metrics/selection.json", "{}")
    locked("metrics/selection.json", size=2, md5=hashlib.md5(b"{}").hexdigest())
    check_outs(params)
    made.write_text("[]")
    assert "metrics/selection.json" in refusal(params)


def test_a_folders_digest_is_that_of_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.txt", "a/z.txt", "a.txt", "é.txt"):
        write(f"out/{name}", name)
    for command in (["init", "--no-scm"], ["add", "out"]):
        subprocess.run([sys.executable, "-m", "dvc", *command, "--quiet"], check=True)
    (entry,) = config.read_yaml(Path("out.dvc"))["outs"]
    locked(**{"out": "out", **{key: value for key, value in entry.items() if key != "path"}})
    monkeypatch.setattr(repository, "cache_folder", lambda: CACHE / "none")
    assert Disk(Path("dvc.lock")).unsaved(Path("out"), lambda _: False) == []
    assert len(Disk(Path("none")).unsaved(Path("out"), lambda _: False)) == 4


def test_a_lock_file_cut_off_by_a_kill_holds_nothing(params: config.Params):
    write("metrics/selection.json", "{}")
    Path("dvc.lock").write_text("stages:\n  : [")
    assert "metrics/selection.json" in refusal(params)


def test_what_killed_writers_leave_is_nobodys(params: config.Params):
    write("data/raw/.index.csv.part")
    write("data/raw/images/.DS_Store")
    write("data/raw/images/a.png.Xq9-ab_cdEFghIJklMNop0.tmp")
    write(f"data/prepared/shards/{'0' * 64}.bin")
    check_outs(params)


def test_folds_are_watched_too(params: config.Params):
    stage = {
        "cmd": "exec python -m maskmill.stages fold ${item.variant} ${item.fold} 2", "wdir": "..",
        "matrix": {"variant": "${variants}", "fold": [0, 1]},
        "outs": ["${paths.folds}/${item.fold}/${item.variant}"],
    }  # fmt: skip
    Path("folds").mkdir()
    with Path("folds/dvc.yaml").open("w") as file:
        YAML().dump({"stages": {"fold": stage}}, file)
    made_by("fold unet 1 2", params, "folds/1/unet/model.json")
    check_outs(params)
    write("folds/1/unet/notes.txt", "mine")
    assert refusal(params).endswith("dvc commit --force fold@unet-1")
