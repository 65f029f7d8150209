"""Result files."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def save(path: Path, content: Mapping[str, Any], *, by_line: bool = False) -> None:
    """As JSON, written beside its place and moved there whole. by_line: an entry of the outer lists a line."""
    text = _by_line(content) if by_line else json.dumps(content, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    beside.write_text(text)
    os.replace(beside, path)


def _by_line(content: Mapping[str, Any]) -> str:
    parts = []
    for name, value in content.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join("  " + json.dumps(each) for each in value) + "\n ]"
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"
