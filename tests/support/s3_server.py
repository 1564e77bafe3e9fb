"""An S3-compatible server in this process, and a bucket on it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer


class S3Server:
    """A running server.

    Args:
        endpoint: Its URL.
    """

    def __init__(self, endpoint: str) -> None:
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def new_bucket(self) -> str:
        """Address of an empty store."""
        name = f"b{uuid4().hex}"
        with patch.dict("os.environ", self.environment):
            self.client().create_bucket(Bucket=name)
        return f"s3://{name}/artefacts"

    def client(self) -> "boto3.client":
        """Somebody else's way to the same objects."""
        env = self.environment
        return boto3.client(
            "s3",
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Start a server on a free port, and stop it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield S3Server(f"http://{host}:{port}")
    finally:
        server.stop()
