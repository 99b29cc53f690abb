"""The commands and the Python of the README work, in its order, in one folder.

They run as they are written, on the whole bundled data; only the presets are made small. What they
print, errors and progress first, is compared with the ``text`` block that follows them:

- Numbers with a decimal point count as equal, unless they are percentages: scores and times vary.
  So do rates (rows/s) and numbers of parameters, and the width of columns does not matter.
- A line ``...`` stands for one line or more, and `` ...`` at the end of a line for its rest.
- `VIEWS` is left out: the small presets see the graph alone.
"""

import gzip
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fits import TINY

from molweave.cli import app
from molweave.methods import METHODS
from molweave.training.config import TRAIN_PRESETS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BUNDLED = ROOT / "src" / "molweave" / "data" / "bundled"
SHELLS = ("bash", "console", "sh", "shell")
VIEWS = (
    ("views sequence, graph, geometry", "views graph"),
    ("1 predicted without geometry\n", ""),
)
VARYING = re.compile(r"-?\b\d+\.\d+\b(?! %)|[\d,]+(?= rows/s| parameters)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Commands and blocks, in order, with what they are: ``("shell", line)``, ``("text", it)``."""
    for language, block in FENCE.findall(text):
        if language in ("python", "text"):
            yield language, block
        elif language in SHELLS:
            prompts = re.findall(r"^\$ ((?:.*\\\n)*.*)", block, re.MULTILINE)
            lines = prompts or block.replace("\\\n", " ").splitlines()
            for line in lines:
                command = line.replace("\\\n", " ").partition(" #")[0].strip()
                if command and not command.startswith("#"):
                    yield "shell", command


def plain(text: str) -> str:
    """Output without what legitimately varies."""
    lines = (" ".join(VARYING.sub("#", line).split()) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def expected(block: str) -> re.Pattern[str]:
    """What a block of output allows."""
    text = plain(block)
    for shown, small in VIEWS:
        text = text.replace(shown, small)
    lines = []
    for line in text.splitlines():
        start = line.removesuffix(" ...")
        rest = ".+" if start != line else ""
        lines.append("(?:.*\n)+" if line == "..." else f"{re.escape(start)}{rest}\n")
    return re.compile("".join(lines))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the README names, and presets that fit in a moment."""
    for name in ("bbbp", "esol"):
        data = gzip.decompress((BUNDLED / f"{name}.csv.gz").read_bytes())
        (tmp_path / f"{name}.csv").write_bytes(data)
    lines = (tmp_path / "bbbp.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "labelled.csv").write_text("".join([lines[0], *lines[-100:]]), encoding="utf-8")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(BUNDLED, tmp_path / "src" / "molweave" / "data" / "bundled")
    shutil.copy(ROOT / "examples" / "new_molecules.csv", tmp_path / "new.csv")
    presets = METHODS["dmmrl"].presets
    for preset, config in presets.items():
        small = replace(config, **TINY, modalities=("graph",))
        monkeypatch.setitem(presets, preset, small)
        training = replace(TRAIN_PRESETS[("dmmrl", preset)], epochs=1, batch_size=256)
        monkeypatch.setitem(TRAIN_PRESETS, ("dmmrl", preset), training)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_shell(command: str) -> None:
    """Run what a reader would type; what is not molweave must at least exist."""
    words = shlex.split(command)
    if re.search(r"[|<>;&]", command):
        places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(command, shell=True, check=True, env={**os.environ, "PATH": places})
    elif words[0] == "molweave":
        assert app.run(words[1:]) == 0, command
    elif words[0] == "cat":
        sys.stdout.write(Path(words[1]).read_text(encoding="utf-8"))
    elif words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets), command
    elif words[0] in ("python", "python3") and words[1].endswith(".py"):
        runpy.run_path(words[1], run_name="__main__")
    else:
        assert words[:2] in (["pip", "install"], ["git", "clone"]), f"cannot try: {command}"


def test_the_readme_works_from_top_to_bottom(folder, capsys):
    names: dict[str, object] = {}
    done = []
    printed = ""
    for kind, text in steps(README):
        if kind == "text":
            assert expected(text).fullmatch(plain(printed)), f"{text}\nis not\n\n{plain(printed)}"
            printed = ""
            continue
        if kind == "shell":
            run_shell(text)
        else:
            exec(compile(text, "README.md", "exec"), names)
        out, progress = capsys.readouterr()
        printed += progress + out
        done.append(text)
    assert not printed, "output that the README does not show"
    verbs = {shlex.split(text)[1] for text in done if text.startswith("molweave ")}
    assert {"fit", "predict", "evaluate", "embed", "info"} <= verbs
    assert any("Predictor" in text for text in done)


def test_the_demo_runs_the_commands_of_the_readme():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    places = {"$(BBBP)": "bbbp.csv", "$(MODEL)": "bbbp-model", " --overwrite": ""}
    places |= {"examples/new_molecules.csv": "new.csv", "demo/predictions.csv": "predictions.csv"}
    demo = re.findall(r"^\t\$\(OFFLINE\) (.+)$", makefile, re.MULTILINE)
    assert len(demo) == 2
    for command in demo:
        for place, plain in places.items():
            command = command.replace(place, plain)
        assert ("shell", f"molweave {command}") in list(steps(README))


def options_of(verb: str, capsys) -> set[str]:
    app.run([verb, "--help"])
    return set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))


def test_every_option_that_the_readme_names_exists(capsys):
    verbs = ("fit", "predict", "embed", "evaluate", "info", "check", "doctor")
    known = {"--version"}.union(*(options_of(verb, capsys) for verb in verbs))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named
    assert named <= known


def test_every_page_that_the_readme_links_to_exists():
    prose = FENCE.sub("", README)
    links = [link for link in re.findall(r"\]\(([^)#]+)", prose) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    named = re.findall(r"`((?:examples|src|docs|benchmarks)/[\w./-]+)`", prose)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_steps_are_found_in_every_kind_of_block():
    text = (
        "```console\n$ molweave a \\\n  b\nits output\n$ molweave c\n```\n"
        "```bash\n# why\nmolweave d  # because\n\nmolweave e \\\n  f\n```\n"
        "```python\nx = 1\n```\n```text\nmolweave not\n```\n```\nmolweave neither\n```\n"
    )
    assert list(steps(text)) == [
        ("shell", "molweave a    b"),
        ("shell", "molweave c"),
        ("shell", "molweave d"),
        ("shell", "molweave e    f"),
        ("python", "x = 1\n"),
        ("text", "molweave not\n"),
    ]


@pytest.mark.parametrize(
    ("block", "printed", "same"),
    [
        ("p  0.719 -\n", "p 0.5 -\n", True),
        ("p  0.719 -\n", "p - -\n", False),
        ("in 0.5 s (206 rows/s)\n", "in 12.0 s (1,031 rows/s)\n", True),
        ("20 rows\n", "21 rows\n", False),
        ("5.1 %\n", "5.2 %\n", False),
        ("a\nc\n", "a\nb\nc\n", False),
        ("a\n...\nc\n", "a\nb\nb\nc\n", True),
        ("a\n...\nc\n", "a\nc\n", False),
        ("a; do ...\n", "a; do this\n", True),
        ("a; do ...\n", "b; do this\n", False),
        ("a\n", "a\nb\n", False),
    ],
)
def test_output_is_compared_but_for_what_varies(block, printed, same):
    assert bool(expected(block).fullmatch(plain(printed))) is same
