"""`maskmill tune` with real trainings: killed, with MLflow, without it, and what it says."""

import contextlib
import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from maskmill.curation import manifest
from maskmill.samples import shard_files
from maskmill.settings import config, space
from maskmill.system.errors import MaskmillError
from maskmill.tracking import stores
from maskmill.tuning import command, trial
from maskmill.tuning.search import CUT_SHORT, DONE, FAILED
from tests.pipelines.test_kill import running_in
from tests.tracking.trainings import command as argument
from tests.tuning.conftest import Tuning, kill, until

PREPARED = Path("data/prepared")
AWAY = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    """A search that nothing disturbed, with MLflow away and no test images."""
    root = tmp_path_factory.mktemp("whole")
    shutil.copytree(prepared, root, dirs_exist_ok=True)
    index = shard_files.read_index(root / "data/prepared/shards")
    shard_files.write_index(root / "data/prepared/shards", index[index["split"] != "test"])
    made = Tuning(root)
    made.code, made.output = made.run(MLFLOW_TRACKING_URI=AWAY)
    return made


def test_it_ends_well_without_mlflow_and_without_test_images(whole: Tuning):
    assert whole.code == 0, whole.output
    assert (
        whole.output.count(
            "tune: not recorded in MLflow: MLflow at http://127.0.0.1:9 does not answer"
        )
        == 2
    )
    assert [tried.ending for tried in whole.tried()] == [DONE, DONE]
    best = max(whole.tried(), key=lambda tried: tried.score)
    rate = best.choice.settings["train.learning_rate"]
    *_, found, run = whole.output.splitlines()
    assert found.startswith(
        f"tune: best val dice_foreground {best.score:.4f} in trial {best.number} of 2 (2 done)"
    )
    assert run == (
        "run the whole line with it: dvc exp run -S 'variants=[unet]' -S train.learning_rate="
        + repr(rate)
    )


def test_a_trial_leaves_its_history_and_its_card_and_no_weights(whole: Tuning):
    for tried in whole.tried():
        folder = whole.folder / f"trial-{tried.number}"
        history = pd.read_csv(folder / "models/unet/history.csv")
        assert history["val_dice_foreground"].max() == tried.score
        assert json.loads((folder / "models/unet/model.json").read_text())["variant"] == "unet"
        assert not list(folder.rglob("*.safetensors"))


@pytest.mark.slow
def test_killed_in_a_trial_it_goes_on_there_and_finds_what_it_would_have_found(
    tuning: Tuning, whole: Tuning
):
    process = tuning.start(MLFLOW_TRACKING_URI=AWAY)
    assert until(
        lambda: any(tuning.root.glob(".maskmill/tune/*/trial-1/state/checkpoints/unet/*/[!.]*"))
    )
    kill(process)
    first = (tuning.folder / "trial-0/models/unet/history.csv").stat()
    assert len(tuning.tried()) == 1
    code, output = tuning.run()
    assert code == 0, output
    assert "tune: 1 done; 2 wanted" in output
    assert "unet: goes on at step" in output
    assert (tuning.folder / "trial-0/models/unet/history.csv").stat() == first
    for one, other in zip(tuning.tried(), whole.tried(), strict=True):
        assert (one.choice, one.score, one.scores) == (other.choice, other.score, other.scores)
    _is_recorded(tuning)


@pytest.mark.slow
def test_on_two_devices_a_trial_is_cut_short_and_ends_without_a_trace(tuning: Tuning, capfd):
    tuning.set("train", devices=2, val_every_steps=2)
    folder, told = Path("trial"), []
    trial.prepare_trial(folder, tuning.params)
    assert (
        trial.run_trial(
            folder, "unet", "dice_foreground", lambda step, score: told.append(step) or step >= 4
        )
        is None
    )
    assert told[:2] == [2, 4]
    said, error = capfd.readouterr()
    assert said.count("unet: ended by SIGTERM after step") == said.count("unet: step    2/30") == 1
    assert "Traceback" not in error
    assert until(lambda: of_trials(tuning) == [])


def test_killed_while_a_trial_begins_a_search_leaves_no_training(tuning: Tuning):
    code = (
        "import sys; from pathlib import Path; from maskmill.tuning import trial;"
        "trial.run_trial(Path(sys.argv[1]), *'abc')"
    )
    folder = Path("trial")
    trial.prepare_trial(folder, tuning.params)
    search = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    assert until(lambda: len(of_trials(tuning)) == 1)
    search.kill()
    search.wait()
    assert until(lambda: of_trials(tuning) == [])
    assert not list(folder.rglob("history.csv"))


def of_trials(tuning: Tuning) -> list[int]:
    """Processes that train; not those that tell MLflow of it, which outlive them by seconds."""
    return [pid for pid in running_in(tuning.root) if "maskmill.tuning.trial" in argument(pid)]


