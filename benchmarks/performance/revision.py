"""The commit that a benchmark runs on."""

import subprocess
from pathlib import Path

WITH_CHANGES = " with changes"


def revision(folder: Path) -> str:
    """The short hash of the commit checked out, "with changes" if files differ from it.

    What lies in ``docs`` does not count: the page and its figures are written there, and nothing is run
    from there.

    Args:
        folder: In the working tree.

    Returns:
        The hash; "no commit" outside a repository.
    """
    commit = _git(folder, "rev-parse", "--short", "HEAD")
    if commit is None:
        return "no commit"
    changed = _git(folder, "status", "--porcelain", "--", ":/", ":(exclude,top)docs")
    return commit + (WITH_CHANGES if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None if it fails or is not there."""
    try:
        found = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
