"""How the numbers of a chunk become the bytes of its file, as the metadata of its array tell every reader of Zarr."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qbsweep.store.chunks import BYTES
from qbsweep.store.seals import closed

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODEC: "Mapping[str, Any]" = {"cname": "lz4", "clevel": 5, "shuffle": 1}


def codecs(variable: str) -> dict[str, Any]:
    """Return what Zarr has to know of the encoding of a variable."""
    import zarr.codecs

    blosc = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle=zarr.codecs.BloscShuffle.shuffle)
    crc = zarr.codecs.Crc32cCodec()
    return {"compressors": [crc] if variable in BYTES else [blosc, crc]}


def encode(variable: str, values: NDArray[Any]) -> bytes:
    """Return the content of a file for the values of a whole chunk."""
    if variable in BYTES:
        return closed(np.ascontiguousarray(values).tobytes())
    from numcodecs.blosc import Blosc

    return closed(bytes(Blosc(**_CODEC).encode(np.ascontiguousarray(values))))


def decode(variable: str, content: bytes | memoryview, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the values in the content of a file; the caller has checked it."""
    body = content[:-4]
    if variable not in BYTES:
        from numcodecs.blosc import decompress

        body = decompress(bytes(body))
    return np.frombuffer(body, dtype).reshape(shape)
