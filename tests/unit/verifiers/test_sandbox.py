"""Programs that try to leave, to linger or to take too much, against a real bubblewrap."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from workers.errors import AnalysisFault
from workers.verifiers import sandbox as sandboxing
from workers.verifiers.means import Allowed, Means
from workers.verifiers.sandbox import DISK_BYTES, NOBODY, PROCESSES, Sandbox

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
MEMORY = 256 << 20


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return Sandbox()


def ending(sandbox, program, tests="", seconds=1.0, memory=MEMORY):
    return sandbox.run(program, tests, seconds=seconds, memory_bytes=memory)


def test_a_program_passes_by_its_tests(sandbox):
    program = "def add(a, b):\n    return a + b"
    assert ending(sandbox, program, "assert add(1, 2) == 3").passed
    found = ending(sandbox, program, "assert add(1, 2) == 4")
    assert (found.passed, found.detail) == (False, "AssertionError in the tests")
    assert ending(sandbox, "x = 1", "assert 'x = 1' in PROGRAM").passed


@pytest.mark.parametrize(
    "program",
    [
        "import os; os._exit(0)",
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "import os; os.kill(os.getpid(), 9)",
    ],
)
def test_a_program_that_leaves_before_its_tests_has_not_passed(sandbox, program):
    assert not ending(sandbox, program, "assert False").passed
    assert not ending(sandbox, program).passed


def test_the_word_for_passing_cannot_be_said_from_outside_the_run(sandbox):
    forged = (
        "import os\nfor fd in range(3, 20):\n    try:\n"
        '        os.write(fd, b\'{"passed": "x"}\\n\')\n    except OSError:\n        pass\n'
    )
    assert not ending(sandbox, forged + "os._exit(0)").passed


def test_text_that_is_no_program_is_said_to_be_none(sandbox):
    found = ending(sandbox, "The answer is 42.")
    assert (found.passed, found.is_program) == (False, False)
    assert not ending(sandbox, "(" * 100_000).is_program


def test_no_network(sandbox):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        reach = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)"
        assert not ending(sandbox, reach).passed
        with pytest.raises(TimeoutError):
            server.accept()
    assert ending(sandbox, "import socket\nassert [n for _, n in socket.if_nameindex()] == ['lo']").passed


def test_nothing_of_the_host_but_its_interpreter(sandbox, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    hidden = [canary, Path(__file__), Path("/etc/passwd"), Path("/etc/hostname"), Path.home()]
    see = f"import os\nassert not any(os.path.exists(p) for p in {[str(p) for p in hidden]!r})"
    assert ending(sandbox, see).passed
    assert not ending(sandbox, f"open({str(canary)!r}, 'w').write('x')").passed
    assert canary.read_text() == "untouched"
    for folder in ("/", "/usr", "/dev", "/dev/shm", "/proc"):
        assert not ending(sandbox, f"open('{folder}/canary', 'w')").passed
        assert not Path(folder, "canary").exists()


def test_no_environment_no_descriptors_no_privileges(sandbox, monkeypatch):
    monkeypatch.setenv("TILTSCOPE_SECRET_CANARY", "secret")
    with open(__file__) as held:
        os.set_inheritable(held.fileno(), True)
        check = (
            "import os\nassert not [n for n in os.environ if 'TILT' in n]\n"
            f"assert os.getuid() == {NOBODY}\n"
            "assert 'CapEff:\\t0000000000000000' in open('/proc/self/status').read()\n"
            "links = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if n != '0'"
            " and os.path.lexists(f'/proc/self/fd/{n}')]\n"
            "assert not [t for t in links if t.endswith('.py')], links"
        )
        found = ending(sandbox, check)
    assert found.passed, found


def test_only_its_own_processes_are_seen(sandbox):
    see = "import os\nassert len([n for n in os.listdir('/proc') if n.isdigit()]) <= 3"
    assert ending(sandbox, see).passed
    assert not ending(sandbox, f"import os\nos.kill({os.getpid()}, 0)").passed


def test_a_fork_bomb_is_small_and_gone(sandbox):
    bomb = "import os\nfor _ in range(1000):\n    os.fork()"
    assert not ending(sandbox, bomb).passed
    count = (
        "import os, time\nchildren = 0\ntry:\n    while True:\n"
        "        if os.fork() == 0:\n            time.sleep(30)\n            os._exit(0)\n"
        "        children += 1\nexcept BlockingIOError:\n    pass\n"
        f"assert 1 <= children < {PROCESSES}"
    )
    assert ending(sandbox, count).passed
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "What runs inside the sandbox" not in left


def test_memory_is_limited(sandbox):
    found = ending(sandbox, "x = bytearray(1 << 30)")
    assert (found.passed, found.detail) == (False, "MemoryError in the program")


def test_disk_is_limited(sandbox):
    fill = (
        "total = 0\nfor n in range(100):\n    with open(f'/tmp/{n}', 'wb') as f:\n"
        "        f.write(bytes(1 << 20))\n    total += 1\n"
    )
    assert not ending(sandbox, fill).passed
    guarded = f"try:\n    exec({fill!r})\nexcept OSError:\n    pass\nassert total * (1 << 20) <= {DISK_BYTES}"
    assert ending(sandbox, guarded).passed


@pytest.mark.parametrize("program", ["while True: pass", "9**9**9", "'a' * 10**8 + 'b' * 10**12"])
def test_time_is_limited(sandbox, program):
    assert not ending(sandbox, program).passed


def test_a_sleeper_is_woken_and_its_children_with_it(sandbox, monkeypatch):
    monkeypatch.setattr(sandboxing, "WALL_FACTOR", 0.0)
    monkeypatch.setattr(sandboxing, "WALL_SLACK_SECONDS", 2.0)
    found = ending(sandbox, "import os, time\nos.fork()\ntime.sleep(600)")
    assert "not finished within 2 s" in found.detail


def test_a_flood_of_output_goes_nowhere(sandbox):
    assert ending(sandbox, "print('x' * 10_000_000)\nimport sys; sys.stderr.write('y' * 10_000_000)").passed


def test_no_namespaces_within(sandbox):
    nest = "import ctypes\nassert ctypes.CDLL(None).unshare(0x10000000) == 0"
    assert not ending(sandbox, nest).passed


def test_threads_left_behind_do_not_hold_the_answer_back(sandbox):
    lingering = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    assert ending(sandbox, lingering).passed


def test_without_bubblewrap_the_signal_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(AnalysisFault, match="install the package bubblewrap") as fault:
        Means(Allowed(python=True)).sandbox()
    assert fault.value.code == "sandbox_unavailable"


def test_where_no_namespace_can_be_made_the_signal_is_refused(monkeypatch):
    monkeypatch.setattr(sandboxing, "_talk", lambda *_: ([], False))
    with pytest.raises(AnalysisFault, match="cannot make a sandbox"):
        Sandbox()


def test_unless_the_operator_allows_it_nothing_runs():
    with pytest.raises(AnalysisFault, match="TILTSCOPE_PYTHON_SIGNAL=1"):
        Means().sandbox()
