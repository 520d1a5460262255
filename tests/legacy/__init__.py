"""The old paths, asked as the front end made for them asks."""

from __future__ import annotations

import base64
import io

from PIL import Image


def refused(response, status: int, /, **body) -> None:
    """Make sure that the answer is of that status and exactly that JSON."""
    assert response["Content-Type"] == "application/json"
    assert (response.status_code, response.json()) == (status, body)


def failed(response, status: int, message: str) -> None:
    """The same of what most old paths say when something is wrong."""
    refused(response, status, success=False, message=message, data=None)


def opened(text: str) -> Image.Image:
    """A PNG in base64."""
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"])
    image.load()
    return image
