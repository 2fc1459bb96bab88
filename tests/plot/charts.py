"""What a test reads of a chart: its rows, words, scales and controls."""

from typing import Any

import numpy as np


def words(chart: Any) -> tuple[str, str]:
    """Title and subtitle, each in one line."""
    title = chart.to_dict()["title"]
    return " ".join(title["text"]), " ".join(title.get("subtitle", []))


def encodings(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Encodings of a chart and of its layers and cells."""
    own = [spec["encoding"]] if "encoding" in spec else []
    inner = [*spec.get("layer", []), *([spec["spec"]] if "spec" in spec else [])]
    return own + [one for part in inner for one in encodings(part)]


def scale(chart: Any, channel: str, field: str) -> dict[str, str]:
    """Domain -> range of the scale of a field, which all layers agree on."""
    found = []
    for encoding in encodings(chart.to_dict()):
        one = encoding.get(channel, {})
        for part in (one, one.get("condition", {})):
            if part.get("field") == field:
                found.append(dict(zip(*part["scale"].values(), strict=True)))
    assert found
    assert all(other == found[0] for other in found)
    return found[0]


def params(chart: Any) -> dict[str, Any]:
    """Parameters that a page sets, with their options where they have some."""
    return {
        one["name"]: one.get("bind", {}).get("options", one["value"])
        for one in chart.to_dict().get("params", [])
        if "value" in one
    }


def names_in_order(chart: Any, field: str) -> list[str]:
    """Names of the rows, from the top."""
    return next(
        one["y"]["sort"]
        for one in encodings(chart.to_dict())
        if one.get("y", {}).get("field") == field
    )


def same(table: Any, **columns: Any) -> None:
    """The columns of a table are these numbers or texts."""
    for name, wanted in columns.items():
        found = table[name].tolist()
        if isinstance(wanted[0], str):
            assert found == list(wanted)
        else:
            np.testing.assert_allclose(found, wanted, atol=1e-12)
