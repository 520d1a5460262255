"""What the shop has: products, the pictures of them, and the garments found in the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import ceil, floor
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from catalog.words import LONGEST

valid_identifier = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z",
    _("Use letters, digits, hyphens and underscores, and begin with a letter or digit."),
)


class Category(models.Model):
    """A kind of product, as the shop's shelves name it: "Dresses"."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(max_length=100, unique=True, allow_unicode=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    """A word that products are found by: "floral"."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Size(models.Model):
    """A size that products come in: "M", "42", "one size"."""

    name = models.CharField(max_length=30, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """The details of one product. Merchandisers edit them; shoppers see them with a result."""

    class SaleStatus(models.TextChoices):
        REGULAR = "regular", _("Regular")
        SALE = "sale", _("On sale")
        SOLD_OUT = "sold_out", _("Sold out")

    class Waist(models.TextChoices):
        HIGH = "high", pgettext_lazy("waist", "High")
        MID = "mid", pgettext_lazy("waist", "Mid")
        LOW = "low", pgettext_lazy("waist", "Low")

    class Season(models.TextChoices):
        SPRING = "spring", pgettext_lazy("season", "Spring")
        SUMMER = "summer", pgettext_lazy("season", "Summer")
        AUTUMN = "autumn", pgettext_lazy("season", "Autumn")
        WINTER = "winter", pgettext_lazy("season", "Winter")
        ALL_YEAR = "all_year", pgettext_lazy("season", "All year")

    reference = models.CharField(
        max_length=100,
        unique=True,
        validators=[valid_identifier],
        help_text="The shop's own id of the product (SKU).",
    )
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    url = models.URLField(max_length=500, blank=True, help_text="The product's page in the shop.")
    store = models.CharField(max_length=100, blank=True, db_index=True)
    brand = models.CharField(max_length=100, blank=True, db_index=True)
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="products"
    )
    category_predicted = models.BooleanField(
        "category is predicted",
        default=False,
        help_text="Told by the look of a picture. Unticked or chosen anew, it is a person's word.",
    )
    price = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        db_index=True,
        validators=[MinValueValidator(Decimal(0))],
    )
    currency = models.CharField(
        max_length=3,
        default="EUR",
        validators=[RegexValidator(r"^[A-Z]{3}\Z", "Use a code of three capitals, such as EUR.")],
        help_text="ISO 4217 code.",
    )
    rating = models.DecimalField(
        max_digits=2,
        decimal_places=1,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(5))],
        help_text="0 to 5.",
    )
    sale_status = models.CharField(
        max_length=10, choices=SaleStatus, default=SaleStatus.REGULAR, db_index=True
    )
    waist_type = models.CharField(max_length=10, choices=Waist, blank=True)
    listing_season = models.CharField(
        max_length=30, blank=True, db_index=True, help_text='When it was listed: "2026 spring".'
    )
    season = models.CharField(max_length=10, choices=Season, blank=True, db_index=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="products")
    sizes = models.ManyToManyField(Size, blank=True, related_name="products")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(price__isnull=True) | Q(price__gte=0), name="product_price_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(rating__isnull=True) | Q(rating__gte=0, rating__lte=5),
                name="product_rating_0_to_5",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.reference})"

    def clean(self) -> None:
        """A reference that leads to another product is no new one's."""
        former = FormerReference.objects.filter(reference=self.reference)
        if known := former.select_related("product").first():
            sentence = _("%(former)s was merged into %(kept)s: use that.") % {
                "former": self.reference,
                "kept": known.product.reference,
            }
            raise ValidationError({"reference": sentence})


class FormerReference(models.Model):
    """The reference of a product that was found to be another: it leads to that one now."""

    reference = models.CharField(max_length=100, unique=True)
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="former_references")

    class Meta:
        ordering = ["reference"]

    def __str__(self) -> str:
        return self.reference


