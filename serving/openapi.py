"""What /openapi.json says: the routes' bodies, and OpenAPI 3.0.3 throughout.

FastAPI writes the schemas of 3.1; the page at /docs, and many generators of clients, read 3.0.
"""

from typing import Any, Final

VERSION: Final = "3.0.3"
DESCRIPTION: Final = (
    "Reads hip ultrasound. Research use; not a medical device. "
    "Live frames go over the WebSocket `/v1/stream`, which OpenAPI has no words for: docs/live.md has its contract."
)
_BYTES: Final = {"type": "string", "format": "binary"}
_FORM: Final = {"type": "object", "properties": {"file": _BYTES}, "required": ["file"]}


def _body(*kinds: str) -> dict[str, Any]:
    raw = {kind: {"schema": _BYTES} for kind in kinds}
    return {"requestBody": {"required": True, "content": {**raw, "multipart/form-data": {"schema": _FORM}}}}


BODY: Final = _body("image/jpeg", "image/png", "application/dicom")
CINE: Final = _body("application/dicom")
PNG: Final[dict[int | str, dict[str, object]]] = {200: {"content": {"image/png": {"schema": _BYTES}}}}
LINES: Final[dict[int | str, dict[str, object]]] = {
    200: {
        "description": 'a Reading a line, then {"summary": ...}',
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


def in_3_0(told: Any) -> Any:
    """A document of 3.1 with what 3.0 says otherwise: null, tuples, constants and examples."""
    if isinstance(told, list):
        return [in_3_0(one) for one in told]
    if not isinstance(told, dict):
        return told
    schema = {name: in_3_0(value) for name, value in told.items()}
    if isinstance(schema.get("examples"), list):
        schema["example"] = schema.pop("examples")[0]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if isinstance(schema.get("prefixItems"), list):
        parts = schema.pop("prefixItems")
        schema["items"] = parts[0] if all(part == parts[0] for part in parts) else {"anyOf": parts}
    return _nullable(schema)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    choices = schema.get("anyOf")
    if not isinstance(choices, list) or {"type": "null"} not in choices:
        return schema
    left = [one for one in choices if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    one = left[0] if len(left) == 1 and "$ref" not in left[0] else {"anyOf": left}
    return {**one, **rest, "nullable": True}
