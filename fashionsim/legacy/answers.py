"""The old words for what went well, and for what did not."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from PIL import Image
from rest_framework.exceptions import APIException, NotFound
from rest_framework.response import Response

from catalog.models import FormerItem, OriginalImage, Product, Segment
from catalog.pictures import open_picture
from fashionsim.errors import problem_details
from similarity import results
from similarity.engine.errors import BadImage
from similarity.models import Run

logger = logging.getLogger("fashionsim.legacy")

CANCELLED = "Processing cancelled by user"

SHOWN_WIDTH = 320
"""Pixels: results come as pictures inside of the answer, a hundred at most."""

KEY = re.compile(r"[0-9]{1,18}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Failed(APIException):
    """A run has failed for a reason of ours."""

    default_code = "failed"
    default_detail = "Something went wrong here. The server's log says what."


class TooSlow(APIException):
    status_code = 503
    default_code = "too_slow"
    default_detail = "It takes longer than usual. Try again in a minute."


class AlreadyThere(APIException):
    """The same bytes are in the catalogue; `image` holds them."""

    status_code = 409
    default_code = "duplicate"
    default_detail = "This picture is in the catalogue already."

    def __init__(self, image: OriginalImage) -> None:
        super().__init__()
        self.image = image


# --- What went wrong ------------------------------------------------------------------------


def explain(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler for these paths: `message` says what the API says as `detail`."""
    view = context["view"]
    response = problem_details(error, context)
    if response is None:
        logger.error("%s failed", context["request"].path, exc_info=error)
        return Response(view.failure(str(Failed.default_detail)), 500)
    response.content_type = None
    if isinstance(error, BadImage) and response.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        response.status_code = HTTPStatus.BAD_REQUEST
    response.data = view.failure(sentence(response.data, view.missing))
    if isinstance(error, AlreadyThere):
        response.data["data"] = stored(error.image)
    return response


def sentence(problem: dict[str, Any], missing: str) -> str:
    """A problem detail in one sentence; `missing` is for fields that are not there."""
    errors = problem.get("errors")
    if not isinstance(errors, dict):
        return str(problem["detail"])
    reasons = {name: list(_leaves(found)) for name, found in errors.items()}
    if absent := [name for name, codes in reasons.items() if "required" in dict(codes)]:
        return missing.format(", ".join(absent))
    name, found = next(iter(reasons.items()))
    text = next((text for _, text in found), problem["detail"])
    return str(text if name == "non_field_errors" else f"{name}: {text}")


def _leaves(errors: Any) -> list[tuple[str, str]]:
    """The codes and texts of a field's errors, however deep they are."""
    if isinstance(errors, dict):
        return [leaf for inner in errors.values() for leaf in _leaves(inner)]
    if isinstance(errors, list):
        return [leaf for inner in errors for leaf in _leaves(inner)]
    return [(getattr(errors, "code", ""), str(errors))]


# --- Pictures -------------------------------------------------------------------------------


def as_png(picture: Image.Image) -> str:
    """A picture as PNG in base64, without a prefix."""
    out = io.BytesIO()
    picture.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def crop_of(segment: Segment, width: int | None = None) -> str:
    """A garment's own picture in base64; empty where its file has gone."""
    try:
        with open_picture(str(segment.image.file.name), crop=segment.pixels, width=width) as file:
            return as_png(Image.open(file, formats=["JPEG"]))
    except FileNotFoundError:
        return ""


# --- Garments -------------------------------------------------------------------------------


def segment_called(name: str) -> Segment:
    """The garment of an old id: a number ("7"), or a name ("01_segment_0"); 404 otherwise.

    What was imported from the service before has the number and the name that it had there.
    """
    segments = Segment.objects.select_related("image__product").order_by("number")
    former = segments.none()
    own = segments.none()
    if KEY.fullmatch(name):
        former = segments.filter(image__former_items=int(name))
        own = segments.filter(pk=int(name))
    elif NAME.fullmatch(name):
        former = segments.filter(image__former_items__name=name)
        own = segments.filter(identifier=name)
    found = former.first() or own.first()
    if found is None:
        raise NotFound(f"There is no item {name[:100]!r}.")
    return found


