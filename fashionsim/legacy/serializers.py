"""What the old paths take."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import MAX_RESULTS
from similarity.serializers import id_field


class WholeNumberField(serializers.IntegerField):
    """A number that is one: neither a text nor true."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class PhotoSerializer(serializers.Serializer[Any]):
    """A photo in base64, with or without a data: prefix."""

    image_base64 = serializers.CharField(trim_whitespace=False)
    request_id = id_field()


class SearchSerializer(PhotoSerializer):
    num = WholeNumberField(min_value=1, max_value=MAX_RESULTS, required=False)


class SplitSerializer(PhotoSerializer):
    force_process = serializers.BooleanField(default=True)


class UploadSerializer(SplitSerializer):
    image_name = serializers.CharField(max_length=200, required=False)


class CropSerializer(PhotoSerializer):
    """A garment that somebody has chosen among those of a split photo."""

    original_image_id = serializers.CharField(max_length=100)
    segment_id = serializers.CharField(max_length=90)


class RowSerializer(serializers.Serializer[Any]):
    """A row of `splitted_images` with its picture: without one there is nothing to find."""

    splitted_image_id = serializers.CharField(max_length=200)
    splitted_image_path = serializers.CharField(max_length=500)
    original_image_id = serializers.CharField(max_length=200)
    splitted_image_data = serializers.CharField(trim_whitespace=False)


CHANGEABLE = (
    "splitted_image_path",
    "original_image_id",
    "bounding_box",
    "vector",
    "splitted_image_data",
)


class ItemSerializer(serializers.Serializer[Any]):
    """An item by its number, as results have it, or by its name."""

    splitted_image_id = serializers.CharField(max_length=200)


class CleanupSerializer(serializers.Serializer[Any]):
    max_age_seconds = serializers.FloatField(min_value=0, default=3600)
