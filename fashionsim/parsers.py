"""How request bodies are read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from rest_framework import parsers
from rest_framework.exceptions import ParseError

ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
"""What every half of a character in JSON begins with; whole ones beyond the first 65,536, too."""


class JSONParser(parsers.JSONParser):
    """DRF's, which lets two kinds of JSON through as errors of ours: what is nested too deeply,
    and halves of characters (RFC 8259, section 8.2), which no database and no answer can hold."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        try:
            parsed = super().parse(BytesIO(body), media_type, parser_context)
            if ESCAPED.search(body):
                json.dumps(parsed, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise ParseError("The JSON holds half of a character.") from error
        return parsed
