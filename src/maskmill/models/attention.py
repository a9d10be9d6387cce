"""Attention: similarity of queries and keys, softmax over keys, weighted sum of values.

Every similarity is a module (query, key, value) -> sums, of shapes (N, heads, Q, D), (N, heads, K,
D), (N, heads, K, E) -> (N, heads, Q, E). Vaswani et al., "Attention Is All You Need", sec. 3.2,
arXiv:1706.03762.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

SimilarityName = Literal["dot", "scaled_dot", "cosine", "additive"]

_START, _MOST = 10.0, 100.0  # inverse temperature of the cosine, arXiv:2111.09883
_CHUNK = 2**22  # values of the additive similarity at once: 16 MiB of fp32


class DotProduct(nn.Module):
    """softmax(scale q . k) v, in torch's fused kernel.

    `scale` None is 1 / sqrt(D), Vaswani et al., eq. 1; 1 is the plain dot product (Luong et al.,
    eq. 7, arXiv:1508.04025). Memory: where the kernel is fused it grows with Q + K, else with heads
    Q K.
    """

    def __init__(self, heads: int, features: int, *, scale: float | None = None) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, scale=self.scale)


class Cosine(nn.Module):
    """softmax(t cos(q, k)) v, with a learned t for each head, at most 100.

    Liu et al., "Swin Transformer V2", sec. 3.3 and A.1, arXiv:2111.09883. Memory as `DotProduct`.
    """

    def __init__(self, heads: int, features: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((heads,), _START).log())  # one axis: not decayed

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scale = self.log_scale.exp().clamp(max=_MOST)[:, None, None]
        query = F.normalize(query, dim=-1) * scale
        return F.scaled_dot_product_attention(
            query.to(value), F.normalize(key, dim=-1).to(value), value, scale=1.0
        )


class Additive(nn.Module):
    """softmax(w . tanh(q + k)) v, with a learned w for each head.

    Bahdanau et al., sec. A.1.2, arXiv:1409.0473; the two projections are those of query and key.
    The tanh of all pairs would hold N heads Q K D values: queries go through in chunks of 16 MiB,
    and training computes them again on the way back, so that N heads (Q + K) D stay. An exported
    network has no chunks.
    """

    def __init__(self, heads: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(heads, 1, 1, features) / features**0.5)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return self._attend(query, key, value)
        rows = max(_CHUNK // (key.numel() or 1), 1)
        attend = (
            partial(checkpoint, self._attend, use_reentrant=False)
            if torch.is_grad_enabled()
            else self._attend
        )
        return torch.cat(
            [attend(part, key, value) for part in torch.split(query, rows, dim=2)], dim=2
        )

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        pairs = torch.tanh(query.unsqueeze(3) + key.unsqueeze(2))  # (N, heads, Q, K, D)
        scores = (pairs * self.weight).sum(-1)  # (N, heads, Q, K)
        return scores.softmax(-1).to(value) @ value


# heads, features of a query -> module
SIMILARITIES: dict[SimilarityName, Callable[[int, int], nn.Module]] = {
    "dot": partial(DotProduct, scale=1.0),
    "scaled_dot": DotProduct,
    "cosine": Cosine,
    "additive": Additive,
}


class PositionAttention(nn.Module):
    """Each position becomes a sum over all positions, weighted by similarity.

    Wang et al., "Non-local Neural Networks", sec. 3.3, arXiv:1711.07971: query, key and value are
    1x1 convolutions to half the channels; keys and values are max-pooled by `pool` (their
    subsampling trick). Neither query nor key has a bias, since the softmax takes no notice of what
    all keys share. P = H W positions meet P / pool^2 keys: the scores grow with P^2 / pool^2, where
    the kernel is not fused.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(
        self,
        channels: int,
        *,
        similarity: SimilarityName = "scaled_dot",
        heads: int = 1,
        pool: int = 2,
    ) -> None:
        super().__init__()
        self.heads = heads
        features = max(channels // (2 * heads), 1)
        self.query = nn.Conv2d(channels, heads * features, 1, bias=False)
        self.key = nn.Conv2d(channels, heads * features, 1, bias=False)
        self.value = nn.Conv2d(channels, heads * features, 1, bias=False)
        self.pool = nn.MaxPool2d(pool, ceil_mode=True) if pool > 1 else nn.Identity()
        self.similarity = SIMILARITIES[similarity](heads, features)
        self.out = nn.Conv2d(heads * features, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        query = self._tokens(self.query(x))
        key, value = self._tokens(self.pool(self.key(x))), self._tokens(self.pool(self.value(x)))
        sums = self.similarity(query, key, value).transpose(2, 3)  # (N, heads, features, H W)
        return self.out(sums.reshape(x.shape[0], -1, *x.shape[-2:]))  # type: ignore[no-any-return]

    def _tokens(self, x: Tensor) -> Tensor:
        """(N, heads features, H, W) -> (N, heads, H W, features)."""
        return _by_head(x, self.heads).transpose(2, 3)


class ChannelAttention(nn.Module):
    """Each channel becomes a sum over all channels, weighted by their similarity.

    The features of a channel are its positions.

    Fu et al., "Dual Attention Network", sec. 3.3, arXiv:1809.02983, which has the dot product and
    one head; with more, channels meet those of their head. The scores grow with C^2 / heads,
    whatever the size of the map. Additive similarity would need as many weights as there are
    positions, and has none here.
    Shape: (N, C, H, W) -> (N, C, H, W), C divisible by `heads`.
    """

    def __init__(
        self, channels: int, *, similarity: SimilarityName = "cosine", heads: int = 1
    ) -> None:
        super().__init__()
        assert similarity != "additive" and channels % heads == 0
        self.heads = heads
        self.similarity = SIMILARITIES[similarity](heads, 0)

    def forward(self, x: Tensor) -> Tensor:
        tokens = _by_head(x, self.heads)
        return self.similarity(tokens, tokens, tokens).reshape(x.shape)  # type: ignore[no-any-return]


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(N, C, H, W) -> (N, heads, C / heads, H W)."""
    n, channels, height, width = x.shape
    return x.reshape(n, heads, channels // heads, height * width)


class LearnedSum(nn.Module):
    """x + the sum of branches of x, each times a learned number that starts at 0.

    Fu et al., eq. 2 and 4, arXiv:1809.02983: a fresh block is the identity, and learns how much it
    adds.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self.scales = nn.Parameter(torch.zeros(len(branches)))

    def forward(self, x: Tensor) -> Tensor:
        added = [
            scale * branch(x)
            for scale, branch in zip(self.scales.unbind(), self.branches, strict=True)
        ]
        return sum(added, start=x)
