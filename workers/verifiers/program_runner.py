"""What runs inside the sandbox: a program, then its tests, in one namespace. Standard library only.

It is given to the sandbox's interpreter as text, since nothing of this package is visible in there.
"""

import json
import os
import resource
import sys
from typing import Any


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a program and its tests.

    Returns:
        `{"passed": nonce}`; `{"syntax": where}` if there is no program; `{"failed": what}` otherwise.
    """
    namespace: dict[str, Any] = {"__name__": "program", "PROGRAM": request["program"]}
    try:
        code = compile(request["program"], "program", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return {"syntax": type(error).__name__}
    for name, part in (("program", code), ("tests", request["tests"])):
        try:
            exec(part, namespace)
        except BaseException as error:  # SystemExit too: a program that leaves has not passed
            return {"failed": f"{type(error).__name__} in the {name}"}
    return {"passed": request["nonce"]}


def main() -> None:
    """Read a request from stdin, answer on what was stdout, and see that nothing else gets there."""
    request = json.loads(sys.stdin.buffer.read())
    replies = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for name, limit in request["limits"].items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    replies.write(json.dumps({"started": True}) + "\n")
    replies.flush()
    replies.write(json.dumps(run(request)) + "\n")
    replies.flush()
    os._exit(0)  # threads that the program left behind do not hold the answer back


if __name__ == "__main__":
    main()
