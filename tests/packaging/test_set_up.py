"""The two commands: what they ask of a machine, and that CI runs them with every window."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from napari_maskvit.cli.checks import WINDOW_LIBRARIES

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell is wanted")


def sh(script: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=cwd,
        env={"HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout without an environment, and a PATH of chosen commands only."""
    (tmp_path / "tools").mkdir()
    script = (ROOT / "tools/set-up").read_text()
    (tmp_path / "tools/set-up").write_text(script)
    (tmp_path / "bin").mkdir()
    for command in ("cat", "dirname", "find", "sh", "tr"):
        found = next(p for p in (Path("/usr/bin"), Path("/bin")) if (p / command).exists())
        (tmp_path / "bin" / command).symlink_to(found / command)
    return tmp_path


def stand_in(folder: Path, command: str, script: str) -> None:
    path = folder / "bin" / command
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_doctor_and_set_up_name_the_same_libraries() -> None:
    script = (ROOT / "tools/set-up").read_text()
    listed = dict(re.findall(r"^(lib\S+\.so\.\d+) (\S+?)'?$", script, re.MULTILINE))
    assert listed == WINDOW_LIBRARIES


def test_no_python_is_said_in_a_sentence(bare: Path) -> None:
    done = sh("sh tools/set-up test", bare, PATH=str(bare / "bin"))
    assert done.returncode == 1
    assert "No Python 3.11 or newer was found" in done.stderr
    assert "PYTHON=/path/to/python3" in done.stderr


def test_an_old_python_is_not_taken(bare: Path) -> None:
    stand_in(bare, "python3", "exit 1")
    done = sh("sh tools/set-up test", bare, PATH=str(bare / "bin"))
    assert done.returncode == 1
    assert "No Python 3.11 or newer" in done.stderr


def test_without_root_it_prints_the_one_line_and_stops(bare: Path) -> None:
    stand_in(bare, "python3", f'exec "{sys.executable}" "$@"')
    stand_in(bare, "apt-get", "echo apt-get was called; exit 1")
    stand_in(bare, "ldconfig", "echo '  libGL.so.1 (libc6,x86-64) => /usr/lib/libGL.so.1'")
    stand_in(bare, "id", "echo 1000")
    done = sh("sh tools/set-up test", bare, PATH=str(bare / "bin"))
    assert done.returncode == 1
    assert "apt-get was called" not in done.stdout
    (line,) = [one for one in done.stderr.splitlines() if "sudo apt-get" in one]
    assert "xvfb xauth" in line
    assert "libegl1" in line
    assert "libgl1 " not in line
    assert not (bare / ".venv").exists()


def test_a_demo_without_display_asks_for_no_window_libraries(bare: Path) -> None:
    stand_in(bare, "python3", f'[ "$2" = venv ] && exit 7; exec "{sys.executable}" "$@"')
    stand_in(bare, "apt-get", "exit 1")
    stand_in(bare, "ldconfig", "")
    stand_in(bare, "id", "echo 1000")
    done = sh("sh tools/set-up demo", bare, PATH=str(bare / "bin"))
    assert "sudo apt-get" not in done.stderr
    assert done.returncode == 7, done.stderr


def test_every_script_parses() -> None:
    for script in ("tools/set-up", "tools/on-a-screen"):
        assert subprocess.run(["/bin/sh", "-n", ROOT / script], check=False).returncode == 0
        assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=False).returncode == 0
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_no_host_and_no_path_of_one_machine() -> None:
    for name in ("tools/set-up", "tools/on-a-screen", "Makefile", ".ci/run", "pyproject.toml"):
        text = (ROOT / name).read_text()
        assert "://" not in text, name
        assert not re.search(r"/(home|root|work|opt)/", text), name


WINDOW_TESTS = {
    "passes": ("def test_it(qapp): pass", 0),
    "skipped": ("import pytest\ndef test_it(qapp): pytest.skip('no OpenGL')", 1),
    "skipped by marker": (
        "import pytest\n@pytest.mark.window\n@pytest.mark.skip\ndef test_it(): pass",
        1,
    ),
    "none": ("def test_it(): pass", 1),
    "expected to fail": (
        "import pytest\n@pytest.mark.xfail\ndef test_other(qapp): assert 0\n"
        "def test_it(qapp): pass",
        0,
    ),
}


@pytest.mark.parametrize("case", WINDOW_TESTS)
def test_a_skipped_window_fails_the_run(case: str, tmp_path: Path) -> None:
    body, expected = WINDOW_TESTS[case]
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text())
    (tests / "test_case.py").write_text(body)
    # A fixture of that name is enough to be taken for a window.
    (tests / "plain_qapp.py").write_text("import pytest\n@pytest.fixture\ndef qapp(): return 1\n")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\ntestpaths = ['tests']\nmarkers = ['window: x']\n"
        "pythonpath = ['tests']\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "plain_qapp"]
    environment = {**os.environ, "DISPLAY": ":0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, "--windows-required"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tests)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    assert ("FAILED --windows-required" in done.stdout) == bool(expected)
