"""What a chart shows, read from its specification."""

import pandas as pd


def spec(picture):
    """The specification, which must be whole: a schema and the house's look."""
    made = picture.to_dict()
    assert "$schema" in made
    assert made["config"]["background"] == "white"
    return made


def table(picture):
    """The one table of a chart."""
    (rows,) = spec(picture)["datasets"].values()
    return pd.DataFrame(rows)


def words(picture):
    """Title and the line below it."""
    title = spec(picture)["title"]
    return " ".join(title["text"]), " ".join(title.get("subtitle", []))


def told(picture):
    """The text for those who cannot see it."""
    return spec(picture)["description"]


def params(picture):
    """Parameters by name: the value at the start, and the options where there are some."""
    found = {}
    for one in spec(picture).get("params", []):
        found[one["name"]] = one.get("bind", {}).get("options", one.get("value"))
    return found


def every(part, key):
    """All values of a key in a specification, at any depth."""
    if isinstance(part, dict):
        return [
            v for k, x in part.items() for v in ([x] if k == key else []) + every(x, key)
        ]
    return [v for x in part for v in every(x, key)] if isinstance(part, list) else []


def colours(picture, field):
    """Colour of every value of a column, from the scale that says both."""
    said = [
        one
        for key in ("color", "fill")
        for one in every(spec(picture), key)
        if isinstance(one, dict) and one.get("field") == field
    ]
    scales = [
        dict(zip(x["scale"]["domain"], x["scale"]["range"], strict=True)) for x in said
    ]
    assert scales
    assert all(scale == scales[0] for scale in scales)
    return scales[0]


def marks(picture):
    """Kinds of marks, in the order in which they are drawn."""
    found = every({k: v for k, v in spec(picture).items() if k != "config"}, "mark")
    return [mark["type"] if isinstance(mark, dict) else mark for mark in found]


def axis(picture, channel):
    """Titles of an axis that are not empty."""
    found = [x.get("title") for x in every(spec(picture), channel) if isinstance(x, dict)]
    return {x for x in found if x}
