import pandas as pd
import pytest
import torch

from maskmill import losses
from maskmill.curation import manifest
from maskmill.stages import train as stage


@pytest.fixture
def make_loss(tmp_path, data, params):
    """A function: settings of train -> the loss of the stage, where images of val differ."""
    pixels = {
        "background": [80, 60, 0],
        "disc": [20, 30, 0],
        "square": [0, 10, 100],
        "bar": [0, 0, 0],
    }
    table = pd.DataFrame({"id": list("abc"), "split": ["train", "train", "val"]})
    manifest.write(
        tmp_path / "manifest.parquet", table.assign(**{f"px_{k}": v for k, v in pixels.items()})
    )
    return lambda **changes: stage._loss(data, params.train.model_copy(update=changes), tmp_path)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 5, 5, generator=generator), torch.randint(
        0, 4, (2, 5, 5), generator=generator
    )


def test_class_weights_follow_from_the_pixels_of_the_training_split_and_are_said(
    make_loss, batch, capsys
):
    value = make_loss(losses={"cross_entropy": 1.0}, class_weights="median")(*batch)
    frequency = (140 / 200, 50 / 200, 10 / 100)
    weights = [0.25 / f for f in frequency] + [1.0]
    assert value.item() == pytest.approx(
        losses.create({"cross_entropy": 1.0}, 255, class_weights=weights)(*batch).item(), rel=1e-6
    )
    assert capsys.readouterr().out == "class weights: background 0.357, disc 1, square 2.5, bar 1\n"


def test_without_class_weights_nothing_is_said_and_no_manifest_is_read(
    make_loss, batch, tmp_path, capsys
):
    (tmp_path / "manifest.parquet").unlink()
    value = make_loss(losses={"cross_entropy": 1.0}, class_weights=None)(*batch)
    assert value.item() == pytest.approx(losses.create({"cross_entropy": 1.0}, 255)(*batch).item())
    assert capsys.readouterr().out == ""


def test_the_background_is_no_class_of_the_boundary_loss(make_loss, batch):
    value = make_loss(losses={"boundary": 1.0}, class_weights=None)(*batch)
    foreground = {"disc": 1, "square": 2, "bar": 3}
    assert value.item() == pytest.approx(
        losses.create({"boundary": 1.0}, 255, foreground=foreground)(*batch).item()
    )
