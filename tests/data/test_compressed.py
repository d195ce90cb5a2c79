"""Compressed slices: every value comes back, and a damaged code stream is refused and never ends the process."""

import io
import os
import random
import subprocess
import sys

import jpeg_ls as encoder
import numpy as np
import pydicom
import pydicom.pixels
import pytest
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import UID

from ich_jax.data.dicom import SliceError, read_stored
from tests.conftest import ROOT
from tests.make import make_dicom

LOSSLESS_P14, LOSSLESS_SV1, JPEG_LS, JPEG_2000, RLE, EXTENDED, HTJ2K = (
    UID(f"1.2.840.10008.1.2.{end}") for end in ("4.57", "4.70", "4.80", "4.90", "5", "4.51", "4.201")
)


def pictures() -> dict[str, tuple[np.ndarray, int]]:
    """Name → (stored values, BitsStored). The noisy ones reach both ends of their range."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :48]
    smooth = 1000 + 900 * np.sin(x / 9) * np.cos(y / 7) + rng.integers(-40, 40, x.shape)
    noise = rng.integers(0, 65536, x.shape).astype(np.uint16)
    noise.flat[:4] = 0, 65535, 32768, 32767
    return {
        "12 bits unsigned": (smooth.astype(np.uint16) * 2, 12),
        "12 bits unsigned, noise": (noise & 0xFFF, 12),
        "12 bits signed": ((smooth - 1024).astype(np.int16), 12),
        "16 bits signed, padding": (np.where(x < 9, -2000, smooth - 1024).astype(np.int16), 16),
        "16 bits signed, noise": (noise.view(np.int16), 16),
        "16 bits unsigned": ((smooth * 30).astype(np.uint16), 16),
        "16 bits unsigned, noise": (noise, 16),
        "odd sides": ((smooth - 1024).astype(np.int16)[:37, :45], 16),
    }


PICTURES = pictures()


def jpeg_lossless(stored: np.ndarray, precision: int, selection: int = 1) -> bytes:
    """Encode losslessly as ITU-T T.81, annex H, has it: a fixed table gives each of the 17 categories five bits."""
    values = stored.astype(np.int64) & (1 << precision) - 1
    left, above, corner = (np.zeros_like(values) for _ in range(3))
    left[:, 1:], above[1:], corner[1:, 1:] = values[:, :-1], values[:-1], values[:-1, :-1]
    guess = {1: left, 2: above, 3: corner, 4: left + above - corner}[selection]
    guess[0], guess[:, 0] = left[0], above[:, 0]
    guess[0, 0] = 1 << precision - 1
    bits = []
    for step in ((values - guess + 32768) % 65536 - 32768).ravel().tolist():
        size = abs(step).bit_length()
        rest = step if step > 0 else step + (1 << size) - 1
        bits.append(f"{size:05b}" + (f"{rest:0{size}b}" if 0 < size < 16 else ""))
    line = "".join(bits)
    line += "1" * (-len(line) % 8)
    scan = int(line, 2).to_bytes(len(line) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = bytes([precision]) + stored.shape[0].to_bytes(2, "big") + stored.shape[1].to_bytes(2, "big")
    table = bytes([0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)])
    return (
        b"\xff\xd8"  # SOI
        + b"\xff\xc3\0\x0b" + frame + b"\1\1\x11\0"  # SOF3: one component
        + b"\xff\xc4\0\x24" + table  # DHT
        + b"\xff\xda\0\x08\1\1\0" + bytes([selection, 0, 0]) + scan  # SOS
        + b"\xff\xd9"  # EOI
    )  # fmt: skip


def jpeg_2000(stored: np.ndarray, jp2: bool = False) -> bytes:
    buffer = io.BytesIO()
    image = Image.frombytes("I;16", stored.shape[::-1], stored.tobytes())
    image.save(buffer, "JPEG2000", no_jp2=not jp2, irreversible=False, signed=stored.dtype == np.int16)
    return buffer.getvalue()


def jpeg_ls(stored: np.ndarray, bits: int) -> bytes:
    return encoder.encode_pixel_data(
        stored.tobytes() if bits == 16 else (stored.view(np.uint16) & (1 << bits) - 1).tobytes(),
        rows=stored.shape[0],
        columns=stored.shape[1],
        samples_per_pixel=1,
        bits_stored=bits,
        photometric_interpretation="MONOCHROME2",
    )


def rle(stored: np.ndarray, bits: int) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(make_dicom(stored, SOPClassUID="1.2.840.10008.5.1.4.1.1.2", BitsStored=bits)))
    dataset.compress(RLE, generate_instance_uid=False)
    return next(generate_frames(dataset.PixelData, number_of_frames=1))


ENCODERS = {
    "JPEG Lossless, selection 1": (LOSSLESS_SV1, jpeg_lossless),
    "JPEG Lossless, process 14, selection 1": (LOSSLESS_P14, jpeg_lossless),
    "JPEG Lossless, selection 2": (LOSSLESS_P14, lambda stored, bits: jpeg_lossless(stored, bits, 2)),
    "JPEG Lossless, selection 4": (LOSSLESS_P14, lambda stored, bits: jpeg_lossless(stored, bits, 4)),
    "JPEG Lossless, 16 bits": (LOSSLESS_SV1, lambda stored, bits: jpeg_lossless(stored, 16)),
    "JPEG-LS": (JPEG_LS, jpeg_ls),
    "JPEG-LS, 16 bits": (JPEG_LS, lambda stored, bits: jpeg_ls(stored, 16)),
    "JPEG 2000": (JPEG_2000, lambda stored, bits: jpeg_2000(stored)),
    "RLE": (RLE, rle),
}


def compressed(stored: np.ndarray, bits: int, syntax: UID, stream: bytes, **tags) -> bytes:
    fields = {"BitsStored": bits, "HighBit": bits - 1, "TransferSyntaxUID": syntax} | tags
    return make_dicom(stored, PixelData=encapsulate([stream]), **fields)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("way", ENCODERS)
def test_every_value_comes_back(way, picture):
    stored, bits = PICTURES[picture]
    syntax, encode = ENCODERS[way]
    raw = read_stored(compressed(stored, bits, syntax, encode(stored, bits)))
    assert raw.stored.dtype == stored.dtype
    np.testing.assert_array_equal(raw.stored, stored)
    assert raw.encoding.bits_stored == bits


@pytest.mark.parametrize("syntax", [LOSSLESS_P14, LOSSLESS_SV1, JPEG_LS, JPEG_2000, RLE])
def test_without_a_decoder_the_way_to_install_one_is_told(monkeypatch, syntax):
    monkeypatch.setattr(Decoder, "available_plugins", property(lambda self: ()))
    stored, bits = PICTURES["12 bits unsigned"]
    with pytest.raises(SliceError) as caught:
        read_stored(compressed(stored, bits, syntax, bytes(64)))
    assert "pip install -r requirements-compressed.txt" in caught.value.reason


@pytest.mark.parametrize(("syntax", "word"), [(EXTENDED, "JPEG Extended"), (HTJ2K, "High-Throughput JPEG 2000")])
def test_what_no_decoder_reads_is_refused_by_name(syntax, word):
    stored, bits = PICTURES["12 bits unsigned"]
    with pytest.raises(SliceError) as caught:
        read_stored(compressed(stored, bits, syntax, b"\xff\xd8\xff\xd9"))
    assert word in caught.value.reason
    assert "pip install" not in caught.value.reason  # it would not help
    assert "\n" not in str(caught.value)


def test_deflated_is_refused_by_name():
    with pytest.raises(SliceError, match="deflated"):
        read_stored(make_dicom(TransferSyntaxUID="1.2.840.10008.1.2.1.99"))


def test_a_signed_stream_under_an_unsigned_header():
    """Pillow's values would be wrong by 32,768, without a word."""
    signed, bits = PICTURES["16 bits signed, noise"]
    with pytest.raises(SliceError, match="signed values in the code stream and unsigned ones in the header"):
        read_stored(compressed(signed.view(np.uint16), bits, JPEG_2000, jpeg_2000(signed)))


