"""Entries of ZIP files, compressed with zstd too, which the standard library learnt in Python 3.14 only."""

import io
import struct
import zipfile
from typing import IO, Final

import pyarrow as pa

from workers.importers.record import ImportFault

ZSTANDARD: Final = 93
MAX_ENTRY_BYTES: Final = 256 << 20
"""Of one sample, inflated: beyond it the file is something else."""

_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")


def entry(archive: zipfile.ZipFile, file: IO[bytes], name: str) -> bytes:
    """The content of an entry.

    Args:
        archive: The opened archive.
        file: The file it is in.
        name: The entry's name.

    Raises:
        ImportFault: it is larger than anything sensible, or damaged.
    """
    info = archive.getinfo(name)
    if info.file_size > MAX_ENTRY_BYTES:
        raise ImportFault(f"the entry {name} inflates to more than {MAX_ENTRY_BYTES:,} bytes")
    try:
        if info.compress_type != ZSTANDARD:
            with archive.open(info) as opened:
                return _bounded(opened.read(MAX_ENTRY_BYTES + 1), name)
        file.seek(info.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
        file.seek(header[-2] + header[-1], io.SEEK_CUR)
        packed = pa.BufferReader(file.read(info.compress_size))
        with pa.CompressedInputStream(packed, "zstd") as opened:
            return _bounded(opened.read(MAX_ENTRY_BYTES + 1), name)
    except (OSError, EOFError, struct.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise ImportFault(f"the entry {name} cannot be read: {error}") from error


def _bounded(content: bytes, name: str) -> bytes:
    if len(content) > MAX_ENTRY_BYTES:
        raise ImportFault(f"the entry {name} inflates to more than {MAX_ENTRY_BYTES:,} bytes")
    return content
