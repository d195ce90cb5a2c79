"""Compressed pixels of one slice → stored values (PS3.5, annex A.4).

The decoders are C libraries that believe what they read: a damaged code stream can make one ask for gigabytes, or
crash Python. So before one runs, the stream has to be whole as far as its markers tell, and its own header has to say
what the DICOM header says.
"""

import re

import numpy as np
import pydicom
import pydicom.encaps
import pydicom.pixels
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ich_jax.data.header import Refused

# Transfer syntax → who decodes it, the first that is installed. One alone: pydicom would try the next after a failure.
PLUGINS = (
    dict.fromkeys((JPEGLossless, JPEGLosslessSV1), ("gdcm",))
    | dict.fromkeys((JPEGLSLossless, JPEGLSNearLossless), ("pyjpegls", "gdcm"))
    | dict.fromkeys((JPEG2000Lossless, JPEG2000), ("pillow",))
    | {RLELossless: ("pydicom",)}
)
DECODERS = "pip install -r requirements-compressed.txt"
PRECISION = range(9, 17)  # bits of a stored value
MAX_TILES = 1024  # of a JPEG 2000 image
MAX_RLE_BYTES = 2**16  # beside what a slice that cannot be compressed takes, twice

# Markers of JPEG (ITU-T T.81, table B.1) and JPEG-LS (T.87, annex C).
SOF_LOSSLESS, SOF_JPEG_LS, HUFFMAN, RESTART_INTERVAL, PRESETS, SCAN, END = 0xC3, 0xF7, 0xC4, 0xDD, 0xF8, 0xDA, 0xD9
COMMENTS = (*range(0xE0, 0xF0), 0xFE)
RESTARTS = range(0xD0, 0xD8)
# In the data of a scan a byte of 255 is followed by 0 (JPEG) or by a bit that is 0 (JPEG-LS), unless it is a marker.
MARKER = {False: re.compile(rb"\xff+([^\x00\xff])", re.DOTALL), True: re.compile(rb"\xff+([\x80-\xfe])", re.DOTALL)}


def decompress(dataset: pydicom.Dataset, syntax: UID, rows: int, columns: int) -> np.ndarray:
    """The stored values, (rows, columns), of a data set with one frame of one sample.

    Raises Refused if the transfer syntax is not in PLUGINS, its decoder is missing, or the code stream does not fit
    the header or is damaged.
    """
    if syntax not in PLUGINS:
        raise Refused(f"has the transfer syntax {syntax.name}, which is not read; convert it to an uncompressed one")
    decoder = pydicom.pixels.get_decoder(syntax)
    plugins = [plugin for plugin in PLUGINS[syntax] if plugin in decoder.available_plugins]
    if not plugins:
        raise Refused(f"is compressed ({syntax.name}) and no decoder for it is installed: {DECODERS}")
    stream = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    signed = dataset.PixelRepresentation == 1
    if syntax == RLELossless:
        _require(len(stream) <= MAX_RLE_BYTES + 4 * rows * columns, "too long")
    elif syntax in (JPEG2000Lossless, JPEG2000):
        if _check_jpeg_2000(stream, rows, columns) and not signed:
            raise Refused("has signed values in the code stream and unsigned ones in the header")
    else:
        precision = _check_jpeg(stream, rows, columns, ls=syntax in (JPEGLSLossless, JPEGLSNearLossless))
        if signed and precision < dataset.BitsStored:
            bits = f"{dataset.BitsStored} bits of signed values and {precision} in the code stream"
            raise Refused(f"has {bits}, which does not say where the sign is")
    # What was looked at is decoded, and nothing else that the offset tables may lead to.
    for table in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(table, None)
    dataset.PixelData = pydicom.encaps.encapsulate([stream])
    try:
        return decoder.as_array(dataset, index=0, decoding_plugin=plugins[0])[0]
    except Exception:  # each decoder has its own
        raise Refused(f"has a damaged code stream ({syntax.name})") from None


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Refused(f"has a damaged code stream ({what})")


