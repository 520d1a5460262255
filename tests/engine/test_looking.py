"""How the compact detector looks at a photo: closely for what is small, from afar for the rest."""

import pytest
from PIL import Image

from tests.engine.training import needs_training

torch = needs_training()

from similarity.engine.networks.compact import DetectorNetwork  # noqa: E402
from similarity.engine.networks.looking import LOOKS, look  # noqa: E402

pytestmark = pytest.mark.ml

CLOSELY, AFAR = LOOKS


class Sure(DetectorNetwork):
    """Sees one garment, at such shares of any picture."""

    def __init__(self, *shares: float) -> None:
        super().__init__(1)
        self.shares = torch.tensor(shares)

    def forward(self, photos):
        rows, columns = (side // self.stride for side in photos.shape[-2:])
        x0, y0, x1, y1 = (self.shares * torch.tensor(photos.shape[:1:-1]).repeat(2)).tolist()
        column, row = int((x0 + x1) / 2 / self.stride), int((y0 + y1) / 2 / self.stride)
        middles = torch.full((1, 1, rows, columns), -20.0)
        middles[0, 0, row, column] = 3.0
        across, down = ((place + 0.5) * self.stride for place in (column, row))
        edges = torch.tensor([across - x0, down - y0, x1 - across, y1 - down])
        return middles, edges.view(1, 1, 4, 1, 1).expand(1, 1, 4, rows, columns)


def seen(*shares: float):
    (found,) = look(Sure(*shares), Image.new("RGB", (600, 800)), ["dress"], 0.5)
    return found.box.edges


def test_the_box_of_a_small_garment_is_as_it_is_told():
    assert seen(0.4, 0.4, 0.6, 0.5) == pytest.approx((240, 320, 360, 400), abs=0.5)


def test_the_box_of_a_garment_that_fills_the_photo_is_a_little_wider_around_the_same_middle():
    x0, y0, x1, y1 = seen(0.2, 0.15, 0.8, 0.85)
    assert (x1 - x0, y1 - y0) == pytest.approx((360 * AFAR.wider, 560 * AFAR.wider), abs=1)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((300, 400), abs=0.5)


def test_it_is_never_wider_than_the_photo():
    assert seen(0.01, 0.0, 0.99, 1.0) == (0, 0, 600, 800)


def test_a_garment_of_whose_size_both_looks_tell_is_one():
    side = ((CLOSELY.largest + AFAR.smallest) / 2) ** 0.5
    assert seen(0.5 - side / 2, 0.5 - side / 2, 0.5 + side / 2, 0.5 + side / 2)
