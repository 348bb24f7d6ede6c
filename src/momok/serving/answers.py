"""JSON as it is sent."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse

__all__ = ["JsonAnswer", "encode_json", "error_body"]


def encode_json(value: Any) -> bytes:
    """Compact JSON in ASCII: half characters of a label are escaped, not an error."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def error_body(code: str, message: str) -> bytes:
    """What every error answer holds."""
    return encode_json({"error": {"code": code, "message": message}})


class JsonAnswer(JSONResponse):
    """An answer whose JSON is made already, or is made here."""

    def render(self, content: Any) -> bytes:
        """Bytes are sent as they are."""
        return content if isinstance(content, bytes) else encode_json(content)
