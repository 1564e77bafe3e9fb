"""Test 11: the wall clock of the machine jumps, or a worker's is wrong; nobody's shard is taken for that."""

import shutil
import subprocess
import time

import pytest

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
    const char *path = getenv("CLOCK_OFFSET_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    long seconds = 0;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, at);
    if (code == 0 && id == CLOCK_REALTIME) at->tv_sec += offset();
    return code;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int code = real(at, zone);
    if (code == 0) at->tv_sec += offset();
    return code;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the clock shim: apt-get install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "clock.c").write_text(SHIM)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", folder / "clock.so", folder / "clock.c", "-ldl"], check=True
    )
    return folder / "clock.so"


def shimmed(shim, offset_file):
    return {"LD_PRELOAD": str(shim), "CLOCK_OFFSET_FILE": str(offset_file)}


@pytest.mark.parametrize("hours", [1, -1])
def test_the_machines_clock_jumps(stack, shim, tmp_path, hours):
    """Everybody on the machine sees the jump at once; SQLite tells leases by that clock."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    environment = shimmed(shim, offset)
    for name in ("one", "two"):
        stack.start_reconciler(name, **environment)
    stack.start_worker(**environment)
    analysis = stack.submit(prompts=8, samples=5, seconds=0.15)
    stack.until(stack.running, "a sample shard runs")
    offset.write_text(str(hours * 3600))
    stack.injected()
    stack.until(lambda: "clock_jumped" in stack.logs(), "a reconciler notices")
    stack.until(lambda: stack.shards(state="DONE", work="sample"), "work goes on")
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert set(stack.outcomes()) == {"done"}, "nobody lost a lease"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hours", [2, -2])
def test_a_workers_own_clock_is_wrong(stack, shim, tmp_path, hours):
    """Leases are told by the database's clock: a worker two hours off neither steals nor loses."""
    offset = tmp_path / "offset"
    offset.write_text(str(hours * 3600))
    stack.start_reconciler()
    stack.start_worker("right")
    stack.start_worker("wrong", **shimmed(shim, offset))
    stack.injected()
    analysis = stack.submit(prompts=12, prompts_per_shard=1, samples=5, seconds=0.1)
    stack.until(lambda: len({s.owner for s in stack.shards(work="sample") if s.owner}) == 2, "both work")
    stack.ends(analysis)
    stack.assert_exact(analysis)
    assert set(stack.outcomes()) == {"done"}
    assert all(abs(s.started_at / 1e6 - time.time()) < 600 for s in stack.shards() if s.started_at)
