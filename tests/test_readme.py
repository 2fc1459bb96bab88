"""What the README says is true: its example runs, its limits hold, its files exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_library_example_runs(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    assert len(blocks[0].splitlines()) <= 16
    code = "".join(blocks)
    small = code.replace("warmup=1000, draws=1000", "warmup=50, draws=50")
    assert small != code
    assert "mmmjax/datasets" in small
    small = small.replace("mmmjax/datasets", str(ROOT / "mmmjax" / "datasets"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo-run").mkdir()  # of `make demo`, which comes before
    exec(compile(small, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "Social" in said
    assert said.count("Plan:") == 3
    assert "converged" in said or "refitted" in said
    assert (tmp_path / "demo-run" / "mine.nc").is_file()
    ignored = (ROOT / ".gitignore").read_text()  # so that nothing is left in a checkout
    assert all(f"/{path.name}/" in ignored for path in tmp_path.iterdir())


def test_readme_is_short_and_its_links_exist():
    assert len(README.splitlines()) <= 150
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        if link.endswith(".png"):
            continue  # the picture is checked where it is drawn
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench"])
def test_make_targets_exist(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_room_is_in_the_corridor():
    corridor = README.split("## The corridor")[1]
    for room in (ROOT / "mmmjax").iterdir():
        if room.suffix == ".py" and not room.name.startswith("_"):
            assert room.stem in corridor, room.name
        if (room / "__init__.py").exists():
            assert room.name in corridor, room.name
