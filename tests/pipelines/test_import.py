"""`maskmill data import` in a real repository: what it says, writes, versions and never loses."""

import contextlib
import io
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maskmill.cli import app
from maskmill.images import decode
from maskmill.settings import config, configure
from maskmill.system import files
from tests.pipelines.conftest import Workspace, clone


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A clone in which nothing has run."""
    return clone(tmp_path / "repository")


def draw(
    folder: Path,
    names: list[str],
    stored: tuple[int, ...] = (0, 255),
    size: int = 40,
    first: int = 0,
) -> Path:
    """Grey images and masks of the stored values."""
    rng = np.random.default_rng(first)
    for i, name in enumerate(names):
        image, mask = (folder / name.format(kind) for kind in ("images", "masks"))
        decode.write_png(
            image.with_suffix(".png"), rng.integers(0, 255, (size + i % 2, size), np.uint8)
        )
        mask_pixels = np.array(stored, np.uint8)[rng.integers(0, len(stored), (size + i % 2, size))]
        decode.write_png(mask.with_suffix(".png"), mask_pixels)
    return folder


def bring(
    workspace: Workspace, folder: Path | str, *options: str
) -> subprocess.CompletedProcess[str]:
    """The command in this process, which spares its imports."""
    command = ["maskmill", "data", "import", str(folder), *options]
    out, error = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(workspace.root),
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
        pytest.raises(SystemExit) as ended,
    ):
        patch.setattr(sys, "argv", command)
        app.main()
    return subprocess.CompletedProcess(
        command, ended.value.code or 0, out.getvalue(), error.getvalue()
    )


def params(workspace: Workspace) -> config.Params:
    return config.load(workspace.root / "params.yaml")


def is_versioned(workspace: Workspace) -> bool:
    return (
        workspace.dvc("status", "data/source.dvc").stdout.strip()
        == "Data and pipelines are up to date."
    )


def test_a_folder_becomes_the_data_in_one_command(workspace: Workspace, tmp_path: Path):
    folder = draw(tmp_path / "Cell walls", [f"{{}}/{i}" for i in range(6)])
    (folder / "notes.txt").write_text("of no use")
    done = bring(workspace, folder, "--classes", "wall,cell", "--link")
    assert done.returncode == 0, done.stderr
    made = params(workspace)
    assert (made.data.title, made.data.classes, made.data.background) == (
        "Cell walls",
        ("wall", "cell"),
        None,
    )
    assert made.data.values == {0: "wall", 255: "cell"}
    assert (made.tracking.model, made.gate.minimum, made.selection.minimum) == (
        "cell-walls", {"dice_foreground": 0.5}, 0.0)  # fmt: skip
    assert made.augmentation.crop_px == (32, 32)  # they differ in size
    assert (workspace.root / "data/splits.csv").read_text() == "group,split\n"
    assert "z060-065" in (workspace.root / "data/splits.csv.bak").read_text()
    assert "kind: icbm152" in (workspace.root / "data/source.yaml.bak").read_text()
    assert not (workspace.root / "data/source/notes.txt").exists()
    assert is_versioned(workspace)
    for line in (
        "found       images in images, masks in masks: 6 pairs (data/source.yaml)",
        "class       0 -> wall, 49.49% of pixels (data.classes, data.values)",
        "background  none: every class counts as foreground (data.background)",
        (
            "images      grey (data.in_channels), 40 x 40, 40 x 41 px; trained on crops of 32 x 32"
            " (augmentation.crop_px)"
        ),
        "groups      each image alone: groups, blocks (data/source.yaml)",
        "versioned   12 files by DVC; commit what says so: git add data params.yaml",
    ):
        assert line in done.stdout
    assert done.stdout.endswith("next        make pipeline, after a look at reports/import.html\n")
    listed = workspace.run(sys.executable, "-m", "maskmill.stages", "ingest")
    assert "ingest: 6 pairs in 6 groups" in listed.stdout, listed.stderr
    # the same files: only the settings change
    again = bring(workspace, folder, "--classes", "wall,lumen")
    assert again.returncode == 0, again.stderr
    assert params(workspace).data.classes == ("wall", "lumen")
    assert "changed     data.classes: [wall, cell] -> [wall, lumen]\n" in again.stdout
    assert "icbm152" in (workspace.root / "params.yaml.bak").read_text()
    assert "cell-walls" in (workspace.root / "params.yaml.bak2").read_text()
    assert not (workspace.root / ".maskmill/replaced").exists()


HAND_MADE = {
    "data.title": "Lesions",
    "data.classes": ["background", "lesion"],
    "data.values": {0: "background", 255: "lesion"},
    "data.colours": {"background": "#000000", "lesion": "#FF00FF"},
    "augmentation.preset": "medical",
    "augmentation.crop_px": [512, 512],
    "selection.minimum": 0.6,
    "gate.minimum": {"dice_foreground": 0.93},
}


def test_the_same_data_leave_settings_made_by_hand_alone_and_others_leave_a_copy(
    workspace: Workspace, tmp_path: Path
):
    folder, file = (
        draw(tmp_path / "cells", [f"{{}}/{i}" for i in range(3)]),
        workspace.root / "params.yaml",
    )
    assert bring(workspace, folder).returncode == 0
    assert (workspace.root / "params.yaml.bak").exists()
    made = configure.change(HAND_MADE, file)
    text = file.read_text()
    again = bring(workspace, folder)
    assert again.returncode == 0, again.stderr
    assert file.read_text() == text
    assert (
        "as before   source and stored values: in params.yaml, names and colours of classes,"
        " crops, " in again.stdout
    )
    assert "changed" not in again.stdout
    assert (
        "warning     3 images are padded to a crop of 512 x 512 px (augmentation.crop_px), far"
        " larger" in again.stdout
    )
    named = bring(workspace, folder, "--title", "Spots", "--background", "none")
    assert (
        "changed     data.title: Lesions -> Spots\nchanged     data.background: background -> null"
        in named.stdout
    )
    wanted = made.data.model_copy(update={"title": "Spots", "background": None})
    assert params(workspace) == made.model_copy(update={"data": wanted})
    assert (workspace.root / "params.yaml.bak2").read_text() == text
    others = draw(tmp_path / "roads", [f"{{}}/{name}" for name in "abc"], first=7)
    replaced = bring(workspace, others, "--replace")
    assert "as before" not in replaced.stdout
    assert (
        "changed     gate.minimum: {dice_foreground: 0.93} -> {dice_foreground: 0.7}"
        in replaced.stdout
    )
    assert (params(workspace).data.title, params(workspace).tracking.model) == ("roads", "roads")
    assert not workspace.run("git", "status", "--short", "--", "*.bak*").stdout


def test_a_given_split_that_tears_a_group_is_told_and_the_void_ignored(
    workspace: Workspace, tmp_path: Path
):
    frames = {
        "train": ["s1_01", "s1_02", "s2_01", "s2_02"],
        "val": ["s1_03"],
        "test": ["s3_f01", "s3_f02"],
    }
    names = [f"{split}/{{}}/{name}" for split, listed in frames.items() for name in listed]
    folder = draw(tmp_path / "street", names, stored=(0, 1, 2))
    (folder / "train/masks/s2_02.png").unlink()
    done = bring(
        workspace,
        folder,
        "--ignore",
        "2",
        "--classes",
        "sky,road",
        "--background",
        "sky",
        "--name",
        "cars",
    )
    assert done.returncode == 0, done.stderr
    made = params(workspace)
    assert (made.splits.given, made.data.background, made.tracking.model) == (True, "sky", "cars")
    assert made.data.values == {0: "sky", 1: "road", 2: "ignore"}
    assert (
        "groups      3 by name, s1_01 is of s1: groups: (?P<group>[A-Za-z]+\\d+)_[A-Za-z]*"
        "(?P<order>\\d+) (data/source.yaml)" in done.stdout
    )
    assert "split       given: train 3, val 1, test 2 (splits.given)" in done.stdout
    assert (
        "not used    1: images without a mask; `maskmill predict` is for them: s2_02.png"
        in done.stdout
    )
    assert not (workspace.root / "data/source/train/images/s2_02.png").exists()
    assert (
        "warning     the given split tears 1 groups: s1 (train 2, val 1); `make pipeline` will stop"
        " there" in done.stdout
    )


def test_coco_is_drawn_when_it_is_ingested(workspace: Workspace, tmp_path: Path):
    folder = tmp_path / "cars"
    for place, split in enumerate(("train", "val")):
        decode.write_png(folder / split / "1.png", np.full((20, 30, 3), 90 + place, np.uint8))
        square = {"image_id": 1, "category_id": 4, "segmentation": [[2, 2, 12, 2, 12, 8, 2, 8]]}
        content = {
            "images": [{"id": 1, "file_name": "1.png", "height": 20, "width": 30}],
            "categories": [{"id": 4, "name": "car/van"}, {"id": 2, "name": "person"}],
            "annotations": [square],
        }
        files.write_json(folder / f"annotations/instances_{split}.json", content)
    done = bring(workspace, folder)
    assert done.returncode == 0, done.stderr
    data = params(workspace).data
    assert (data.classes, data.background, data.in_channels) == (
        ("background", "person", "car_van"),
        "background",
        3,
    )
    assert "split       new, by maskmill: the source gives no test (splits)" in done.stdout
    assert "warning     2 groups cannot fill train, val and test" in done.stdout
    listed = workspace.run(sys.executable, "-m", "maskmill.stages", "ingest")
    assert listed.returncode == 0, listed.stderr
    mask = decode.mask(workspace.root / "data/raw/masks/train__1.png")
    assert (mask.shape, int((mask == 2).sum()), int((mask == 0).sum())) == ((20, 30), 60, 540)
    assert is_versioned(workspace)
    refused = bring(workspace, folder, "--classes", "a,b")
    assert (
        "--classes, --values, --ignore: the source, COCO: annotations/instances_train.json with the"
        " images in train" in refused.stderr
    )


def test_a_list_says_groups_and_split_and_a_file_names_the_colours(
    workspace: Workspace, tmp_path: Path
):
    folder, lines = tmp_path / "listed", ["image,mask,group,split"]
    codes = np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
    for i, split in enumerate(("train", "val", "test")):
        decode.write_png(folder / f"x/{i}.png", np.full((8, 8), 40 * i, np.uint8))
        decode.write_png(folder / f"y/{i}.png", codes[np.arange(64).reshape(8, 8) % 2])
        lines.append(f"x/{i}.png,y/{i}.png,patient{i},{split}")
    files.write_text(folder / "list.csv", "\n".join(lines))
    files.write_text(folder / "class_dict.csv", "name,r,g,b\nbackground,0,0,0\nblood,255,0,0\n")
    done = bring(workspace, folder)
    assert done.returncode == 0, done.stderr
    made = params(workspace)
    assert made.data.values == {"#000000": "background", "#ff0000": "blood"}
    assert made.splits.given
    assert made.augmentation.crop_px is None
    assert "groups      3 of the list (data/source.yaml)" in done.stdout
    assert (workspace.root / "data/source/class_dict.csv").exists()


def snapshot(workspace: Workspace) -> dict[str, bytes]:
    """What git sees, or could see, but for the page."""
    listed = workspace.run("git", "ls-files", "--cached", "--others", "--exclude-standard").stdout
    found = [workspace.root / name for name in listed.splitlines()]
    found += (workspace.root / "data").rglob("*")
    return {str(path): path.read_bytes() for path in found if path.is_file()}


def test_a_dry_run_writes_the_page_alone_and_the_import_does_what_it_said(
    workspace: Workspace, tmp_path: Path
):
    folder = draw(tmp_path / "cells", [f"{{}}/{i}" for i in range(3)])
    before = snapshot(workspace)
    tried = bring(workspace, folder, "--dry-run", "--classes", "wall,cell")
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.endswith(
        "dry run     nothing is written but reports/import.html; without --dry-run the import is"
        " made\n"
    )
    assert snapshot(workspace) == before
    page = workspace.root / "reports/import.html"
    shown = page.read_text()
    assert "wall" in shown
    done = bring(workspace, folder, "--classes", "wall,cell")
    *described, _ = tried.stdout.splitlines()
    assert done.stdout.splitlines()[: len(described)] == described
    assert page.read_text() == shown


def test_the_line_that_repeats_an_import_is_told_and_kept_and_does_so(
    workspace: Workspace, tmp_path: Path
):
    folder = draw(tmp_path / "Cell walls", [f"{{}}/p{i}_{j}" for i in (1, 2, 3) for j in (1, 2)])
    pattern = r"(?P<group>p\d)_(?P<order>\d+)"
    options = ("--classes", "wall,cell", "--groups", pattern, "--title", "It's")
    done = bring(workspace, folder, *options)
    assert done.returncode == 0, done.stderr
    (line,) = [line[12:] for line in done.stdout.splitlines() if line.startswith("again")]
    source = (workspace.root / "data/source.yaml").read_text()
    assert f"# {line}\n" in source
    program, data_word, import_word, *arguments = shlex.split(line)
    assert (program, data_word, import_word) == ("maskmill", "data", "import")
    assert arguments == [str(folder), *options]
    before = snapshot(workspace)
    for name in ("params.yaml", "data/source.yaml"):
        configured = workspace.root / name
        configured.write_text(configured.read_text().replace("wall", "other"))
    shutil.copy(workspace.root / "params.yaml.bak", workspace.root / "params.yaml")
    assert bring(workspace, *arguments).returncode == 0
    after = snapshot(workspace)
    for name in ("params.yaml", "data/source.yaml", "data/source.dvc", "data/splits.csv"):
        assert after[str(workspace.root / name)] == before[str(workspace.root / name)], name


def test_update_takes_new_and_corrected_files_and_loses_nothing(
    workspace: Workspace, tmp_path: Path
):
    assert (
        "--update: data/source holds nothing to update"
        in bring(workspace, draw(tmp_path / "early", ["{}/0"]), "--update").stderr
    )
    folder = draw(tmp_path / "cells", [f"{{}}/{i}" for i in range(4)])
    assert bring(workspace, folder, "--classes", "wall,cell", "--title", "Mine").returncode == 0
    configure.change({"gate.minimum": {"dice_foreground": 0.9}}, workspace.root / "params.yaml")
    settings = (workspace.root / "params.yaml").read_text()
    version = (workspace.root / "data/source.dvc").read_text()
    (workspace.root / "data/splits.csv").write_text("group,split\n0,test\n1,train\n")
    old = {path.name: path.read_bytes() for path in (workspace.root / "data/source").rglob("*.png")}
    newer = draw(tmp_path / "newer", ["{}/3", "{}/4"], first=9)
    (newer / "notes.txt").write_text("of no use")
    done = bring(workspace, newer, "--update")
    assert done.returncode == 0, done.stderr
    assert "update      2 new files, 2 corrected, of 8 that were there" in done.stdout
    source = workspace.root / "data/source"
    assert sorted(path.stem for path in (source / "images").iterdir()) == [*"01234"]
    for kind in ("images", "masks"):
        for name in ("3.png", "4.png"):
            assert (source / kind / name).read_bytes() == (newer / kind / name).read_bytes()
    assert not (source / "notes.txt").exists()
    # settings and frozen splits stay, the version is a new one, the old file is kept
    assert (workspace.root / "params.yaml").read_text() == settings
    assert (workspace.root / "data/splits.csv").read_text() == "group,split\n0,test\n1,train\n"
    assert (workspace.root / "data/source.dvc").read_text() != version
    assert is_versioned(workspace)
    kept = workspace.root / ".maskmill/replaced/source"
    assert (kept / "masks/3.png").read_bytes() in old.values()
    again = bring(workspace, newer, "--update")
    assert again.returncode == 2
    assert f"--update: {newer} holds no new and no corrected file" in again.stderr


@pytest.mark.parametrize("change", ["values", "layout"])
def test_an_update_that_would_change_what_is_there_is_refused(
    workspace: Workspace, tmp_path: Path, change: str
):
    folder = draw(tmp_path / "cells", [f"{{}}/{i}" for i in range(4)])
    assert bring(workspace, folder).returncode == 0
    before = snapshot(workspace)
    if change == "values":
        other = draw(tmp_path / "other", ["{}/9"], stored=(0, 1, 2, 255))
    else:
        other = draw(tmp_path / "other", [f"p{i}/{{}}/{i}" for i in (7, 8, 9)])
    done = bring(workspace, other, "--update")
    assert done.returncode == 2, done.stdout
    assert snapshot(workspace) == before


def test_other_files_are_put_aside_only_when_told_and_never_lost(
    workspace: Workspace, tmp_path: Path
):
    first = draw(tmp_path / "first", [f"{{}}/{i}" for i in range(3)])
    second = draw(tmp_path / "second", [f"{{}}/{name}" for name in "abc"], first=1)
    assert bring(workspace, first).returncode == 0
    mine = workspace.root / "data/source/images/mine.png"
    shutil.copy(first / "images/0.png", mine)
    settings = (workspace.root / "params.yaml").read_text()
    done = bring(workspace, second)
    assert done.returncode == 2
    assert (
        "error: data/source holds 7 other files (images/0.png, ..); --replace puts them aside"
        in done.stderr
    )
    assert (workspace.root / "params.yaml").read_text() == settings
    done = bring(workspace, second, "--replace")
    assert (
        "kept        what stood in data/source is in .maskmill/replaced/source; delete it"
        in done.stdout
    ), done.stderr
    kept = workspace.root / ".maskmill/replaced/source"
    assert sorted(p.name for p in (kept / "images").iterdir()) == [
        "0.png", "1.png", "2.png", "mine.png",
    ]  # fmt: skip
    assert sorted(p.stem for p in (workspace.root / "data/source/images").iterdir()) == [
        "a", "b", "c",
    ]  # fmt: skip
    assert is_versioned(workspace)


def test_files_that_are_there_already_are_only_described(workspace: Workspace):
    draw(workspace.root / "data/source", [f"{{}}/{i}" for i in range(3)])
    done = bring(workspace, "data/source", "--groups", "(?P<group>.)", "--title", "Walls")
    assert done.returncode == 0, done.stderr
    assert params(workspace).data.title == "Walls"
    assert is_versioned(workspace)
    (workspace.root / "data/splits.csv").write_text("group,split\n1,test\n")
    kept = bring(workspace, "data/source")
    assert (
        "kept        data/splits.csv: it names 1 of the 3 groups, whose splits stay" in kept.stdout
    )


KILLED = """
import os, shutil, sys
from pathlib import Path
from maskmill.system import files
from maskmill.importing import command, placing

