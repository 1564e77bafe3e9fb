import os
import signal
import sys
import time

import psutil
import pytest

from ledger.states import Work
from workers.host.protocol import READY
from workers.supervisor.engine_host import EngineHost, HostDied, host_environment


def start(code):
    return EngineHost([sys.executable, "-u", "-c", code], os.environ)


def events(host):
    found = []
    while True:
        try:
            event = host.receive(60)
        except HostDied as death:
            return found, death.detail
        assert event is not None, "nothing for a minute"
        found.append(event)


def test_everything_said_before_the_end_is_heard():
    host = start(
        'import os; print(\'{"event": "a"}\'); print(\'rubbish\'); print(\'{"event": "b"}\'); os._exit(3)'
    )
    assert events(host) == ([{"event": "a"}, {"event": "b"}], "exit code 3")
    with pytest.raises(HostDied):
        host.receive(0)


def test_a_signal_is_named():
    host = start("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert events(host)[1] == "killed by SIGSEGV"


def test_residency_is_remembered_and_a_leaver_is_not_used():
    host = start('import time; print(\'{"event":"failed","resident":["d1"],"fit":false}\'); time.sleep(3600)')
    assert host.usable
    assert host.receive(60)["event"] == "failed"
    assert host.resident == {"d1"}
    assert not host.usable
    host.kill()


def test_killing_takes_the_whole_group():
    code = "import subprocess, time; c = subprocess.Popen(['sleep', '3600']); "
    host = start(code + 'print(\'{"event":"c","pid":%d}\' % c.pid); time.sleep(3600)')
    child = psutil.Process(host.receive(60)["pid"])
    host.kill()
    child_gone(child)


def test_a_grandchild_that_holds_the_pipe_does_not_hide_the_death():
    code = "import os, subprocess; c = subprocess.Popen(['sleep', '3600'], close_fds=False, stdout=1)"
    host = start(code + '; print(\'{"event":"c","pid":%d}\' % c.pid); os._exit(4)')
    child = psutil.Process(host.receive(60)["pid"])
    give_up_at = time.monotonic() + 60
    detail = None
    while detail is None:
        assert time.monotonic() < give_up_at
        try:
            host.receive(0.05)
        except HostDied as death:
            detail = death.detail
    assert detail == "exit code 4"
    child_gone(child)


def test_sending_to_a_stopped_host_does_not_block():
    host = start('import time; print(\'{"event":"ready"}\'); time.sleep(3600)')
    assert host.is_ready(60)
    os.kill(host.pid, signal.SIGSTOP)
    for _ in range(4):
        host.send({"op": "run", "padding": "x" * 1_000_000})
    host.kill()


def test_closing_lets_a_host_end_by_itself():
    host = start('import sys; print(\'{"event":"ready"}\'); sys.stdin.read(); sys.exit(5)')
    assert host.receive(60) == {"event": READY}
    host.close()
    assert host._process.returncode == 5


def test_a_host_gets_no_secrets_and_its_threads():
    found = host_environment(
        {"TILTSCOPE_DATABASE_URL": "postgresql://u:p@h/d", "TILTSCOPE_REDIS_URL": "r", "PATH": "/bin"}, 2
    )
    assert not {"TILTSCOPE_DATABASE_URL", "TILTSCOPE_REDIS_URL"} & found.keys()
    assert (found["PATH"], found["OMP_NUM_THREADS"], found["HF_HUB_OFFLINE"]) == ("/bin", "2", "1")


def test_a_host_is_told_what_it_will_be_asked_for():
    found = host_environment({"TILTSCOPE_WORKS": "plan,sample"}, 1, works={Work.PLAN})
    assert found["TILTSCOPE_WORKS"] == "plan"
    assert host_environment({}, 1)["TILTSCOPE_WORKS"] == "finalise,plan,sample,score,verify"


def child_gone(child):
    try:
        child.wait(60)
    except psutil.NoSuchProcess:
        return
