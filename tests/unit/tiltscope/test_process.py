import os
import signal
import subprocess
import sys
import time

from tiltscope.process import RAPID_DEATHS, ChildProcess


def child(tmp_path, code, deaths=None):
    command = [sys.executable, "-c", code]
    on_death = (lambda boot: None) if deaths is None else deaths.append
    return ChildProcess("part", command, dict(os.environ), tmp_path / "part.log", on_death)


def until(condition):
    give_up_at = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def test_a_dead_child_is_restarted_under_a_new_boot_id(tmp_path):
    deaths = []
    part = child(tmp_path, "import time; time.sleep(600)", deaths)
    part.start()
    first, pid = part.boot_id, part.pid
    assert not part.revive()
    os.kill(pid, signal.SIGKILL)
    until(lambda: part.pid is None)
    assert part.revive()
    assert deaths == [first]
    assert part.boot_id != first
    assert part.pid not in (None, pid)
    part.terminate()
    part.wait(30)
    assert part.pid is None


def test_a_child_that_cannot_start_is_hopeless_and_its_log_says_why(tmp_path):
    part = child(tmp_path, "raise SystemExit('no such database')")
    part.start()
    for _ in range(RAPID_DEATHS):
        assert not part.is_hopeless
        until(lambda: part.pid is None)
        part.revive()
    assert part.is_hopeless
    part.wait(30)
    assert "no such database" in part.last_words()


def test_a_child_stands_back_with_all_that_it_starts(tmp_path):
    code = "import subprocess; print(subprocess.check_output(['nice'], text=True), flush=True)"
    command = [sys.executable, "-c", code]
    part = ChildProcess("part", command, dict(os.environ), tmp_path / "part.log", niceness=3)
    part.start()
    part.wait(30)
    assert int(part.last_words()) == os.nice(0) + 3


def test_a_child_does_not_outlive_a_killed_parent(tmp_path):
    pid_file = tmp_path / "pid"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys, time, pathlib\n"
            "from tiltscope.process import ChildProcess\n"
            "command = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
            "part = ChildProcess('part', command, dict(os.environ),"
            f" pathlib.Path({str(tmp_path / 'log')!r}))\n"
            "part.start()\n"
            f"pathlib.Path({str(pid_file)!r}).write_text(str(part.pid))\n"
            "time.sleep(600)\n",
        ]
    )
    until(lambda: pid_file.exists() and pid_file.read_text())
    pid = int(pid_file.read_text())
    os.kill(pid, 0)
    parent.kill()
    parent.wait()
    until(lambda: is_gone(pid))


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
