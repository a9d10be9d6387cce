import pytest
import torch

from maskmill import models


@pytest.mark.parametrize(("finest", "scored"), [(32, 1), (16, 2), (8, 3), (4, 4), (2, 5)])
def test_maps_from_the_coarsest_to_the_finest_are_scored(finest, scored):
    model = models.create("fcn", in_channels=1, num_classes=3, feature_scale=16, finest=finest)
    assert len(model.scores) == scored
    assert [head.in_channels for head in model.scores] == [4, 8, 16, 32, 64][5 - scored :]


def test_the_scores_are_added_as_they_come_up():
    """With scores of one level alone, the logits come from blocks no finer than its stride."""
    torch.manual_seed(0)
    model = models.create("fcn", in_channels=1, num_classes=1, feature_scale=16, finest=8).eval()
    seen = []
    for head in model.scores:
        head.register_forward_hook(lambda head, args, out: seen.append(tuple(out.shape[-2:])))
    with torch.no_grad():
        assert model(torch.randn(1, 1, 96, 64)).shape == (1, 1, 96, 64)
        assert seen == [(3, 2), (6, 4), (12, 8)]
        for head in model.scores:
            torch.nn.init.zeros_(head.weight)
            torch.nn.init.constant_(head.bias, 2.0)
        assert torch.allclose(model(torch.randn(1, 1, 96, 64)), torch.tensor(6.0))