def original_path(image: OriginalImage, token: str) -> str:
    """Where a picture is stored: by its identifier, never by a name that somebody sent.

    A random token makes it the place of this row alone. What is deleted takes its file along when
    that is committed; the same bytes may have come in again by then, and lie elsewhere.
    """
    return f"originals/{image.sha256[:2]}/{image.identifier}-{token}.jpg"


class OriginalImage(models.Model):
    """A picture as it came in: upright, sRGB, re-encoded without metadata."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"

    class Source(models.TextChoices):
        UPLOAD = "upload", "Upload"
        FOLDER = "folder", "Folder"
        DEMO = "demo", "Demonstration"
        IMPORT = "import", "Import"

    identifier = models.CharField(max_length=80, unique=True, validators=[valid_identifier])
    file = models.FileField(upload_to=original_path, max_length=200)
    sha256 = models.CharField(
        "SHA-256", max_length=64, unique=True, help_text="Of the bytes as they were sent."
    )
    width = models.PositiveIntegerField(help_text="In pixels.")
    height = models.PositiveIntegerField(help_text="In pixels.")
    size = models.PositiveIntegerField(help_text="Of the stored file, in bytes.")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    problem = models.CharField(max_length=300, blank=True, help_text="Why it failed.")
    source = models.CharField(max_length=10, choices=Source, default=Source.UPLOAD)
    source_name = models.CharField(
        max_length=200, blank=True, help_text="What the sender called the file."
    )
    source_url = models.CharField(
        max_length=500, blank=True, help_text="Where it was fetched from for its product."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="images",
    )
    product = models.ForeignKey(
        Product, null=True, blank=True, on_delete=models.CASCADE, related_name="images"
    )
    position = models.PositiveSmallIntegerField(
        default=0, help_text="Order among the pictures of one product."
    )
    main_segment = models.ForeignKey(
        "Segment",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name="main garment",
        help_text="The one that the picture is of; it alone is found then. Empty: all are.",
    )
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["status", "-created_at"]),
            models.Index(fields=["product", "position", "id"]),
            # Whether a product can be found at all is asked of this alone.
            models.Index(fields=["product", "status"]),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def possible_duplicate_of(self) -> OriginalImage | None:
        """The earlier picture that is likeliest to be the same, while nobody has decided."""
        pairs = [pair for pair in self.earlier_lookalikes.all() if pair.is_open]
        return max(pairs, key=lambda pair: pair.similarity).earlier if pairs else None


class MergedPicture(models.Model):
    """Bytes of a picture that was found to show what another does: they stand for that one now."""

    sha256 = models.CharField("SHA-256", max_length=64, unique=True)
    image = models.ForeignKey(OriginalImage, on_delete=models.CASCADE, related_name="merged")

    def __str__(self) -> str:
        return self.sha256


class FormerItem(models.Model):
    """The ids that a picture had as an item of the service before: its clients may still have
    them."""

    number = models.PositiveBigIntegerField(primary_key=True)
    name = models.CharField(max_length=200, db_index=True, help_text='Like "01_segment_0".')
    image = models.ForeignKey(OriginalImage, on_delete=models.CASCADE, related_name="former_items")

    def __str__(self) -> str:
        return self.name


class PerceptualHash(models.Model):
    """A picture's look in 64 bits, whole and in four parts by which near ones are found."""

    image = models.OneToOneField(
        OriginalImage, primary_key=True, on_delete=models.CASCADE, related_name="perceptual_hash"
    )
    value = models.BigIntegerField(help_text="The 64 bits, read as a signed number.")
    part_0 = models.PositiveIntegerField(db_index=True, help_text="The lowest 16 bits.")
    part_1 = models.PositiveIntegerField(db_index=True)
    part_2 = models.PositiveIntegerField(db_index=True)
    part_3 = models.PositiveIntegerField(db_index=True)

    class Meta:
        verbose_name_plural = "perceptual hashes"

    def __str__(self) -> str:
        return f"{self.bits:016x}"

    @property
    def bits(self) -> int:
        """The hash as an unsigned number."""
        return self.value % 2**64


