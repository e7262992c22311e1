"""A node type of one's own: begun with `linkflow node new`, tried, packed, and found where it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linkflow.cli import main


def linkflow(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    assert linkflow("node", "new", "acme_greet", "--dir", str(folder)).exit_code == 0
    return folder


def test_what_is_begun_passes_its_own_test(package: Path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme_greet.py"],
        cwd=package, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_nothing_is_overwritten(package: Path):
    again = linkflow("node", "new", "acme_greet", "--dir", str(package))
    assert again.exit_code == 2
    assert linkflow("node", "new", "Not a name", "--dir", str(package)).exit_code == 2
    other = linkflow("node", "new", "acme_other", "--dir", str(package))
    assert other.exit_code == 0
    assert 'acme_other = "acme_other:node"' in other.stderr
    (package / "acme_other.py").unlink()
    (package / "test_acme_other.py").unlink()


def test_an_installed_package_adds_its_types(package: Path, tmp_path: Path):
    """Really installed, without an index, into a folder beside this environment."""
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(tmp_path), str(package)], check=True, capture_output=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = "from linkflow.cli import main; main()"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
        )

    tried = run("node", "test", "acme_greet")
    assert (tried.returncode, tried.stdout.count("ok")) == (0, 2), tried.stderr
    assert "acme_greet" in run("node", "list").stdout
    once = run("node", "test", "acme_greet", "--config", '{"name": "{{ input.x }}"}', "--input", '{"x": "Bob"}')
    assert '"Hello, Bob!"' in once.stdout
    assert "acme_greet" not in linkflow("node", "list").stdout  # only there
    assert run("node", "docs", "--check", str(Path(__file__).parents[3] / "docs" / "nodes")).returncode == 0


def test_a_file_is_tried(package: Path, tmp_path: Path):
    file = package / "acme_greet.py"
    assert linkflow("node", "test", str(file)).exit_code == 0
    broken = tmp_path / "broken.py"
    broken.write_text(file.read_text().replace("Hello, Ada!", "Goodbye, Ada!"))
    result = linkflow("node", "test", str(broken))
    assert result.exit_code == 1
    assert '-  "text": "Goodbye, Ada!"' in result.stdout
    empty = tmp_path / "empty.py"
    empty.write_text("")
    assert linkflow("node", "test", str(empty)).exit_code == 2


def test_one_input():
    result = linkflow("node", "test", "noop", "--input", '{"a": 1}')
    assert (result.exit_code, result.stdout) == (0, '{\n  "a": 1\n}\n')
    wrong = linkflow("node", "test", "noop", "--config", '{"a": 1}')
    assert wrong.exit_code == 1
    assert "/nodes/1/config/a" in wrong.stderr
    assert linkflow("node", "test", "merge", "--config", '{"mode": "combine"}', "--input", "3").exit_code == 1
    assert linkflow("node", "test", "noop", "--input", "{").exit_code == 2
    unknown = linkflow("node", "test", "lop")
    assert unknown.exit_code == 2
    assert "Did you mean loop?" in unknown.stderr


def test_looking_at_types():
    assert "action_http_request" in linkflow("node", "list").stdout
    assert linkflow("node", "list", "--json").stdout.startswith("[")
    shown = linkflow("node", "show", "logic_loop").stdout
    assert "| `max_items` |" in shown
    assert '"type": "loop"' in linkflow("node", "show", "loop", "--json").stdout
    assert linkflow("node", "show", "nope").exit_code == 2
    assert linkflow("node", "show", "loop", "--version", "9").exit_code == 2


def test_pages_are_written_and_checked(tmp_path: Path):
    folder = tmp_path / "nodes"
    assert linkflow("node", "docs", str(folder), "--check").exit_code == 1
    assert linkflow("node", "docs", str(folder)).exit_code == 0
    (folder / "gone.md").write_text("An old type.")
    assert linkflow("node", "docs", str(folder), "--check").exit_code == 1
    assert linkflow("node", "docs", str(folder)).exit_code == 0
    assert not (folder / "gone.md").exists()
    assert linkflow("node", "docs", str(folder), "--check").exit_code == 0
