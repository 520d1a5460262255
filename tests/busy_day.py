"""A demonstration's desks as they are on a busy day: something waits on each of them."""

from __future__ import annotations

import csv
import datetime as dt
import io
import random

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from PIL import Image, ImageFilter

from catalog.models import OriginalImage, Product
from shop import exchange
from shop.models import ShopperEvent
from similarity import pipeline, services
from similarity.engine.images import encode_jpeg
from similarity.models import Rule, Run, SearchDay

SEED = 4
DAYS = 30
SHARES = {"impression": 1.0, "click": 0.16, "view": 0.14, "add_to_cart": 0.04, "purchase": 0.015}
"""How many of what is shown come to each kind of event."""


def fill() -> None:
    """Fill the shop that Django is set up for."""
    chance = random.Random(SEED)
    products = list(Product.objects.filter(images__position=0).order_by("pk").distinct())
    _pairs(products)
    _poor_pictures(products)
    _failed()
    _rules(products)
    _searches_and_events(products, chance)
    _sheet(products)
    pipeline.execute(services.start_rebuild().pk)


def _picture(product: Product) -> Image.Image:
    image = product.images.order_by("position").first()
    with image.file.open("rb") as file:
        return Image.open(file).convert("RGB")


def _add(picture: Image.Image, product: Product, name: str, quality: int = 90) -> None:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    taken = services.take_in(out.getvalue())
    upload = services.start_upload(taken, product=product, source_name=name, queued=False)
    pipeline.execute(upload.run.pk)


def _pairs(products: list[Product]) -> None:
    """The picture of one product sent again, smaller and poorer, for another."""
    for one, other in zip(products[0:6:2], products[1:6:2], strict=True):
        picture = _picture(one)
        small = picture.resize((picture.width // 2, picture.height // 2))
        _add(small, other, f"{one.reference}-small.jpg", quality=45)


def _poor_pictures(products: list[Product]) -> None:
    _add(_picture(products[7]).filter(ImageFilter.GaussianBlur(9)), products[7], "out-of-focus.jpg")
    tiny = _picture(products[8])
    tiny.thumbnail((150, 150))
    _add(tiny, products[8], "from-a-chat.jpg")
    _add(Image.new("RGB", (900, 1200), (214, 206, 196)), products[9], "a-wall.jpg")


def _failed() -> None:
    """An upload that nobody could make anything of."""
    broken = services.take_in(encode_jpeg(Image.new("RGB", (600, 800), (120, 110, 100))))
    upload = services.start_upload(broken, source_name="IMG_2093.jpg", queued=False)
    message = "The picture could not be read to its end."
    Run.objects.filter(pk=upload.run.pk).update(
        state=Run.State.FAILED, error_code="bad_image", error_message=message
    )
    OriginalImage.objects.filter(pk=upload.image.pk).update(
        status=OriginalImage.Status.FAILED, problem=message
    )


def _rules(products: list[Product]) -> None:
    now, week = timezone.now(), dt.timedelta(days=7)
    first, second, third, fourth = products[10:14]
    Rule.objects.create(
        action="pin",
        product=first,
        category=first.category,
        note="Summer window",
        ends_at=now + week,
    )
    Rule.objects.create(action="boost", product=second, note="New in", starts_at=now - week)
    Rule.objects.create(action="bury", product=third, category=third.category, note="Few left")
    Rule.objects.create(
        action="block", product=fourth, query_product=first, note="Campaign", starts_at=now + week
    )


def _searches_and_events(products: list[Product], chance: random.Random) -> None:
    now, events = timezone.now(), []
    for back in range(DAYS):
        at = now - dt.timedelta(days=back)
        weekend = 1.5 if at.weekday() >= 5 else 1.0
        searches = round(weekend * chance.uniform(160, 260) * (1 - back / 60))
        poor = round(searches * chance.uniform(0.06, 0.14))
        SearchDay.objects.update_or_create(
            day=at.date(), defaults={"searches": searches, "poor": poor}
        )
        for _ in range(searches // 2):
            product = products[min(int(chance.expovariate(0.12)), len(products) - 1)]
            position = min(int(chance.expovariate(0.2)), 23)
            events += [
                ShopperEvent(kind=kind, product=product, position=position, at=at)
                for kind, share in SHARES.items()
                if chance.random() < share
            ]
    ShopperEvent.objects.bulk_create(events, batch_size=500)


def _sheet(products: list[Product]) -> None:
    """A file that has been looked through: what it would change, and what it cannot."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["reference", "name", "price", "sale_status", "tags"])
    writer.writerow([products[0].reference, products[0].name, "39.00", "sale", "linen|summer"])
    writer.writerow(
        [products[1].reference, "Relaxed " + products[1].name.lower(), "", "", "summer"]
    )
    writer.writerow(["NEW-2041", "Linen camp-collar shirt", "59.00", "regular", "linen"])
    writer.writerow(["", "No reference", "10.00", "regular", ""])
    writer.writerow([products[2].reference, products[2].name, "cheap", "regular", ""])
    file = SimpleUploadedFile("summer-prices.csv", out.getvalue().encode())
    job = exchange.start(file, photos=False)
    exchange.check(job, job.columns)
    exchange.work(job.pk)
