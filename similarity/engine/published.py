"""The weights that are known: one entry a model, with where it comes from and what it is good for.

A file's SHA-256 is that of the published file; where it is None the file is not pinned, and
whoever fetches it has to say what it should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from similarity.engine.errors import UnknownWeights
from similarity.engine.weights import SHIPPED, torch_hub_checkpoints

Kind = Literal["detector", "embedder"]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model."""

    path: str
    """Below the folder of models, with slashes; a mirror has it by the same path."""
    megabytes: float
    url: str = ""
    """Empty for what is not fetched: made by a training, or converted by hand."""
    sha256: str | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that may be chosen."""

    name: str
    kind: Kind
    backend: str
    """The name to set as DETECTOR or EMBEDDER."""
    files: tuple[File, ...]
    licence: str
    purpose: str
    """What it is good for, a phrase."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Of the backend's constructor: what makes it take this model rather than its default."""

    @property
    def megabytes(self) -> float:
        return sum(file.megabytes for file in self.files)

    @property
    def is_published(self) -> bool:
        """Whether all of it can be fetched."""
        return all(file.url for file in self.files)

    def places(self, models_dir: Path) -> dict[File, Path | None]:
        """Where each of its files lies: in `models_dir`, in torch.hub's cache, or shipped."""
        return {file: place(file, models_dir) for file in self.files}

    def is_installed(self, models_dir: Path) -> bool:
        return all(self.places(models_dir).values())


def place(file: File, models_dir: Path) -> Path | None:
    """Where a file lies, in the order in which models look for it; None if nowhere."""
    folders = [models_dir]
    if not file.url:
        folders.append(SHIPPED)
    elif file.url.startswith((_PYTORCH, _META)):
        folders.append(torch_hub_checkpoints())
    return next((path for folder in folders if (path := folder / file.path).is_file()), None)


