"""Leaner forms of what Grounding DINO spends its time in; they compute the same.

The library's modules are replaced in a loaded model, and their weights taken over. Figures are in
`docs/performance.md`. One picture at a time: the batch is 1 throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from similarity.engine.networks.packed import PackedLinear, Precision, is_possible

QUERIES_AT_ONCE = 512
"""Sampled together: what they need between two steps stays in the processor's cache."""


def lighten(
    model: nn.Module, caption: str, device: torch.device, precision: Precision = "float32"
) -> None:
    """Make the library's model answer one caption, with less work for each picture.

    The text encoder has its say once, and is let go: four hundred megabytes of a BERT-base.
    On a GPU, where memory is quick, the library's own sampling stays. On a processor its linear
    layers are packed, those of `_pack` in that precision.
    """
    from groundingdino.models.GroundingDINO.fuse_modules import BiMultiHeadAttention
    from groundingdino.models.GroundingDINO.ms_deform_attn import MultiScaleDeformableAttention

    library: Any = model
    library.bert = FixedText.of(library, caption)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, MultiScaleDeformableAttention) and device.type == "cpu":
                setattr(parent, name, DeformableAttention(child))
            elif isinstance(child, BiMultiHeadAttention):
                setattr(parent, name, TextFusion(child))
        if getattr(parent, "activation", None) is functional.relu:
            parent.activation = torch.relu_  # type: ignore[assignment]  # 65 MB less to write
    model.requires_grad_(False)
    if device.type == "cpu" and is_possible("float32") and is_possible(precision):
        _pack(model, precision)


def _pack(model: Any, precision: Precision) -> None:
    """Pack the linear layers, but for those of modules that use their weights themselves.

    What features are made of, the feed-forward layers and the backbone's attention, is computed in
    `precision`; where to look, scores and boxes in single precision.
    """
    backbone = set(model.backbone.modules())
    for parent in list(model.modules()):
        if isinstance(parent, TextFusion | nn.MultiheadAttention):
            continue
        _pack_feed_forward(parent, precision)
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                how = precision if parent in backbone else "float32"
                setattr(parent, name, PackedLinear(child, how))


def _pack_feed_forward(parent: Any, precision: Precision) -> None:
    """Pack a pair of linear layers with an activation between, as Swin and the transformer do."""
    if isinstance(getattr(parent, "act", None), nn.GELU):
        parent.fc1 = PackedLinear(parent.fc1, precision, "gelu")
        parent.act = nn.Identity()
        parent.fc2 = PackedLinear(parent.fc2, precision)
    elif getattr(parent, "activation", None) is torch.relu_:
        parent.linear1 = PackedLinear(parent.linear1, precision, "relu")
        parent.activation = nn.Identity()
        parent.linear2 = PackedLinear(parent.linear2, precision)


class FixedText(nn.Module):
    """Stands where the text encoder stood and gives what that made of the one caption."""

    hidden: Tensor

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.register_buffer("hidden", hidden)

    @classmethod
    def of(cls, model: Any, caption: str) -> FixedText:
        """Ask the model's text encoder as the model itself would, tokens, masks and all."""
        said: list[Tensor] = []

        def listen(_encoder: nn.Module, _asked: Any, output: Any) -> None:
            said.append(output["last_hidden_state"])
            raise _HeardEnough

        hook = model.bert.register_forward_hook(listen)
        try:
            with torch.inference_mode():
                model(torch.zeros(1, 3, 32, 32), captions=[caption])
        except _HeardEnough:
            pass
        finally:
            hook.remove()
        return cls(said[0].clone())

    def forward(self, **_: Any) -> dict[str, Tensor]:
        return {"last_hidden_state": self.hidden}


class _HeardEnough(Exception):
    """The text encoder has spoken: the picture that came with the caption is of no interest."""


