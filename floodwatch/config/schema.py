"""The JSON Schema of the configuration file: for editors, and for whoever writes it by program."""

from __future__ import annotations

from typing import Any

from .keys import TABLES, TOP, Table

SCHEMA_CONFIG = "floodwatch.config/1"


def schema() -> dict[str, Any]:
    """The schema (2020-12) of one file; of a file in ``conf.d`` nothing is needed.

    What the schema cannot say is left to ``config check``: settings that contradict each other, the built-in
    floors, filters, what lies in other files.
    """
    whole = _table(TOP)
    for table in TABLES[1:]:
        one = _table(table)
        several = {"type": "array", "items": one, "maxItems": table.most}
        whole["properties"][table.name] = {**(several if table.most > 1 else one), "description": table.says}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:floodwatch:schema:{SCHEMA_CONFIG}",
        "title": SCHEMA_CONFIG,
        **whole,
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            key.name: {
                **key.kind.schema,
                "description": key.says,
                **({} if key.default is None else {"default": key.default}),
            }
            for key in table.keys
        },
        "required": [key.name for key in table.keys if key.needed],
        "additionalProperties": False,
    }
