"""A folder of labelled photos, drawn on the spot, in the layouts that `datasets` reads."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from similarity.engine import synthetic

SEED = 5


def write_clothing(folder: Path, products: int = 5, senders: int = 2) -> None:
    """The same products from each sender, every one of a different kind."""
    (folder / "images").mkdir(parents=True)
    rows = ["image,label,sender_id"]
    for number in range(products):
        for sender in range(senders):
            scene = synthetic.photo(SEED, number, sender)
            name = f"{number}-{sender}.jpg"
            scene.image.reduce(3).save(folder / "images" / name)
            rows.append(f"{name},<{scene.placed[0].garment.kind}> {number},{sender}")
    (folder / "labels.csv").write_text("\n".join(rows))


def write_street(folder: Path, photos: int = 2, *, outlines: bool = False) -> None:
    """People in clothes, boxed to the pixel, and outlined as exactly if wanted."""
    (folder / "photos").mkdir(parents=True)
    listing = {}
    tags = ["null", *synthetic.KINDS]
    for number in range(photos):
        scene = synthetic.street(SEED, number)
        scene.image.save(folder / "photos" / f"{number}.jpg")
        garments = [
            {"garment": p.garment.kind, "tag": p.garment.kind, "box": p.box.edges}
            for p in scene.placed
        ]
        listing[f"{number}.jpg"] = {"size": scene.image.size, "garments": garments}
        if outlines:
            _outline(scene, tags, folder / "masks" / f"{number}.png")
    (folder / "garments.json").write_text(json.dumps({"labels": tags, "photos": listing}))


def _outline(scene: synthetic.Scene, tags: list[str], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    drawn = Image.new("L", scene.image.size)
    for worn in scene.placed:
        covered = worn.mask.point(lambda share: 255 * (share >= 128))
        drawn.paste(tags.index(worn.garment.kind), mask=covered)
    drawn.save(path)