class DeformableAttention(nn.Module):
    """Multi-scale deformable attention (Zhu et al., "Deformable DETR", ICLR 2021, eq. 3).

    Each query's sum over levels, points and the four pixels around each point is one bag of a
    weighted `embedding_bag`, so no sampled value is ever written out. The library writes
    all of them, 131 MB a layer at 480 by 800, and reads them three times.
    """

    def __init__(self, library: Any) -> None:
        super().__init__()
        self.heads: int = library.num_heads
        self.levels: int = library.num_levels
        self.points: int = library.num_points
        self.sampling_offsets: nn.Linear = library.sampling_offsets
        self.attention_weights: nn.Linear = library.attention_weights
        self.value_proj: nn.Linear = library.value_proj
        self.output_proj: nn.Linear = library.output_proj

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Tensor,
        key_padding_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """As the library's, batch first: (1, queries, width) of a `value` (1, pixels, width)."""
        values = self.value_proj(value[0])
        if key_padding_mask is not None and key_padding_mask.any():
            values = values.masked_fill(key_padding_mask[0, :, None], 0.0)
        sizes = [(int(height), int(width)) for height, width in spatial_shapes.tolist()]
        levels = _Levels.of(values, sizes, self.heads)
        chunks = zip(
            torch.split(query[0], QUERIES_AT_ONCE),
            torch.split(reference_points[0], QUERIES_AT_ONCE),
            strict=True,
        )
        found = [self._sampled(levels, queries, points) for queries, points in chunks]
        return self.output_proj(torch.cat(found))[None]  # type: ignore[no-any-return]

    def _sampled(self, levels: _Levels, queries: Tensor, reference: Tensor) -> Tensor:
        """What these queries (n, width) attend to, around `reference` (n, levels, 2 or 4)."""
        shape = (len(queries), self.heads, self.levels, self.points)
        weights = self.attention_weights(queries).view(*shape[:2], -1).softmax(-1).view(shape)
        offsets = self.sampling_offsets(queries).view(*shape, 2)
        reference = reference[:, None, :, None]
        middles = reference[..., :2] * levels.extents - 0.5
        if reference.shape[-1] == 2:  # noqa: PLR2004  (points; boxes have 4)
            places = middles + offsets
        else:
            sizes = reference[..., 2:] * levels.extents
            places = torch.addcmul(middles, offsets, sizes, value=0.5 / self.points)
        rows, shares = levels.around(places, weights)
        bags = functional.embedding_bag(rows, levels.table, per_sample_weights=shares, mode="sum")
        return bags.view(len(queries), -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Levels:
    """The values of all levels as one table with a row for each pixel and head.

    Around each level lie pixels of zeros, what counts beyond an edge: two rows, and one column,
    which is the right edge of one row and the left edge of the next.
    """

    table: Tensor
    """(pixels * heads, head_dim)"""
    extents: Tensor
    """(levels, 1, 2): width and height."""
    strides: Tensor
    """(levels, 1, 2): from a pixel to the next one to the right and below, in rows of the table."""
    starts: Tensor
    """(heads, levels, 1): the row of each level's first pixel."""
    corners: Tensor
    """(levels, 1, 4): from a pixel to itself, its right, its lower and its lower right one."""

    @classmethod
    def of(cls, values: Tensor, sizes: list[tuple[int, int]], heads: int) -> _Levels:
        """From values (pixels, heads * head_dim) of all levels, and each level's height, width."""
        parts = torch.split(values, [height * width for height, width in sizes])
        padded = [
            functional.pad(part.view(height, width, -1), (0, 0, 1, 0, 1, 1)).flatten(0, 1)
            for part, (height, width) in zip(parts, sizes, strict=True)
        ]
        # Behind the last level: the pixels below and right of its last zeros, which count 0.
        padded.append(values.new_zeros(sizes[-1][1] + 4, values.shape[1]))
        before = [0, *accumulate(len(part) for part in padded)]
        firsts = [start + width + 2 for start, (_, width) in zip(before, sizes, strict=False)]
        extents = values.new_tensor([(width, height) for height, width in sizes])
        strides = values.new_tensor([(heads, (width + 1) * heads) for _, width in sizes])
        starts = values.new_tensor(firsts) * heads + torch.arange(heads).to(values)[:, None]
        right, below = strides.to(torch.int64).unbind(1)
        corners = torch.stack([torch.zeros_like(right), right, below, right + below], 1)
        return cls(
            torch.cat(padded).view(-1, values.shape[1] // heads),
            extents[:, None],
            strides[:, None],
            starts[..., None],
            corners[:, None],
        )

    def around(self, places: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The table's rows around each place, and what each counts there: (bags, rows) both.

        `places` are in pixels, (n, heads, levels, points, 2); `weights` have one number for each.
        Row numbers are reckoned in single precision, exact up to 16 million.
        """
        places = torch.minimum(places.clamp_(min=-1.0), self.extents)
        low = places.floor()
        high_shares = places.sub_(low)
        shares = torch.stack([1 - high_shares, high_shares], -1)  # ..., xy, low and high
        first = low.mul_(self.strides).sum(-1).add_(self.starts).to(torch.int64)
        rows = first[..., None] + self.corners
        vertical = weights[..., None] * shares[..., 1, :]
        counts = vertical[..., None] * shares[..., 0, None, :]
        bags = places.shape[0] * places.shape[1]
        return rows.view(bags, -1), counts.view(bags, -1)


class TextFusion(nn.Module):
    """Attention between some ten thousand pixels and a few dozen tokens, in both directions.

    The library takes each pixel through matrices of `embed_dim` columns three times, only to
    multiply it by a few tokens. (x W) k = x (W k): here the tokens go through the matrices.
    """

    def __init__(self, library: Any) -> None:
        super().__init__()
        self.heads: int = library.num_heads
        self.scale: float = library.scale
        self.v_proj: nn.Linear = library.v_proj
        self.l_proj: nn.Linear = library.l_proj
        self.values_v_proj: nn.Linear = library.values_v_proj
        self.values_l_proj: nn.Linear = library.values_l_proj
        self.out_v_proj: nn.Linear = library.out_v_proj
        self.out_l_proj: nn.Linear = library.out_l_proj

    def forward(
        self,
        v: Tensor,
        l: Tensor,  # noqa: E741  (the library's name)
        attention_mask_v: Tensor | None = None,
        attention_mask_l: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """What pixels v (1, n, v_dim) and tokens l (1, t, l_dim) learn of each other."""
        pixels, tokens = v[0], l[0]
        keys = self._by_head(self.l_proj(tokens)) * self.scale  # heads, t, head_dim
        query_weights = self.v_proj.weight.view(self.heads, -1, pixels.shape[1])
        query_bias = self.v_proj.bias.view(self.heads, -1, 1)
        scores = (keys @ query_weights) @ pixels.T + keys @ query_bias  # heads, t, n
        return (
            self._pixels(scores, tokens, attention_mask_l)[None],
            self._tokens(scores, pixels, attention_mask_v)[None],
        )

    def _pixels(self, scores: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """For each pixel the mean of what the tokens say: (n, v_dim)."""
        if mask is not None:
            scores = scores.masked_fill(mask[0, :, None], float("-inf"))
        values = self._by_head(self.values_l_proj(tokens))  # heads, t, head_dim
        out = self.out_v_proj.weight.view(-1, self.heads, values.shape[-1]).transpose(0, 1)
        said = (values @ out.transpose(1, 2)).flatten(0, 1)  # heads * t, v_dim
        return torch.addmm(self.out_v_proj.bias, scores.softmax(1).flatten(0, 1).T, said)

    def _tokens(self, scores: Tensor, pixels: Tensor, mask: Tensor | None) -> Tensor:
        """For each token the mean of what the pixels show: (t, l_dim)."""
        if mask is not None:
            scores = scores.masked_fill(mask[0], float("-inf"))
        means = scores.softmax(2) @ pixels  # heads, t, v_dim: what a mean of values is made of
        weights = self.values_v_proj.weight.view(self.heads, -1, pixels.shape[1])
        bias = self.values_v_proj.bias.view(self.heads, 1, -1)
        seen = means @ weights.transpose(1, 2) + bias  # heads, t, head_dim
        return self.out_l_proj(seen.transpose(0, 1).flatten(1))  # type: ignore[no-any-return]

    def _by_head(self, tokens: Tensor) -> Tensor:
        return tokens.view(len(tokens), self.heads, -1).transpose(0, 1)
