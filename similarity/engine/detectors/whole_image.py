"""The detector for photos that show one garment: it takes the whole picture."""

from __future__ import annotations

from typing import ClassVar

from PIL.Image import Image

from similarity.engine.contracts import Box, Detection
from similarity.engine.weights import digest


class WholeImageDetector:
    """One detection per picture: all of it, labelled "garment". Needs no weights."""

    light: ClassVar[bool] = True
    fingerprint = digest("whole_image", 1)

    def missing(self) -> list[str]:
        return []

    def detect(self, image: Image) -> list[Detection]:
        return [Detection(Box.whole(image), label="garment", score=1.0)]
