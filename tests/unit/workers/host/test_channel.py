import contextlib
import io
import subprocess
import sys

import psutil
from hypothesis import given
from hypothesis import strategies as st

from workers.host.channel import Channel
from workers.host.protocol import decode, encode

ANALYSIS = {"id": "anl_1", "revision": 1, "spec": {}}

words = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), words))
def test_a_message_is_one_line_and_comes_back(message):
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_a_late_abort_does_not_stop_the_next_shard():
    heard = Channel(io.BytesIO(), io.BytesIO())
    heard._take({"op": "run", "shard": 1, "analysis": ANALYSIS})
    heard._take({"op": "abort"})
    assert heard.aborted()
    heard._take({"op": "run", "shard": 2, "analysis": ANALYSIS})
    assert not heard.aborted()
    assert [heard.next_run()["shard"], heard.next_run()["shard"]] == [1, 2]


def test_prints_cannot_corrupt_the_protocol_and_children_do_not_read_it():
    code = (
        "import os, subprocess, sys\n"
        "from workers.host.channel import Channel\n"
        "channel = Channel.over_standard_streams()\n"
        "print('noise'); sys.stdout.flush(); os.write(1, b'more noise\\n')\n"
        "seen = subprocess.run(['cat'], capture_output=True).stdout.decode()\n"
        "channel.send({'event': 'ready', 'seen': seen})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b'{"op":"x"}\n', capture_output=True, check=True
    )
    assert done.stdout == b'{"event":"ready","seen":""}\n'
    assert b"noise" in done.stderr


def test_the_end_of_stdin_ends_the_process_and_its_children():
    code = (
        "import os, subprocess, sys, time\n"
        "from workers.host.channel import Channel\n"
        "child = subprocess.Popen(['sleep', '3600'])\n"
        "channel = Channel.over_standard_streams()\n"
        "channel.listen()\n"
        "channel.send({'child': child.pid})\n"
        "time.sleep(3600)\n"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    child = decode(host.stdout.readline())["child"]
    host.stdin.close()
    assert host.wait(60) == -9
    assert host.stdout.read() == b""
    host.stdout.close()
    assert _is_gone(child)


def _is_gone(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(60)
    return not psutil.pid_exists(pid)