@pytest.mark.parametrize("case", ["JPEG Lossless, negative", "JPEG-LS, not negative"])
def test_a_signed_slice_whose_stream_has_fewer_bits(case):
    """Whether the stream's top bit is a sign is not written anywhere."""
    if case == "JPEG-LS, not negative":
        stored = PICTURES["12 bits unsigned, noise"][0].view(np.int16)
        syntax, stream = JPEG_LS, jpeg_ls(stored, 12)
    else:
        stored = PICTURES["12 bits signed"][0]
        syntax, stream = LOSSLESS_SV1, jpeg_lossless(stored, 12)
    with pytest.raises(SliceError, match="has 16 bits of signed values and 12 in the code stream"):
        read_stored(compressed(stored, 16, syntax, stream))


def test_what_was_looked_at_is_decoded():
    """An offset table that leads to another fragment than the first is not followed."""
    stored, bits = PICTURES["12 bits unsigned"]
    good, other = jpeg_ls(stored, 12), jpeg_ls(stored[::-1].copy(), 12)
    data = make_dicom(
        stored,
        PixelData=encapsulate([good, other], has_bot=False),
        TransferSyntaxUID=JPEG_LS,
        BitsStored=bits,
        HighBit=bits - 1,
        ExtendedOffsetTable=(8 + len(good) + len(good) % 2).to_bytes(8, "little"),
        ExtendedOffsetTableLengths=len(other).to_bytes(8, "little"),
    )
    np.testing.assert_array_equal(read_stored(data).stored, stored)


