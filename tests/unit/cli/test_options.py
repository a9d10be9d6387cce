"""Texts of the command line as values, and what is said of texts that are none."""

import pytest

from maskmill.cli import options
from maskmill.system.errors import MaskmillError


def test_a_value_is_a_number_or_a_colour():
    assert options.stored_value(" 11") == 11
    assert options.stored_value("#FF00aa") == "#ff00aa"


def test_a_table_of_values_is_read():
    assert options.table_of_values("0=sky, 7=side walk,#FF0000=tumour") == {
        0: "sky",
        7: "side walk",
        "#ff0000": "tumour",
    }
    assert options.table_of_values("") == {}


@pytest.mark.parametrize("text", ["sky", "0:sky", "0=", "x=sky", "#ff00=sky", "-1=sky"])
def test_a_table_of_another_form_is_refused(text):
    with pytest.raises(MaskmillError) as raised:
        options.table_of_values(f"1=road,{text}")
    assert str(raised.value) == (
        f"--values: got {text!r}; needed is VALUE=NAME or #rrggbb=NAME, with commas between"
    )


def test_one_of_a_few_words_is_taken():
    assert options.one_of("--split", "new", ("given", "new")) == "new"
    assert options.one_of("--split", "", ("given", "new")) == ""
    with pytest.raises(MaskmillError, match=r"--split: got 'old'; allowed are given, new"):
        options.one_of("--split", "old", ("given", "new"))


def test_bands_are_numbers_from_1_on():
    assert options.whole_numbers("--bands", "4, 3,2") == (4, 3, 2)
    assert options.whole_numbers("--bands", "") == ()
    for text in ("0,1", "red", "1.5", "1,-2"):
        with pytest.raises(MaskmillError, match=r"--bands: got .*; needed are numbers from 1 on"):
            options.whole_numbers("--bands", text)


def test_a_range_is_low_and_high():
    assert options.value_range("0,4095") == (0, 4095)
    assert options.value_range("-1000, 3000.5") == (-1000, 3000.5)
    assert options.value_range("") is None
    for text in ("4095,0", "1,1", "5", "a,b", "0,1,2", "nan,3"):
        with pytest.raises(MaskmillError, match=r"--range: got .*; needed is LOW,HIGH with LOW"):
            options.value_range(text)