def known(name: str) -> Weights:
    """The entry of that name. Raises UnknownWeights, which lists the names."""
    if name not in CATALOGUE:
        raise UnknownWeights(f"There is no model {name!r}. Known: {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]


_PYTORCH = "https://download.pytorch.org/models"
_META = "https://dl.fbaipublicfiles.com/dinov2"
_DINO = "https://github.com/IDEA-Research/GroundingDINO/releases/download"
# Revisions, not "main": what is there today is there tomorrow.
_BERT = (
    "https://huggingface.co/google-bert/bert-base-uncased/resolve/"
    "86b5e0934494bd15c9632b12f734a8a67f723594"
)
_MARQO = (
    "https://huggingface.co/Marqo/marqo-fashionSigLIP/resolve/"
    "e5619578fd528afa0bf88d8fae37748336a57fa2"
)

_TEXT_ENCODER = (
    File(
        "bert-base-uncased/config.json",
        0.001,
        f"{_BERT}/config.json",
        "7160e1553ad2ca51d8c1cb066be533db31826e12d173824c1bb0cb1a4f187d20",
    ),
    File(
        "bert-base-uncased/vocab.txt",
        0.2,
        f"{_BERT}/vocab.txt",
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    ),
)


def _dinov2(variant: str, megabytes: float, sha256: str, purpose: str) -> Weights:
    name = f"dinov2_{variant}_pretrain.pth"
    return Weights(
        name=f"dinov2_{variant}",
        kind="embedder",
        backend="dinov2",
        files=(File(name, megabytes, f"{_META}/dinov2_{variant}/{name}", sha256),),
        licence="Apache-2.0",
        purpose=purpose,
        options={"variant": variant},
    )


_ALL = (
    Weights(
        name="compact_detector",
        kind="detector",
        backend="compact",
        files=(File("compact_detector.safetensors", 5),),
        licence="MIT",
        purpose="ten kinds of garments within a web request; shipped, or your own",
    ),
    Weights(
        name="groundingdino",
        kind="detector",
        backend="groundingdino",
        files=(
            File(
                "groundingdino_swint_ogc.pth",
                694,
                f"{_DINO}/v0.1.0-alpha/groundingdino_swint_ogc.pth",
                "3b3ca2563c77c69f651d7bd133e97139c186df06231157a64c507099c52bc799",
            ),
            *_TEXT_ENCODER,
        ),
        licence="Apache-2.0",
        purpose="garments by the words of a prompt, in photos of people (Swin-T)",
        options={"checkpoint": "groundingdino_swint_ogc.pth"},
    ),
    Weights(
        name="groundingdino_swinb",
        kind="detector",
        backend="groundingdino",
        files=(
            File(
                "groundingdino_swinb_cogcoor.pth",
                938,
                f"{_DINO}/v0.1.0-alpha2/groundingdino_swinb_cogcoor.pth",
                "46270f7a822e6906b655b729c90613e48929d0f2bb8b9b76fd10a856f3ac6ab7",
            ),
            *_TEXT_ENCODER,
        ),
        licence="Apache-2.0",
        purpose="the same with a larger backbone (Swin-B): finds more, takes longer",
        options={"variant": "swin_b", "checkpoint": "groundingdino_swinb_cogcoor.pth"},
    ),
    Weights(
        name="compact_embedder",
        kind="embedder",
        backend="compact",
        files=(File("compact_embedder.safetensors", 5),),
        licence="MIT",
        purpose="kinds and looks within a web request; shipped, or your own",
    ),
    Weights(
        name="marqo-fashionSigLIP",
        kind="embedder",
        backend="open_clip",
        files=(
            File(
                "marqo-fashionSigLIP/open_clip_model.safetensors",
                813,
                f"{_MARQO}/open_clip_model.safetensors",
                "88908200434959fa3154ef79d408aac33341e8797fe5ca8ca6f0463aab32e6b3",
            ),
            *(
                File(f"marqo-fashionSigLIP/{name}", megabytes, f"{_MARQO}/{name}")
                for name, megabytes in (
                    ("open_clip_config.json", 0.001),
                    ("tokenizer.json", 2.4),
                    ("tokenizer_config.json", 0.02),
                    ("special_tokens_map.json", 0.003),
                )
            ),
        ),
        licence="Apache-2.0",
        purpose="fashion, by picture and by words; recommended, on a GPU above all",
        options={"model": "marqo-fashionSigLIP"},
    ),
    Weights(
        name="triplet",
        kind="embedder",
        backend="triplet",
        files=(File("triplet.safetensors", 47),),
        licence="your own",
        purpose="your own catalogue, once train_triplet has learnt it",
    ),
    _dinov2(
        "vits14",
        88,
        "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9",
        "looks in detail, learnt without labels; the smallest",
    ),
    _dinov2(
        "vitb14",
        346,
        "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73",
        "looks in detail; four times the work of the smallest",
    ),
    _dinov2(
        "vitl14",
        1218,
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        "looks in detail; for a GPU",
    ),
    Weights(
        name="resnet50",
        kind="embedder",
        backend="resnet50",
        files=(
            File(
                "resnet50-11ad3fa6.pth",
                103,
                f"{_PYTORCH}/resnet50-11ad3fa6.pth",
                "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca",
            ),
        ),
        licence="BSD-3-Clause",
        purpose="a general baseline, and where train_triplet starts from (ImageNet, V2)",
        options={"weights": "resnet50-11ad3fa6.pth"},
    ),
    Weights(
        name="resnet50_v1",
        kind="embedder",
        backend="resnet50",
        files=(
            File(
                "resnet50-0676ba61.pth",
                103,
                f"{_PYTORCH}/resnet50-0676ba61.pth",
                "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
            ),
        ),
        licence="BSD-3-Clause",
        purpose="older weights of the same network (V1)",
        options={"weights": "resnet50-0676ba61.pth"},
    ),
    Weights(
        name="vit_b_16",
        kind="embedder",
        backend="vit_b_16",
        files=(
            File(
                "vit_b_16-c867db91.pth",
                346,
                f"{_PYTORCH}/vit_b_16-c867db91.pth",
                "c867db91d3e12c6cbadabb610d73c24a546bf82d8c03a9fea34f43a712ddb0e9",
            ),
        ),
        licence="BSD-3-Clause",
        purpose="a general baseline of another kind (ImageNet)",
    ),
    Weights(
        name="mobilenet_v2",
        kind="embedder",
        backend="mobilenet_v2",
        files=(
            File("mobilenet_v2_imagenet.npz", 7),
            File("mobilenet_v2_imagenet.json", 0.02),
        ),
        licence="Apache-2.0",
        purpose="a small baseline, and the teacher of the compact models",
    ),
)

CATALOGUE: Mapping[str, Weights] = {weights.name: weights for weights in _ALL}