module, name, calls = {module}, {name!r}, int({calls})
real = getattr(module, name)

def killed(*args, **options):
    global calls
    calls -= 1
    if not calls:
        os._exit(9)
    return real(*args, **options)

setattr(module, name, killed)
command.import_folder(Path({folder!r}), command.Wishes())
"""


def test_data_that_dvc_brings_from_elsewhere_stay_so_until_they_are_replaced(
    workspace: Workspace, tmp_path: Path
):
    elsewhere = draw(tmp_path / "share", [f"{{}}/{i}" for i in range(3)])
    assert workspace.run("git", "rm", "--quiet", "-r", "--cached", "data/source").returncode == 0
    shutil.rmtree(workspace.root / "data/source")
    assert workspace.dvc("import-url", "--quiet", str(elsewhere), "data/source").returncode == 0
    done = bring(workspace, "data/source")
    assert (
        f"versioned   by DVC already, which brings data/source from {elsewhere}" in done.stdout
    ), done.stderr
    assert workspace.dvc("update", "data/source.dvc").returncode == 0
    own = bring(workspace, draw(tmp_path / "own", [f"{{}}/{name}" for name in "abc"]), "--replace")
    assert own.returncode == 0, own.stderr
    assert "deps" not in (workspace.root / "data/source.dvc").read_text()
    assert is_versioned(workspace)


def test_an_import_that_was_killed_at_any_step_is_run_again(workspace: Workspace, tmp_path: Path):
    folder = draw(tmp_path / "cells", [f"{{}}/{i}" for i in range(3)])
    for module, name, calls in (("shutil", "copy2", 3), ("files", "write_text", 1),
                                ("files", "write_text", 2), ("files", "write_text", 2),
                                ("placing", "version_folder", 1)):  # fmt: skip
        code = KILLED.format(module=module, name=name, calls=calls, folder=str(folder))
        done = workspace.run(sys.executable, "-c", code)
        assert done.returncode == 9, (module, name, calls, done.stderr)
    done = bring(workspace, folder)
    assert done.returncode == 0, done.stderr
    assert is_versioned(workspace)
    assert not (workspace.root / "data/.source.part").exists()
    assert params(workspace).data.classes == ("background", "foreground")


@pytest.mark.parametrize(
    ("folder", "options", "said"),
    [
        ("nowhere", (), "nowhere: no such folder; name the one that holds the images and masks"),
        (
            "data",
            (),
            (
                "data and data/source lie in one another; give a folder elsewhere, or data/source"
                " itself"
            ),
        ),
        ("cells", ("--classes", "a,b,c"), "--classes names 3 (a, b, c); masks hold 2 values"),
        (
            "cells",
            ("--background", "sky"),
            "--background: 'sky' is none of the classes background, foreground",
        ),
        ("cells", ("--ignore", "#00ff00"), "--ignore: no mask holds #00ff00"),
        ("cells", ("--groups", "x(?P<group>.)"), "does not match '0', '1', '2'"),
        ("cells", ("--name", "a b"), "tracking.model: got 'a b'"),
        ("cells", ("--classes", "a,a"), "names a class twice"),
        ("splits", (), "data/splits.csv: columns ['who', 'where']; needed are group,split"),
    ],
)
def test_a_refused_import_changes_nothing(
    refusing: Workspace, folder: str, options: tuple[str, ...], said: str
):
    if folder == "data":
        draw(refusing.root / "data", [f"{{}}/{i}" for i in range(3)])
    frozen = refusing.root / "data/splits.csv"
    text = frozen.read_text()
    if folder == "splits":
        frozen.write_text("who,where\n")
    done = bring(refusing, "cells" if folder == "splits" else folder, *options)
    frozen.write_text(text)
    if folder == "data":
        for kind in ("images", "masks"):
            shutil.rmtree(refusing.root / "data" / kind)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    status = refusing.run("git", "status", "--short").stdout
    assert status == "?? cells/\n"


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone beside whose files lies a folder `cells`."""
    made = clone(tmp_path_factory.mktemp("refusing") / "repository")
    draw(made.root / "cells", [f"{{}}/{i}" for i in range(3)])
    return made


def test_a_folder_behind_a_link_out_of_the_repository_is_refused_everywhere(
    workspace: Workspace, tmp_path: Path
):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(workspace.root / "data", elsewhere)
    (workspace.root / "data").symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    for command in (
        ("pipelines.local",),
        ("maskmill.stages", "ingest"),
        ("maskmill", "data", "import", "x"),
    ):
        done = workspace.run(sys.executable, "-m", *command)
        assert done.returncode == 2
        assert (
            f"paths.source: data/source leads to {elsewhere}/source, out of the repository"
            in done.stderr
        )
    assert sorted(elsewhere.rglob("*")) == before
