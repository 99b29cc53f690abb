import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
import torch

import molweave
from molweave.cli import app
from molweave.errors import UserError

COMMAND = [sys.executable, "-m", "molweave"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fti", "no such command 'fti'. Did you mean 'fit'?; see molweave --help"),
        ("fit", "missing argument 'DATA'; see molweave fit --help"),
        ("fit x.csv -t y", "missing option '--out'"),
        ("fit x.csv -t y -o m", "x.csv: no such file"),
        ("fit x.csv -t y -o m --epoch 3", "no such option: --epoch (Possible options: --epochs"),
        ("fit x.csv -t y -o m --epochs few", "--epochs takes a whole number; found 'few'; see"),
        ("fit x.csv -t y -o m --epochs 2.5", "--epochs takes a whole number; found '2.5'; see"),
        ("fit x.csv -t y -o m --learning-rate low", "--learning-rate takes a number; found 'low'"),
        ("fit x.csv -t y -o m --seed -3", "--seed must be at least 0; found "),
        ("fit x.csv -t y,z -o m --preset tiny", "has the presets"),
        ("fit x.csv -t y -o m --split rndom", "unknown split 'rndom': use scaffold, scaffold-bal"),
        ("fit x.csv -t y -o m --conformers no", "conformers must be one of"),
        ("fit x.csv -t y -o m --standardize no", "unknown standardi"),
        ("fit x.csv -t y -o m --kind class", "unknown kind of task 'class'"),
        ("fit x.csv -t y -o m --max-time 5", "--max-time takes a time"),
        ("fit x.csv -t y -o m --without kk", "--without is one of kl, mmd, align, orth, rec"),
        ("fit x.csv -t y -o m --set width", "--set takes name=value"),
        ("fit x.csv -t y -o m --set fusion=mean --fusion mean", "fusion is given twice"),
        ("fit x.csv -t y -o m --split random --split-column p", "exclude each other"),
        ("predict m", "predict takes either DATA or --smiles"),
        ("predict m x.csv --smiles C", "predict takes either DATA or --smiles"),
        ("predict m --smiles C --smiles-column s", "--smiles-column names a column of DATA"),
        ("predict m x.csv --json", "give --out a file"),
        (
            "fit x.csv -t y -o m --modalities graph --set modality_dropout=0.5",
            "modality_dropout does nothing with modalities=graph; leave it out",
        ),
        (
            "fit x.csv -t y -o m --modalities graph --without align",
            "align does nothing with modalities=graph; leave it out",
        ),
        (
            "fit x.csv -t y -o m --modalities geometry --conformers none",
            "conformers is 'none', which leaves no view: geometry needs 3D structures",
        ),
        (
            "fit x.csv -t y -o m --modalities graph,sequence --conformers generate",
            "conformers 'generate' does nothing: none of graph, sequence needs 3D structures",
        ),
        (
            "fit x.csv -t y -o m --set modalities=graph --modalities sequence",
            "modalities is given twice: by the option modalities and by a setting",
        ),
        (
            "pretrain x -o m --method mmsa --set views=graph --modalities graph",
            "views is given twice: by the option modalities and by a setting",
        ),
        ("predict m x.csv", "m is not a model folder"),
        ("info ''", "the name of the model or encoder is empty; give a folder"),
        ("predict '' x.csv", "the name of the model or encoder is empty; give a folder"),
        (
            "embed ' ' x.csv -o v.parquet",
            "the name of the model or encoder is empty; give a folder",
        ),
        ("explain-memory '' -o m.html", "the name of the model or encoder is empty"),
        ("explain-memory m -o m.csv", "m.csv: the page is HTML; give a name that ends in .html"),
        (
            "predict moleblend-small x.csv",
            "moleblend-small is a pre-trained encoder that ships, not",
        ),
        ("evaluate moleblend-small x.csv", "a fitted model; fit --from and embed take it"),
        ("info m", "m is neither a folder nor an encoder that ships"),
        ("check x.csv", "x.csv: no such file"),
        ("check ''", "the name of the input is empty; give a file"),
        ("fit '' -t y -o m", "the name of the input is empty; give a file"),
        ("prepare '' --out m", "the name of the corpus is empty; give a file or a folder"),
        ("check x.csv --overwrite", "no such option: --overwrite"),
        ("doctor now", "got unexpected extra argument"),
    ],
)
def test_mistakes_of_the_user_are_one_line_and_code_2(cli, line, message):
    result = cli(*shlex.split(line))
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert message in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("words", [("fit", "-o", "m"), ("check",)])
def test_a_target_without_a_name_is_refused(cli, table, words):
    result = cli(*words, table, "-t", ",")
    assert (result.code, result.err) == (2, "error: --target names no column; found ','\n")


@pytest.fixture
def failing(monkeypatch):
    """Make every command raise."""

    def make(error: BaseException) -> None:
        def fail(arguments: list[str]) -> int:
            raise error

        monkeypatch.setattr(app, "_dispatch", fail)

    return make


def test_a_message_of_several_lines_becomes_one(cli, failing):
    failing(UserError("first\n  second"))
    assert cli("info", "m") == (2, "", "error: first second\n")