@pytest.mark.slow
def test_asked_to_end_it_waits_for_the_checkpoint_of_its_trial(tuning: Tuning):
    tuning.set("train", steps=2000, patience=1000, checkpoint_every_s=3600.0)
    for how, status, goes_on in ((signal.SIGTERM, 143, False), (signal.SIGINT, 130, True)):
        process = tuning.start(MLFLOW_TRACKING_URI=AWAY)
        said = ""
        while "unet: step" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        process.send_signal(how)
        said += process.communicate(timeout=60)[0]
        assert process.returncode == status, said
        assert "Traceback" not in said
        assert said.count("unet: ended by SIGTERM after step") == 1
        assert ("unet: goes on at step" in said) == goes_on
        assert tuning.tried() == []  # the trial is neither done nor failed
    assert "stopped; start it again and it goes on from here" in said


@pytest.mark.parametrize("code", [143, -15, 130])
def test_a_trial_that_was_asked_to_end_has_not_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
):
    end = (
        f"import os, sys; sys.exit({code})"
        if code > 0
        else f"import os; os.kill(os.getpid(), {-code})"
    )
    start = trial.subprocess.Popen
    monkeypatch.setattr(
        trial.subprocess, "Popen", lambda command, **_: start([command[0], "-c", end])
    )
    with pytest.raises(SystemExit) as raised:
        trial.run_trial(tmp_path, "unet", "dice_foreground", lambda step, score: False)
    assert raised.value.code == (code if code > 0 else 143)


def _is_recorded(tuning: Tuning) -> None:
    """One run for the search, below it one for each trial, also of those that MLflow missed."""
    params = tuning.params
    store = stores.connect_store(params.tracking, params.paths)
    runs = {run.info.run_name: [] for run in store.client.search_runs([store.experiment_id])}
    for run in store.client.search_runs([store.experiment_id]):
        runs[run.info.run_name].append(run)
    (search,) = runs.pop("tune")
    assert search.info.status == "FINISHED"
    assert search.data.metrics["best_val_dice_foreground"] == max(
        tried.score for tried in tuning.tried()
    )
    assert len(runs["unet"]) == 2
    for run in runs["unet"]:
        assert run.data.tags["mlflow.parentRunId"] == search.info.run_id
        assert run.info.status == "FINISHED"
    rates = {float(run.data.params["train.learning_rate"]) for run in runs["unet"]}
    assert rates == {tried.choice.settings["train.learning_rate"] for tried in tuning.tried()}


class Trainings:
    """Stands for `trial.run_trial`: scores by the settings in the folder, without training."""

    def __init__(self, score, steps=(1, 2)):
        self.folders, self._score, self._steps = [], score, steps

    def __call__(self, folder, variant, metric, report):
        params = command_params(folder)
        self.folders.append(folder)
        score = self._score(params, variant)
        if isinstance(score, Exception):
            raise score
        return None if any(report(step, score) for step in self._steps) else score


def command_params(folder):
    from maskmill.settings import config

    return config.load(folder / trial.SETTINGS)


@pytest.fixture
def quick(tuning: Tuning, monkeypatch: pytest.MonkeyPatch):
    """A function: scores -> runs the command in this process, without trainings or MLflow."""
    monkeypatch.setattr(command.record.Book, "write", lambda *_, **__: None)

    def run(score):
        trainings = Trainings(score)
        monkeypatch.setattr(trial, "run_trial", trainings)
        return command.run_search(tuning.params), trainings

    return run


def by_rate(params, variant):
    return 1 - abs(params.train.learning_rate - 0.002)


def test_stopped_between_two_validations_a_search_ends_as_one_that_was_not(tuning: Tuning, quick):
    tuning.set("tune", trials=6, startup=3, pruner="median")
    quick(by_rate)
    undisturbed = tuning.tried()
    shutil.rmtree(tuning.root / ".maskmill/tune")
    for stop_at in (1, 4, None):

        def score(params, variant, stop_at=stop_at):
            if stop_at is not None and len(tuning.tried()) == stop_at:
                raise KeyboardInterrupt
            return by_rate(params, variant)

        with contextlib.suppress(KeyboardInterrupt):
            quick(score)
    for one, other in zip(tuning.tried(), undisturbed, strict=True):
        assert (one.choice, one.ending, one.scores) == (other.choice, other.ending, other.scores)
    assert len({str(tried.choice) for tried in undisturbed}) == 6


def test_what_was_tried_is_not_trained_again(tuning: Tuning, quick, capsys):
    tuning.set("tune", trials=6, space={"train.learning_rate": [0.001, 0.002]})
    best, trainings = quick(by_rate)
    assert len(tuning.tried()) == 6
    assert len(trainings.folders) == 2
    assert best.choice.settings == {"train.learning_rate": 0.002}
    assert "tune: trial 5: as trial " in capsys.readouterr().out
    _, trainings = quick(by_rate)  # all is there
    assert trainings.folders == []


def test_more_trials_go_on_where_the_search_ended_and_another_space_is_another_search(
    tuning: Tuning, quick
):
    quick(by_rate)
    tuning.set("tune", trials=4)
    _, trainings = quick(by_rate)
    assert [folder.name for folder in trainings.folders] == ["trial-2", "trial-3"]
    tuning.set("tune", space={"train.weight_decay": [0.0, 0.1]})
    _, trainings = quick(by_rate)
    assert trainings.folders[0].name == "trial-0"


