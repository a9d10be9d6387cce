"""Copies are found and named by their kind; what only looks alike is not."""

import hashlib
import io
import itertools
import time

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from maskmill.curation import duplicates
from maskmill.curation.duplicates import candidates, registration, views

HEIGHT, WIDTH = 144, 192
BUDGET_S = 300.0


def clouds(seed, height=HEIGHT, width=WIDTH):
    """Noise with the spectrum of a photograph, of mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / np.maximum(
        np.hypot(y, x), 1 / width
    )
    pixels = np.fft.irfft2(spectrum, (height, width))
    return (pixels - pixels.mean()) / pixels.std()


def as_image(values):
    return np.uint8(np.clip(128 + 45 * values, 0, 255))[..., None]


def scene(seed):
    return as_image(clouds(seed))


def saved(pixels, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, kind, **options)
    return np.atleast_3d(np.asarray(Image.open(buffer).convert("L")))


def resized(pixels, height, width):
    return np.atleast_3d(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def turned(pixels, degrees):
    height, width = pixels.shape[:2]
    move = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return np.atleast_3d(cv2.warpAffine(pixels, move, (width, height)))


def cropped(pixels):
    return np.ascontiguousarray(pixels[10:139, 15:187])  # 80 % of the area


def find(images, budget_s=BUDGET_S, order=None):
    """The search over id -> pixels, None where unreadable; rows in `order` of ids."""
    names = list(order or images)
    pixels = [images[name] for name in names]
    rows = [
        (
            name,
            *(
                (None,) * 3
                if p is None
                else (*p.shape[:2], hashlib.sha256(p.tobytes()).hexdigest())
            ),
        )
        for name, p in zip(names, pixels, strict=True)
    ]
    empty = np.zeros((duplicates.THUMBNAIL_PX,) * 2, np.uint8)
    thumbnails = np.stack([empty if p is None else duplicates.thumbnail(p) for p in pixels])
    table = pd.DataFrame(rows, columns=["id", "height", "width", "sha256_pixels"])
    return duplicates.find_duplicates(table, thumbnails, pixels.__getitem__, budget_s)


def found(search):
    return list(search.pairs[["a", "b", "kind"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module")
def scenes():
    return {f"s{i:02d}": scene(i) for i in range(12)}


CHANGES = {
    "exact": [np.copy],
    "copy": [
        lambda p: saved(p, "JPEG", quality=30),
        lambda p: saved(p, "WEBP", quality=50),
        lambda p: resized(p, HEIGHT // 2, WIDTH // 2),
        lambda p: resized(p, HEIGHT * 2, WIDTH * 2),
        lambda p: resized(p, 128, 128),
        lambda p: np.uint8(p * 0.7 + 30),
    ],
    "flipped": [lambda p: p[:, ::-1], lambda p: p[::-1],
                lambda p: saved(p.transpose(1, 0, 2), "JPEG", quality=75)],
    "turned": [np.rot90, lambda p: np.rot90(p, 2), lambda p: np.rot90(p, 3), *(
        lambda p, a=angle: turned(p, a) for angle in (7, 33, 130, 261)
    )],
    "crop": [cropped, lambda p: cropped(p)[:, ::-1],
             lambda p: saved(cropped(p), "JPEG", quality=75)],
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_each_kind_of_copy_is_found_and_named(scenes, kind):
    planted = {
        f"s{i:02d} {kind}": np.ascontiguousarray(c(scenes[f"s{i:02d}"]))
        for i, c in enumerate(CHANGES[kind])
    }
    search = find(scenes | planted)
    assert found(search) == [(name.split()[0], name, kind) for name in planted]
    assert search.pairs["score"].between(0.9, 1.0).all()
    assert search.searched == len(scenes) + len(planted)
    assert (search.left_out, search.note) == (0, "")


def test_colour_is_compared_as_grey():
    grey = np.repeat(scene(0), 3, axis=2)
    tinted = np.uint8(grey * np.array([1.0, 0.9, 0.8]))
    assert found(find({"a": grey, "b": tinted, "c": np.repeat(scene(1), 3, axis=2)})) == [
        ("a", "b", "copy")
    ]


def test_different_pictures_are_no_copies():
    assert found(find({f"{i:02d}": scene(i) for i in range(60)})) == []


def noise(seed):
    return np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH))


def test_neighbours_with_their_own_noise_are_no_copies():
    shared = cv2.GaussianBlur(clouds(0), (0, 0), 2)
    frames = {f"{i}": as_image(shared + 0.25 * noise(i)) for i in range(8)}
    flat = [frame.ravel().astype(float) for frame in frames.values()]
    assert min(np.corrcoef(flat)[0]) > 0.85, "the frames are meant to be alike"
    assert found(find(frames)) == []


def test_a_small_thing_that_moved_makes_another_frame():
    frames = {}
    for i in range(4):
        frame = clouds(3)
        frame[60:84, 30 * i + 20 : 30 * i + 44] = 0.8 * clouds(70)[60:84, 20:44] - 1
        frames[f"{i}"] = as_image(frame)
    assert found(find(frames)) == []


def alike(count, copied):
    """Frames of a still camera: one smooth scene, each with its own texture; some twice."""
    shared = cv2.GaussianBlur(clouds(0, 128, 128), (0, 0), 8)
    rng = np.random.default_rng(0)
    frames = {
        f"{i:03d}": as_image(shared + 0.3 * rng.standard_normal((128, 128))) for i in range(count)
    }
    return frames | {
        f"{name} copy": saved(frames[name], "JPEG", quality=85) for name in list(frames)[::copied]
    }


def test_copies_are_found_among_many_look_alikes_and_what_was_not_compared_is_said():
    images = alike(60, copied=15)
    search = find(images)
    assert found(search) == [(name.split()[0], name, "copy") for name in images if "copy" in name]
    assert search.left_out == 64
    assert (
        search.note
        == "64 of 64 images have many that are alike, as slices of a stack and frames of a film do;"
        " each was compared with the 48 most alike, not with all"
    )


@pytest.mark.parametrize(
    "strayed", [None, np.array([[1.001, 0.008, -0.005], [-0.004, 1.023, -0.011], [0, 0, 1]])]
)
def test_an_alignment_that_fails_or_strays_loses_no_copy(monkeypatch, strayed):
    """It does on some look-alikes, in a direction that the last bits of its sums decide."""
    monkeypatch.setattr(registration, "_align", lambda *_: strayed)
    frame, copy = alike(1, copied=1).values()
    moved = registration.register_thumbnails(
        duplicates.thumbnail(frame), duplicates.thumbnail(copy), np.eye(3), np.eye(3)
    )
    assert moved == pytest.approx(np.eye(3))
    assert (
        registration.compare_closely(frame[..., 0], copy[..., 0], np.eye(3), np.eye(3))[1] > 0.955
    )


@pytest.mark.parametrize("cosine", [0.99993, 0.999932])
def test_a_pair_is_asked_in_one_direction_whatever_the_last_bits_of_its_cosine_are(cosine):
    pair = np.zeros(2, candidates.FOUND)
    pair["a"], pair["b"], pair["cosine"] = (
        (3, 7),
        (7, 3),
        (cosine, np.nextafter(np.float32(cosine), np.float32(1))),
    )
    chosen, _ = candidates.best_candidates(pair, 48)
    assert chosen[["a", "b"]].tolist() == [(3, 7)]


@pytest.mark.parametrize("few", [0, 10_000], ids=["by tables", "each with each"])
def test_copies_among_look_alikes_are_proposed_and_who_has_more_is_named(few, monkeypatch):
    monkeypatch.setattr(candidates, "FEW", few)
    monkeypatch.setattr(candidates, "PART", 100)
    images = alike(300, copied=30)
    thumbnails = np.stack([duplicates.thumbnail(pixels) for pixels in images.values()])
    pairs, cut = candidates.of_whole(
        candidates.Index(views.frequency_coefficients(thumbnails)), 0.92, 3
    )
    named = list(images)
    proposed = {
        tuple(sorted((named[a], named[b]))) for a, b in zip(pairs["a"], pairs["b"], strict=True)
    }
    assert {(name.split()[0], name) for name in images if "copy" in name} <= proposed
    assert len(pairs) <= 3 * len(images)
    assert len(cut) > 290


def test_a_crowded_key_is_told():
    one = np.random.default_rng(0).standard_normal((1, 64)).astype(np.float32)
    same = np.repeat(one / np.linalg.norm(one), candidates.CROWDED + 1, axis=0)
    found, crowded = candidates.Index(same).search(same[:2], np.arange(2), np.zeros(2, int), 0.92)
    assert crowded.tolist() == [0, 1]
    assert set(found["b"].tolist()) < set(range(len(same)))
    few = candidates.Index(same[:-1]).search(same[:2], np.arange(2), np.zeros(2, int), 0.92)
    assert few[1].tolist() == []


def test_a_mirror_symmetric_picture_is_no_copy_of_its_like():
    half = cv2.GaussianBlur(clouds(0), (0, 0), 2)
    slices = {f"{i}": as_image(half + half[:, ::-1] + 0.5 * noise(i)) for i in range(6)}
    flipped = np.ascontiguousarray(slices["2"][:, ::-1])
    assert found(find(slices)) == []
    assert found(find(slices | {"2 flipped": flipped})) == [("2", "2 flipped", "flipped")]


def test_flat_images_are_left_out_and_counted(scenes):
    flat = {f"z{i}": np.full((40, 40, 1), 10 * i, np.uint8) for i in range(5)}
    search = find(scenes | flat | {"z0 again": flat["z0"]})
    assert found(search) == [("z0", "z0 again", "exact")]
    assert search.left_out == 5
    assert search.note == "images too flat to be compared: 5"


def test_many_equal_images_are_each_paired_with_the_first(scenes):
    search = find(scenes | {f"x{i:03d}": scenes["s03"] for i in range(400)})
    assert found(search) == [("s03", f"x{i:03d}", "exact") for i in range(400)]


def test_many_copies_of_one_picture_are_tied_together(scenes):
    copies = {
        f"x{i:03d}": np.uint8(
            np.clip(
                scenes["s03"] + np.random.default_rng(i).normal(0, 1, (HEIGHT, WIDTH, 1)), 0, 255
            )
        )
        for i in range(25)
    }
    search = find(scenes | copies)
    firsts = set(duplicates.connected_components(copies, search.pairs))
    assert len(firsts) == 1
    assert not set(search.pairs["a"]) & (set(scenes) - {"s03"})


def test_rows_that_could_not_be_read_are_passed_over(scenes):
    search = find(scenes | {"broken": None, "s03 copy": saved(scenes["s03"], "JPEG", quality=60)})
    assert found(search) == [("s03", "s03 copy", "copy")]
    assert search.searched == len(scenes) + 1


@pytest.mark.parametrize(
    "images", [{}, {"a": None}, {"a": scene(0)}], ids=["none", "unreadable", "one"]
)
def test_nothing_to_compare_gives_no_pairs(images):
    if images:
        assert len(find(images).pairs) == 0
    else:
        table = pd.DataFrame(columns=["id", "height", "width", "sha256_pixels"])
        search = duplicates.find_duplicates(
            table, np.zeros((0, 64, 64), np.uint8), [].__getitem__, 1.0
        )
        assert (len(search.pairs), search.searched, search.note) == (0, 0, "")


def test_an_id_that_stands_twice_is_not_paired_with_itself(scenes):
    table = pd.DataFrame(
        {"id": ["a", "a"], "height": [HEIGHT] * 2, "width": [WIDTH] * 2, "sha256_pixels": ["x"] * 2}
    )
    small = duplicates.thumbnail(scenes["s00"])
    assert (
        len(
            duplicates.find_duplicates(
                table, np.stack([small, small]), lambda i: scenes["s00"], BUDGET_S
            ).pairs
        )
        == 0
    )


def test_the_same_pairs_each_time_and_in_any_order_of_rows(scenes):
    images = dict(scenes)
    for i, change in enumerate(itertools.chain.from_iterable(CHANGES.values())):
        images[f"t{i:02d}"] = np.ascontiguousarray(change(scenes[f"s{i % 12:02d}"]))
    images |= {"x1": images["s05"], "x0": images["s05"]}
    shuffled = np.random.default_rng(0).permutation(sorted(images)).tolist()
    first, again, other = find(images), find(images), find(images, order=shuffled)
    assert len(first.pairs) >= 17
    pd.testing.assert_frame_equal(first.pairs, again.pairs, check_exact=True)
    pd.testing.assert_frame_equal(first.pairs, other.pairs, check_exact=True)


def test_time_that_is_up_stops_the_search_and_is_said(scenes):
    copies = {f"{name} x": saved(pixels, "JPEG", quality=50) for name, pixels in scenes.items()}
    search = find(scenes | copies | {"s00 y": scenes["s00"]}, budget_s=0)
    assert ("s00", "s00 y", "exact") in found(search), "equal images cost no time"
    assert len(search.pairs) < 13
    assert search.left_out == 24
    assert (
        "time was up before 24 of 24 images were looked for as crops and turns of others"
        in search.note
    )
    assert "more time: validation.search_s in params.yaml" in search.note


def test_time_is_looked_at_after_every_comparison(scenes):
    copies = {f"{name} x": saved(pixels, "JPEG", quality=50) for name, pixels in scenes.items()}
    images = scenes | copies
    names = list(images)

    def slow(i):
        time.sleep(0.5)
        return images[names[i]]

    table = pd.DataFrame({
        "id": names, "height": HEIGHT, "width": WIDTH,
        "sha256_pixels": [str(i) for i in range(len(names))],
    })  # fmt: skip
    thumbnails = np.stack([duplicates.thumbnail(p) for p in images.values()])
    search = duplicates.find_duplicates(table, thumbnails, slow, 2.0)
    assert "likely pairs were compared" in search.note
    assert len(search.pairs) < 12
    assert search.seconds < 8


def test_what_is_written_is_read_and_the_same_search_gives_the_same_bytes(scenes, tmp_path):
    images = scenes | {
        "t": saved(scenes["s03"], "JPEG", quality=60),
        "flat": np.zeros((9, 9, 1), np.uint8),
    }
    paths = [tmp_path / "1.json", tmp_path / "2.json"]
    for path in paths:
        search = find(images)
        duplicates.write_duplicates(path, search)
    pairs, note = duplicates.read_duplicates(paths[0])
    pd.testing.assert_frame_equal(pairs, search.pairs)
    assert note == search.note == "images too flat to be compared: 1"
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_no_pairs_are_written_and_read(tmp_path):
    duplicates.write_duplicates(tmp_path / "none.json", find({"a": scene(0)}))
    pairs, note = duplicates.read_duplicates(tmp_path / "none.json")
    assert list(pairs.columns) == list(duplicates.PAIR)
    assert (len(pairs), note) == (0, "")


def test_components_tie_what_is_tied_by_others():
    pairs = pd.DataFrame([("b", "c"), ("d", "e"), ("a", "c"), ("e", "gone")], columns=["a", "b"])
    assert duplicates.connected_components(["f", "e", "d", "c", "b", "a"], pairs) == [
        "f", "d", "d", "a", "a", "a",
    ]  # fmt: skip


def test_a_hash_keeps_its_bits_when_an_image_is_saved_anew(scenes):
    def bits(pixels):
        return duplicates.phash(duplicates.thumbnail(pixels))

    apart = [(bits(p) ^ bits(saved(p, "JPEG", quality=30))).bit_count() for p in scenes.values()]
    others = [
        (bits(a) ^ bits(b)).bit_count() for a, b in itertools.combinations(scenes.values(), 2)
    ]
    assert max(apart) <= 6
    assert min(others) >= 12
    assert all(0 < bits(p) < 2**63 for p in scenes.values()), "the first bit, of the mean, is 0"