def test_a_bug_is_not_hidden(cli, failing):
    failing(ZeroDivisionError("division by zero"))
    with pytest.raises(ZeroDivisionError):
        cli("info", "m")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), ""),
        (MemoryError("Unable to allocate 8.5 GiB"), " (Unable to allocate 8.5 GiB)"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), " (CUDA out of memory)"),
    ],
)
def test_memory_that_ran_out_is_one_line_and_code_2(cli, failing, error, told):
    failing(error)
    code, _, err = cli("doctor")
    assert code == 2
    assert err.startswith(f"error: memory ran out{told}; lower batch_size where")
    assert err.count("\n") == 1


def test_an_interruption_is_one_line_and_code_130(cli, failing):
    failing(KeyboardInterrupt())
    assert cli("info", "m") == (130, "", "interrupted\n")
    failing(KeyboardInterrupt("go on with --resume"))
    assert cli("fit", "m") == (130, "", "interrupted; go on with --resume\n")


def test_no_arguments_show_the_help(cli):
    assert cli() == cli("--help")
    assert "evaluate" in cli().out
    assert cli().code == 0


def test_version(cli):
    assert cli("--version") == (0, f"molweave {molweave.__version__}\n", "")


def test_aliases_work_but_are_not_shown(cli):
    words = cli("--help").out.split()
    assert "train" not in words
    assert "fingerprint" not in words
    assert "--epochs" in cli("train", "--help").out
    assert "--out" in cli("fingerprint", "--help").out


@pytest.mark.parametrize("verb", ["fit", "predict", "embed", "evaluate", "info", "check", "doctor"])
def test_every_option_is_described_once(cli, verb):
    text = cli(verb, "--help").out
    names = [word for word in text.split() if word.startswith("--") and word != "--"]
    assert len(names) == len(set(names))


def test_a_reader_that_stops_reading_is_not_an_error(table):
    """As in ``molweave ... | head``; the pipe's reading end is closed from the start."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [*COMMAND, "check", table], stdout=closed, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("stop", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_with_one_line(tmp_path, stop, code, word):
    """The command waits for standard input when the signal comes."""
    with subprocess.Popen(
        [*COMMAND, "check", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        cwd=tmp_path,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if b"molweave.chem.read" in line:
                break
        process.send_signal(stop)
        _, err = process.communicate()
    assert process.returncode == code
    assert b"Traceback" not in err
    assert err.decode().splitlines()[-1] == word


INTERRUPTED_IN = {
    "a loop": "spin()",
    "a system call": "os.read(os.pipe()[0], 1)",
    "rdkit": "while True: mol.HasSubstructMatch(mol)",
}


@pytest.mark.parametrize("where", INTERRUPTED_IN)
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_arrives_although_rdkit_takes_the_handler(where, name):
    script = f"""
import os, signal, threading
from rdkit import Chem
from molweave.cli.interrupt import relay_interrupts, relay_termination

def spin():
    while True:
        os.getpid()

relay_interrupts()
relay_termination()
mol = Chem.MolFromSmiles("c1ccccc1O")
mol.HasSubstructMatch(mol)
threading.Timer(0.2, os.kill, (os.getpid(), signal.{name})).start()
try:
    {INTERRUPTED_IN[where]}
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_a_process_that_ignores_control_c_goes_on_ignoring_it():
    script = """
import os, signal
from molweave.cli.interrupt import relay_interrupts

signal.signal(signal.SIGINT, signal.SIG_IGN)
relay_interrupts()
os.kill(os.getpid(), signal.SIGINT)
print("still here")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "still here\n")


PRELUDE = """
import os, signal, subprocess, sys
from molweave.cli.interrupt import relay_interrupts, relay_termination, was_terminated

def send():
    os.kill(os.getpid(), signal.SIGTERM)

def terminated():
    try:
        send()
    except KeyboardInterrupt:
        return True
    return False
"""
TERMINATIONS = {
    "with interrupts": "relay_interrupts(); relay_termination(); print(terminated())",
    "with interrupts ignored": """
signal.signal(signal.SIGINT, signal.SIG_IGN)
relay_interrupts(); relay_termination(); print(terminated())
""",
    "while interrupts are held": """
signal.signal(signal.SIGINT, lambda *_: print(was_terminated()))
relay_termination(); send()
""",
    "twice": "relay_termination(); print(terminated() and not terminated())",
    "where it is ignored": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
relay_termination(); print(not terminated() and not was_terminated())
""",
    "in a forked child": """
relay_interrupts(); relay_termination()
child = os.fork()
if not child:
    terminated(); os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM)
""",
    "in another program": """
relay_interrupts(); relay_termination()
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
child.terminate(); print(child.wait() == -signal.SIGTERM)
""",
}


@pytest.mark.parametrize("case", TERMINATIONS)
def test_termination(case):
    script = PRELUDE + TERMINATIONS[case]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_the_help_lists_the_exit_codes(cli):
    text = " ".join(cli("--help").out.split())
    for code in (app.USER_ERROR, app.INTERRUPTED, app.BROKEN_PIPE, app.TERMINATED):
        assert re.search(rf"Exit codes: .*\b{code} ", text)
