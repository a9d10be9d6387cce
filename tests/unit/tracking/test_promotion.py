import json
import math

from maskmill.tracking import promotion

PRIMARY = "dice_foreground"


def test_the_tags_of_a_version_hold_its_scores_without_nan():
    tags = promotion.promotion_tags("abc", {PRIMARY: 0.9, "dice/bar": math.nan})
    assert tags[promotion.TEST_DIGEST] == "abc"
    assert json.loads(tags[promotion.TEST_SCORES]) == {PRIMARY: 0.9}
