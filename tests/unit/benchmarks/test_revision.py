"""An outcome names the commit it was measured on, and says when the code was not that commit's."""

import subprocess
from pathlib import Path

from benchmarks.performance.revision import revision


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    found = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_a_commit_and_what_differs_from_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "docs").mkdir(parents=True)
    (tree / "code").mkdir()
    for name in ("code/a.py", "docs/performance.md"):
        (tree / name).write_text("1\n")
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "-m", "first")
    commit = git(tree, "rev-parse", "--short", "HEAD")
    assert revision(tree / "code") == commit
    (tree / "docs" / "performance.md").write_text("2\n")  # what a report writes between two runs
    assert revision(tree / "code") == commit
    (tree / "code" / "a.py").write_text("2\n")
    assert revision(tree / "code") == f"{commit} with changes"
    git(tree, "checkout", "--quiet", "code")
    (tree / "b.py").write_text("1\n")
    assert revision(tree / "code") == f"{commit} with changes"


def test_no_commit_is_said(tmp_path: Path) -> None:
    assert revision(tmp_path) == "no commit"