class PictureQuality(models.Model):
    """What was measured of a picture when it was read, and whether somebody has said it is fine."""

    image = models.OneToOneField(
        OriginalImage, primary_key=True, on_delete=models.CASCADE, related_name="quality"
    )
    sharpness = models.FloatField(
        db_index=True, help_text="Variance of the Laplacian in its sharpest parts; 0 is flat."
    )
    accepted_at = models.DateTimeField(null=True, blank=True, db_index=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = "picture to look at"
        verbose_name_plural = "pictures to look at"

    def __str__(self) -> str:
        return str(self.image)


class LookalikeQuerySet(models.QuerySet["Lookalike"]):
    def decide(self, pair: Lookalike, decision: str, by: Any) -> bool:
        """OPEN → SAME | DIFFERENT; False if somebody has decided before."""
        return bool(
            self.filter(pk=pair.pk, decision=Lookalike.Decision.OPEN).update(
                decision=decision, decided_by=by, decided_at=timezone.now()
            )
        )


class Lookalike(models.Model):
    """Two pictures that may be one, and what a merchandiser has decided: asked once for each."""

    class Decision(models.TextChoices):
        OPEN = "open", "Undecided"
        SAME = "same", "The same"
        DIFFERENT = "different", "Different"

    earlier = models.ForeignKey(
        OriginalImage, on_delete=models.CASCADE, related_name="later_lookalikes"
    )
    later = models.ForeignKey(
        OriginalImage, on_delete=models.CASCADE, related_name="earlier_lookalikes"
    )
    distance = models.PositiveSmallIntegerField(
        help_text="Bits of 64 by which the pictures' hashes differ."
    )
    similarity = models.FloatField(help_text="Cosine of their garments, -1 to 1.")
    decision = models.CharField(max_length=10, choices=Decision, default=Decision.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LookalikeQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = "pair of pictures that look alike"
        verbose_name_plural = "pictures that look alike"
        indexes = [models.Index(fields=["decision", "-created_at"])]
        constraints = [
            models.UniqueConstraint(fields=["earlier", "later"], name="lookalike_unique"),
            models.CheckConstraint(
                condition=Q(earlier__lt=models.F("later")), name="lookalike_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.earlier_id} and {self.later_id}"

    @property
    def is_open(self) -> bool:
        return self.decision == self.Decision.OPEN


class Segment(models.Model):
    """One garment found in a picture; or the whole of one in which no garment was found."""

    NOTHING_FOUND = "nothing_found"
    """Stands in the detector's place where it has found nothing, and the whole picture is taken."""

    PERSON = "person"
    """Stands there where a person has drawn the box, or confirmed it: no detector changes it."""

    identifier = models.CharField(
        max_length=100, unique=True, help_text='The image\'s, and a number: "01_segment_0".'
    )
    image = models.ForeignKey(OriginalImage, on_delete=models.CASCADE, related_name="segments")
    number = models.PositiveSmallIntegerField(help_text="0 is the best found in the image.")
    x0 = models.FloatField(help_text="Left edge of the bounding box, in pixels of the image.")
    y0 = models.FloatField(help_text="Top edge.")
    x1 = models.FloatField(help_text="Right edge, exclusive.")
    y1 = models.FloatField(help_text="Bottom edge, exclusive.")
    label = models.CharField(
        max_length=100, blank=True, db_index=True, help_text="Empty for a whole picture."
    )
    score = models.FloatField(help_text="The detector's confidence, 0 to 1.")
    detector = models.CharField(
        max_length=100, help_text='"nothing_found" for a picture without a garment, taken whole.'
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["image", "number"]
        constraints = [
            models.UniqueConstraint(fields=["image", "number"], name="segment_number_in_image"),
            models.CheckConstraint(
                condition=Q(x0__gte=0, y0__gte=0, x1__gt=models.F("x0"), y1__gt=models.F("y0")),
                name="segment_box_not_empty",
            ),
            models.CheckConstraint(
                condition=Q(score__gte=0, score__lte=1), name="segment_score_0_to_1"
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def is_a_garment(self) -> bool:
        """False for a whole picture in which no garment was found."""
        return self.detector != self.NOTHING_FOUND

    @property
    def box(self) -> tuple[float, float, float, float]:
        """The bounding box: left, top, right, bottom, in pixels of the image."""
        return (self.x0, self.y0, self.x1, self.y1)

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """The smallest rectangle of whole pixels that holds the box: what its crop shows."""
        return (floor(self.x0), floor(self.y0), ceil(self.x1), ceil(self.y1))


def findable(segment: str = "") -> Q:
    """Garments that stand for their pictures: the main one, or all where none was chosen.

    `segment` is the path to the garment, "segment__" for one.
    """
    main = f"{segment}image__main_segment"
    return Q(**{main: None}) | Q(**{main: models.F(f"{segment}pk")})


class SegmentColourQuerySet(models.QuerySet["SegmentColour"]):
    def prominent(self, names: Iterable[str]) -> SegmentColourQuerySet:
        """Those of one of the names that a garment would be looked for by."""
        return self.filter(colour__in=list(names), share__gte=SegmentColour.PROMINENT)


class SegmentColour(models.Model):
    """One of a garment's dominant colours."""

    class Name(models.TextChoices):
        BLACK = "black", pgettext_lazy("colour", "Black")
        WHITE = "white", pgettext_lazy("colour", "White")
        GREY = "grey", pgettext_lazy("colour", "Grey")
        BEIGE = "beige", pgettext_lazy("colour", "Beige")
        BROWN = "brown", pgettext_lazy("colour", "Brown")
        RED = "red", pgettext_lazy("colour", "Red")
        ORANGE = "orange", pgettext_lazy("colour", "Orange")
        YELLOW = "yellow", pgettext_lazy("colour", "Yellow")
        GREEN = "green", pgettext_lazy("colour", "Green")
        TURQUOISE = "turquoise", pgettext_lazy("colour", "Turquoise")
        BLUE = "blue", pgettext_lazy("colour", "Blue")
        NAVY = "navy", pgettext_lazy("colour", "Navy")
        PURPLE = "purple", pgettext_lazy("colour", "Purple")
        PINK = "pink", pgettext_lazy("colour", "Pink")

    PROMINENT = 0.25
    """A garment is found by a colour of at least this share."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="colours")
    colour = models.CharField(max_length=20, choices=Name)
    share = models.FloatField(help_text="Of the garment, 0 to 1.")

    objects = SegmentColourQuerySet.as_manager()

    class Meta:
        ordering = ["-share", "pk"]
        # All that a filter reads, in its order: the table itself is left alone.
        indexes = [models.Index(fields=["colour", "share", "segment"])]
        constraints = [
            models.UniqueConstraint(fields=["segment", "colour"], name="segment_colour_unique"),
            models.CheckConstraint(
                condition=Q(share__gte=0, share__lte=1), name="segment_colour_share_0_to_1"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.colour} {self.share:.0%}"


class SavedView(models.Model):
    """A list of the admin as somebody has filtered it, under a name of theirs."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views"
    )
    page = models.CharField(max_length=100, help_text='Whose list it is: "catalog_product".')
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "page", "name"], name="saved_view_unique"),
        ]

    def __str__(self) -> str:
        return self.name


class ProductWord(models.Model):
    """A word that a product is found by. Written by `word_index` alone."""

    product = models.ForeignKey(
        # Its own index is the constraint's below.
        Product,
        on_delete=models.CASCADE,
        related_name="words",
        db_index=False,
    )
    word = models.CharField(max_length=LONGEST, help_text="Folded, and without its ending.")
    weight = models.PositiveSmallIntegerField(help_text="How much it says of the product, to 1000.")

    class Meta:
        # All that a search reads, in its order: the table itself is left alone.
        indexes = [models.Index(fields=["word", "product", "weight"])]
        constraints = [
            models.UniqueConstraint(fields=["product", "word"], name="product_word_unique"),
        ]

    def __str__(self) -> str:
        return self.word