def specimens() -> dict[str, tuple[UID, bytes]]:
    """Damage that ends the process, or keeps it busy for seconds or for ever, in a decoder that is not protected."""
    stored = PICTURES["12 bits unsigned, noise"][0]
    good = jpeg_lossless(stored, 16)
    ls = b"\xff\xd8\xff\xf7\0\x0b\x0c" + bytes([0, 40, 0, 48]) + b"\1\1\x11\0\xff\xda\0\x08\1\1\0\0\0\0"
    noise = bytes(stored.astype(np.uint8) & 127)
    j2k, jp2 = jpeg_2000(stored), jpeg_2000(stored, jp2=True)
    side = (65535).to_bytes(4, "big")
    return {
        "JPEG Lossless, 17 bits": (LOSSLESS_SV1, good.replace(b"\0\x0b\x10", b"\0\x0b\x11", 1)),
        "JPEG Lossless, 255 bits": (LOSSLESS_SV1, good.replace(b"\0\x0b\x10", b"\0\x0b\xff", 1)),
        "JPEG Lossless, no code table": (LOSSLESS_SV1, good.replace(b"\xff\xc4", b"\xff\0", 1)),
        "JPEG Lossless, another table": (LOSSLESS_SV1, good.replace(b"\xff\xc4", b"\xdf\xc4", 1)),
        "JPEG Lossless, 65535 × 65535": (LOSSLESS_SV1, good.replace(bytes([0, 40, 0, 48]), b"\xff" * 4, 1)),
        "JPEG Lossless, cut": (LOSSLESS_SV1, good[: len(good) // 2]),
        "JPEG-LS, 27 bits": (JPEG_LS, ls.replace(b"\0\x0b\x0c", b"\0\x0b\x1b", 1) + noise + b"\xff\xd9"),
        "JPEG-LS, no columns": (JPEG_LS, ls.replace(bytes([0, 48]), bytes(2), 1) + noise + b"\xff\xd9"),
        "JPEG-LS, 65535 × 65535": (JPEG_LS, ls.replace(bytes([0, 40, 0, 48]), b"\xff" * 4, 1) + noise + b"\xff\xd9"),
        "JPEG-LS, cut": (JPEG_LS, ls + noise[:300]),
        "JPEG 2000, 65535 × 65535": (JPEG_2000, j2k[:8] + side * 2 + j2k[16:]),
        "JPEG 2000, tiles of one pixel": (JPEG_2000, j2k[:24] + (1).to_bytes(4, "big") * 2 + j2k[32:]),
        "JPEG 2000, cut": (JPEG_2000, j2k[: len(j2k) // 2]),
        "JP2, a box without a length": (JPEG_2000, jp2[:12] + bytes(4) + jp2[16:]),
    }


def read_specimen(name: str) -> None:
    """Run in a process of its own."""
    syntax, stream = specimens()[name]
    stored, bits = PICTURES["12 bits unsigned, noise"]
    try:
        read_stored(compressed(stored, bits, syntax, stream))
    except SliceError:
        print("refused", end="")


def in_a_process(call: str, seconds: float) -> subprocess.CompletedProcess:
    code = f"import tests.data.test_compressed as this; this.{call}"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=seconds, cwd=ROOT, env=environment
    )


@pytest.mark.parametrize("name", list(specimens()))
def test_known_killers_are_refused(name):
    done = in_a_process(f"read_specimen({name!r})", seconds=30)
    assert (done.returncode, done.stdout) == (0, "refused"), done.stderr[-2000:]


def damaged(rng: random.Random, stream: bytes) -> bytes:
    data = bytearray(stream)
    head = min(len(data), 120)
    kind = rng.random()
    if kind < 0.25:
        del data[rng.randrange(2, len(data)) :]
    for _ in range(rng.choice([1, 1, 2, 8])):
        place = rng.randrange(len(data) if kind < 0.5 else min(head, len(data)))
        data[place] = rng.choice([data[place] ^ 1 << rng.randrange(8), 0, 255, rng.randrange(256)])
    return bytes(data)


def fuzz(count: int = 200) -> None:
    """Run in a process of its own: prints how many were read and refused; anything but a slice or SliceError raises."""
    rng = random.Random(0)
    outcomes = {"read": 0, "refused": 0}
    cases = []
    for way in ("JPEG Lossless, selection 1", "JPEG Lossless, selection 4", "JPEG-LS", "JPEG 2000", "RLE"):
        syntax, encode = ENCODERS[way]
        for picture in ("12 bits unsigned", "16 bits signed, padding"):
            stored, bits = PICTURES[picture]
            cases.append((stored, bits, syntax, encode(stored, bits)))
    for case in range(count):
        stored, bits, syntax, stream = cases[case % len(cases)]
        try:
            raw = read_stored(compressed(stored, bits, syntax, damaged(rng, stream)))
            assert raw.stored.shape == stored.shape
            assert raw.stored.dtype == stored.dtype
            outcomes["read"] += 1
        except SliceError:
            outcomes["refused"] += 1
    print(outcomes["read"], outcomes["refused"], end="")


def test_fuzz_200_damaged_streams():
    done = in_a_process("fuzz(200)", seconds=120)
    assert done.returncode == 0, done.stderr[-2000:]
    read, refused = map(int, done.stdout.split())
    assert read + refused == 200
    assert refused > 50