@pytest.mark.parametrize(
    ("section", "changed"),
    [
        ("data", {"ignore_index": 254}), ("augmentation", {"preview": 7}),
        ("models", {"unet": {"feature_scale": 8}}), ("train", {"weight_decay": 0.5}),
        ("evaluation", {"primary": "miou"}), ("tune", {"startup": 7}),
        ("tune", {"pruner": "median"}), ("tune", {"seed": 7}),
        ("tune", {"space": {"train.steps": [30, 40]}}),
    ],
)  # fmt: skip
def test_whatever_decides_a_score_makes_another_search(
    tuning: Tuning, section: str, changed: dict[str, object]
):
    before = name(tuning)
    tuning.set(section, **changed)
    assert name(tuning) != before


def test_other_variants_or_images_make_another_search_and_what_decides_no_score_does_not(
    tuning: Tuning,
):
    before = name(tuning)
    tuning.set("tune", trials=9)
    tuning.set("gate", minimum={})
    assert name(tuning) == before
    table = manifest.read(PREPARED / "manifest.parquet")
    manifest.write(PREPARED / "manifest.parquet", table[table["split"] != "test"])
    assert name(tuning) == before
    manifest.write(
        PREPARED / "manifest.parquet",
        table[table["id"] != table.loc[table["split"] == "train", "id"].min()],
    )
    assert name(tuning) != before
    manifest.write(PREPARED / "manifest.parquet", table)
    tuning.values["variants"] = ["resnet18_unet"]
    tuning.set("tune")
    assert name(tuning) != before


def name(tuning: Tuning) -> str:
    return command._search_name(tuning.params, PREPARED)


@pytest.mark.parametrize(("pruner", "endings"), [("median", {DONE, CUT_SHORT}), ("none", {DONE})])
def test_a_trial_below_the_median_is_cut_short_where_that_is_asked_for(
    tuning: Tuning, quick, pruner, endings
):
    tuning.set("tune", trials=8, startup=2, pruner=pruner)
    best, _ = quick(lambda params, variant: 1 / params.train.learning_rate)
    assert {tried.ending for tried in tuning.tried()} == endings
    assert best.choice.settings["train.learning_rate"] == min(
        tried.choice.settings["train.learning_rate"] for tried in tuning.tried()
    )


def test_a_trial_that_fails_is_said_and_another_takes_its_place(tuning: Tuning, quick, capsys):
    broken = iter([MaskmillError("the training was killed by SIGKILL")])
    quick(lambda params, variant: next(broken, by_rate(params, variant)))
    assert [tried.ending for tried in tuning.tried()] == [FAILED, DONE, DONE]
    assert "tune: trial 0 failed: the training was killed by SIGKILL" in capsys.readouterr().err


def test_three_failures_one_behind_the_other_stop_it_and_the_next_start_goes_on(
    tuning: Tuning, quick
):
    with pytest.raises(
        MaskmillError, match=r"3 trials failed one behind the other; .* start `maskmill tune` again"
    ):
        quick(lambda params, variant: MaskmillError("no"))
    best, _ = quick(by_rate)
    assert best.number >= 3


def test_each_variant_is_tried_with_its_own_options_and_a_loss_is_a_value(tuning: Tuning, quick):
    losses = [{"cross_entropy": 1.0, "dice": 1.0}, {"focal": {"weight": 1.0, "gamma": 1.0}}]
    tuning.values["variants"] = ["unet", "resnet18_unet"]
    tuning.set(
        "tune",
        trials=12,
        startup=12,
        space={"models.resnet18_unet.width": {"low": 8, "high": 16}, "train.losses": losses},
    )
    best, _ = quick(
        lambda params, variant: (
            params.models["resnet18_unet"].options["width"] if variant != "unet" else 0.1
        )
    )
    for tried in tuning.tried():
        assert tried.choice.settings["train.losses"] in losses
        assert ("models.resnet18_unet.width" in tried.choice.settings) == (
            tried.choice.variant == "resnet18_unet"
        )
    assert isinstance(best.choice.settings["models.resnet18_unet.width"], int)
    assert {tried.choice.variant for tried in tuning.tried()} == {"unet", "resnet18_unet"}


def test_two_searches_at_once_are_refused(tuning: Tuning, quick):
    with (
        command.FileLock(tuning.root / ".maskmill/tune/lock"),
        pytest.raises(MaskmillError, match="another `maskmill"),
    ):
        quick(by_rate)


def test_without_data_it_says_how_to_make_them(tuning: Tuning, quick):
    (tuning.root / "data/prepared/augmentation.json").unlink()
    with pytest.raises(
        MaskmillError, match=r"augmentation\.json is not there; make the data: `dvc repro augment`"
    ):
        quick(by_rate)


def test_the_closing_command_is_what_a_shell_takes(tuning: Tuning, quick, capsys):
    tuning.set("tune", trials=1, space={"train.losses": [{"focal": {"weight": 2.0, "gamma": 1.0}}]})
    best, _ = quick(by_rate)
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert [
        word for word in words if "=" in word or word.startswith("~")
    ] == space.experiment_overrides(best.choice, config.read_yaml(tuning.root / "params.yaml"))