def ids_of(segments: Iterable[Segment]) -> dict[int, int | str]:
    """The ids by which old clients are told of garments, by their keys.

    The number that it had before; or else its key, unless that was the number of another item
    before: then its name, which is as good everywhere.
    """
    known = list(segments)
    items = FormerItem.objects.filter(image__in={segment.image_id for segment in known})
    numbers = dict(items.order_by("-number").values_list("image", "number"))
    clashes = FormerItem.objects.filter(pk__in=[segment.pk for segment in known])
    taken = set(clashes.values_list("pk", flat=True))
    return {
        segment.pk: numbers[segment.image_id]
        if segment.number == 0 and segment.image_id in numbers
        else (segment.identifier if segment.pk in taken else segment.pk)
        for segment in known
    }


def segments_of(name: str) -> list[Segment]:
    """The garments of the picture of that id; 404 if there are none."""
    segments = Segment.objects.select_related("image")
    found = list(segments.filter(image__identifier=name)) if NAME.fullmatch(name) else []
    if not found:
        raise NotFound(f"There is nothing of a picture {name[:100]!r}.")
    return found


def path_of(segment: Segment) -> str:
    """Where the old service would have put the garment's picture; nothing lies there."""
    return f"{segment.image.identifier}/segment_{segment.number}.png"


def found_in(run: Run) -> list[dict[str, Any]]:
    """The results of a search, best first."""
    neighbours = results.of_run(run)
    segments = Segment.objects.select_related("image").in_bulk([n.segment_id for n in neighbours])
    ids = ids_of(segments.values())
    return [
        {
            "id": ids[item.segment_id],
            "similarity": min(1.0, max(0.0, item.similarity or 0.0)),
            "processed_image_base64": crop_of(segments[item.segment_id], SHOWN_WIDTH),
        }
        for item in neighbours
        if item.segment_id in segments
    ]


def row(segment: Segment) -> dict[str, Any]:
    """A row of `splitted_images`. Vectors stay here: they mean nothing to another model."""
    at = segment.created_at.isoformat()
    return {
        "id": ids_of([segment])[segment.pk],
        "splitted_image_id": segment.identifier,
        "splitted_image_path": path_of(segment),
        "original_image_id": segment.image.identifier,
        "bounding_box": json.dumps(segment.box),
        "vector": None,
        "splitted_image_data": crop_of(segment),
        "create_time": at,
        "update_time": at,
    }


def stored(image: OriginalImage) -> dict[str, Any]:
    """An uploaded picture with its garments."""
    return {
        "original_image_id": image.identifier,
        "segments": [
            {"splitted_image_id": item.identifier, "splitted_image_path": path_of(item)}
            for item in image.segments.select_related("image")
        ],
    }


def details(segment: Segment) -> dict[str, Any]:
    """A row of `image_details`: the product of that very garment. Lists are JSON inside of JSON.

    Of a garment that belongs to no product there is its label alone.
    """
    unknown = Product(name=segment.label.capitalize(), sale_status="")
    product = segment.image.product or unknown
    return {
        "image_id": segment.image.identifier,
        "store_name": product.store,
        "brand": product.brand,
        "product_name": product.name,
        "store_description": product.description,
        "url": product.url,
        "rating": None if product.rating is None else float(product.rating),
        "tags": json.dumps(_names(product, "tags")),
        "sale_status": product.get_sale_status_display(),
        "size": json.dumps(_names(product, "sizes")),
        "waist_type": product.get_waist_type_display(),
        "listing_season": product.listing_season,
        "season": product.get_season_display(),
        "times": None,
    }


def _names(product: Product, related: str) -> list[str]:
    if product.pk is None:
        return []
    return list(getattr(product, related).values_list("name", flat=True))


def past(run: Run) -> dict[str, Any]:
    """A row of `image_history`: a search with its three best results."""
    ids = ids_of(Segment.objects.filter(pk__in=[item[0] for item in run.ranking[:3]]))
    best: list[tuple[int | str | None, float | None]] = [
        (ids.get(item[0]), item[1]) for item in run.ranking[:3]
    ]
    best += [(None, None)] * 3
    entry: dict[str, Any] = {
        "search_id": str(run.pk),
        "user_id": run.requested_by_id,
        "search_image_id": str(run.query_id) if run.query_id else run.segment_id,
    }
    for place in range(3):
        entry[f"result_image_id_{place + 1}"], entry[f"similarity_{place + 1}"] = best[place]
    return entry