def _number(stream: bytes, place: int) -> int:
    return int.from_bytes(stream[place : place + 2], "big")


def _check_jpeg(stream: bytes, rows: int, columns: int, ls: bool) -> int:
    """Segment by segment up to the scan, then to the end of the image. Returns the bits of a value in the stream."""
    _require(stream[:2] == b"\xff\xd8", "start of image")
    place, frame, tables, restarts = 2, b"", set(), False
    while True:
        length = _number(stream, place + 2)
        end = place + 2 + length
        _require(stream[place : place + 1] == b"\xff" and length >= 2 and end <= len(stream), "segment")
        marker, content = stream[place + 1], stream[place + 4 : end]
        if marker == (SOF_JPEG_LS if ls else SOF_LOSSLESS):
            size = _number(content, 1), _number(content, 3)
            _require(not frame and len(content) == 9 and content[0] in PRECISION, "frame header")
            _require(size == (rows, columns) and content[5] == 1 and content[7] == 0x11, "its size is not the header's")
            frame = content
        elif marker == HUFFMAN and not ls:
            tables |= _huffman_tables(content)
        elif marker == RESTART_INTERVAL:
            _require(len(content) == 2, "restart interval")
            restarts = content != b"\0\0"
        elif marker == SCAN:
            break
        else:
            presets = ls and marker == PRESETS and len(content) == 11 and content[0] == 1
            _require(marker in COMMENTS or presets, f"marker {marker:02X}")
        place = end
    _require(bool(frame) and len(content) == 6 and content[:2] == bytes([1, frame[6]]), "scan header")
    if not ls:
        _require(content[2] >> 4 in tables and 1 <= content[3] <= 7, "scan header")
    _require(content[4:] == b"\0\0", "scan header")
    for found in MARKER[ls].finditer(stream, end):
        if found[1][0] == END:
            return frame[0]
        _require(restarts and found[1][0] in RESTARTS, "marker in the scan")
    raise Refused("has a damaged code stream (no end of image)")


def _huffman_tables(content: bytes) -> set[int]:
    """The numbers of the tables that a segment defines. A value is a number of bits, 0 to 16 (T.81, H.1.2.2)."""
    numbers, place = set(), 0
    while place < len(content):
        counts = content[place + 1 : place + 17]  # of the codes with 1, 2, … 16 bits
        end = place + 17 + sum(counts)
        values = content[place + 17 : end]
        room = sum(count << (15 - bits) for bits, count in enumerate(counts))
        _require(content[place] < 4 and 1 <= sum(counts) <= 17 and end <= len(content), "Huffman table")
        _require(max(values) <= 16 and room <= 1 << 16, "Huffman table")
        numbers.add(content[place])
        place = end
    return numbers


def _check_jpeg_2000(stream: bytes, rows: int, columns: int) -> bool:
    """The image and tile size segment (T.800, A.5.1), and the end of the code stream. Returns whether it is signed."""
    _require(stream[:6] == b"\xff\x4f\xff\x51\x00\x29" and len(stream) > 50, "start of code stream")
    sizes = [int.from_bytes(stream[place : place + 4], "big") for place in range(8, 40, 4)]
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = sizes
    _require((right - left, bottom - top) == (columns, rows) and max(left, top) < 2**16, "its size is not the header's")
    _require(tile_left <= left < tile_left + tile_width and tile_top <= top < tile_top + tile_height, "tiles")
    across, down = -(-(right - tile_left) // tile_width), -(-(bottom - tile_top) // tile_height)
    _require(across * down <= MAX_TILES, "tiles")
    bits, steps = (stream[42] & 0x7F) + 1, stream[43:45]
    _require(_number(stream, 40) == 1 and bits in PRECISION and steps == b"\1\1", "components")
    _require(b"\xff\xd9" in stream[-3:], "no end of code stream")
    return bool(stream[42] & 0x80)
