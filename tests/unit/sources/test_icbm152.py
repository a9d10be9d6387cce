from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pytest

from maskmill.sources import icbm152
from maskmill.system.errors import MaskmillError


@pytest.fixture(scope="module")
def brain(data):
    names = icbm152.CLASSES
    return data.model_copy(
        update={
            "classes": names,
            "background": names[0],
            "colours": dict.fromkeys(names, "#000000"),
        }
    )


@pytest.fixture(scope="module")
def volumes():
    return icbm152._volumes()


@pytest.fixture
def slices(brain, volumes, monkeypatch):
    """A function: slabs and seed -> pairs, from volumes that are read once."""
    monkeypatch.setattr(icbm152, "_volumes", lambda: volumes)
    return lambda slabs, seed=0: list(
        icbm152.icbm152(folder=Path(), data=brain, slabs=slabs, seed=seed)
    )


def test_the_same_seed_gives_the_same_pixels_and_another_gives_others(slices):
    one, again, other = (slices([[80, 81]], seed) for seed in (3, 3, 4))
    for a, b, c in zip(one, again, other, strict=True):
        assert np.array_equal(a.image(), b.image())
        assert not np.array_equal(a.image(), c.image())
        assert np.array_equal(a.mask(), c.mask())


def test_a_slice_does_not_depend_on_the_slab_that_it_stands_in(slices):
    alone, among = slices([[80, 80]]), slices([[79, 82]])
    assert np.array_equal(alone[0].image(), among[1].image())


def test_each_slice_has_its_own_scanner(slices):
    a, b = (pair.image().astype(int) for pair in slices([[80, 81]]))
    assert np.abs(a - b).mean() > 5  # neighbours of the template itself differ by less


def test_sizes_types_and_ids(slices):
    for pair in slices([[12, 12], [80, 80], [148, 148]]):
        image, mask = pair.image(), pair.mask()
        assert (image.shape, image.dtype) == ((184, 152, 1), np.uint8)
        assert (mask.shape, mask.dtype) == ((184, 152), np.uint8)
        assert set(np.unique(mask).tolist()) == {0, 1, 2, 3}


def test_the_image_holds_the_whole_brain(slices, volumes):
    """As many pixels of it as the volume has, in every slice."""
    _, labels = volumes
    for z in (12, 60, 90, 148):
        assert np.count_nonzero(slices([[z, z]])[0].mask()) == np.count_nonzero(labels[:, :, z])


def test_a_slab_is_a_group_and_the_slice_number_the_order(slices):
    pairs = slices([[12, 13], [76, 77]])
    # slabs of one head: their ends are neighbours
    assert {p.sequence for p in pairs} == {"icbm152"}
    assert [(p.id, p.group, p.order) for p in pairs] == [
        ("icbm152_z012", "z012-013", 12),
        ("icbm152_z013", "z012-013", 13),
        ("icbm152_z076", "z076-077", 76),
        ("icbm152_z077", "z076-077", 77),
    ]


def test_background_is_exactly_where_the_template_is_0(slices):
    folder = Path(find_spec("nilearn").submodule_search_locations[0]) / "datasets" / "data"
    template = nibabel.load(folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz").dataobj[
        :, :, 80
    ]
    (pair,) = slices([[80, 80]])
    cropped = np.asarray(template)[22:174, 25:209]
    assert np.array_equal(pair.mask() == 0, np.rot90(cropped == 0))
    # the crop loses nothing of the brain
    assert np.count_nonzero(template) == np.count_nonzero(cropped)


def test_white_matter_is_brighter_than_grey_matter_than_fluid(slices):
    (pair,) = slices([[80, 80]])
    image, mask = pair.image()[..., 0], pair.mask()
    csf, grey, white = (image[mask == i].mean() for i in (1, 2, 3))
    assert csf < grey < white


def test_other_classes_or_colour_images_are_refused(data, brain):
    for wrong in (data, brain.model_copy(update={"in_channels": 3})):
        with pytest.raises(
            MaskmillError,
            match=r"do not describe the source icbm152, which has .*white_matter.* and 1",
        ):
            list(icbm152.icbm152(folder=Path(), data=wrong, slabs=[[80, 80]], seed=0))


@pytest.mark.parametrize("slab", [[180, 189], [-1, 4], [9, 8]])
def test_a_slab_outside_the_template_is_named_with_the_range(slices, slab):
    with pytest.raises(MaskmillError) as raised:
        slices([[80, 80], slab])
    assert str(raised.value) == f"data/source.yaml: slab {slab} is not within z 0..188"
