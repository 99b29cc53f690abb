"""What the pages name is there."""

import re
from pathlib import Path

import pytest

from molweave.data.cache_file import default_cache_path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"))
)
NAMED = re.compile(r"`((?:tests|src|benchmarks|docs|examples)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page):
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    assert [path for path in NAMED.findall(text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_page_that_a_page_links_to_exists(page):
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    links = [path for path, _ in LINK.findall(text) if "://" not in path]
    assert [path for path in links if not ((ROOT / page).parent / path).exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.startswith("docs/methods/")])
def test_a_table_of_tests_names_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and "`tests/" in line]
    named = [path for row in rows for path in NAMED.findall(row)]
    assert [path for path in named if not path.endswith(".py")] == []


def test_the_readme_says_where_the_conformer_cache_is(monkeypatch):
    for name in ("MOLWEAVE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"`~/{default_cache_path().relative_to(Path.home())}`" in text
    assert "`MOLWEAVE_CACHE`" in text


def test_the_paths_of_a_page_are_found():
    assert NAMED.findall("see `tests/nn`, `src/a/b.py` and `molweave fit`") == [
        "tests/nn",
        "src/a/b.py",
    ]
