import gc
import sys
import time

import numpy as np
import pytest

from maskmill.images import decode
from tests.bad_inputs import faults, good

TIMES = 3


def test_there_are_at_least_sixty_classes_of_fault():
    assert len({fault.name for fault in faults.FAULTS}) == len(faults.FAULTS)
    assert len([fault for fault in faults.FAULTS if fault.said != faults.READ]) >= 60


@pytest.mark.parametrize("fault", faults.FAULTS, ids=lambda fault: fault.name)
def test_a_bad_input_is_refused_in_time_with_its_name_and_the_reason(tmp_path, fault):
    for seed in range(TIMES):
        start = time.perf_counter()
        assert fault.verdict(tmp_path, seed) == "right", f"seed {seed}"
        assert time.perf_counter() - start < 5


def test_good_pairs_are_read_and_every_pixel_is_as_it_was_written():
    for _, pair in zip(range(1000), good.pairs(1), strict=False):
        for file in pair:
            if file.channels:
                pixels = decode.image(file.content, file.channels, file.decoding)
            else:
                pixels = decode.mask(file.content)
            assert pixels.shape == file.shape
            assert pixels.flags.c_contiguous
            assert pixels.dtype == file.pixels.dtype
            np.testing.assert_array_equal(pixels, file.pixels)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is never freed there")
def test_refusals_give_no_reference_back_too_often_which_would_end_a_server_in_time(tmp_path):
    def refuse(seeds):
        for fault in faults.FAULTS:
            for seed in seeds if not fault.on_disk else ():
                fault.verdict(tmp_path, seed)
        gc.collect()
        return sys.getrefcount(None)

    before = refuse([0])
    assert refuse(range(20)) > before - 15, (
        "one class of fault that loses one reference each time makes -20"
    )
