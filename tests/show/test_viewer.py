"""The viewer's page: what is in the file, and what a browser makes of it."""

import base64
import json
import re
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ich_jax.data.hounsfield import Encoding
from ich_jax.paper.printed import CLASSES
from ich_jax.paper.windowing import WINDOWS, apply_window, hu_to_rgb
from ich_jax.show import viewer
from ich_jax.show.viewer import PRESETS, Answering, Shown, pack_bytes, pack_stored, write_page
from tests.show.in_browser import Case, pictures, until

PLAIN = Encoding(signed=True, bits_stored=16, slope=1.0, intercept=0.0, inverted=False)
EVERY_PATTERN = np.arange(65536, dtype=np.uint16).reshape(256, 256)
ENCODINGS = (
    PLAIN,
    Encoding(signed=False, bits_stored=16, slope=1.0, intercept=-1024.0, inverted=False),
    Encoding(signed=True, bits_stored=13, slope=0.48828125, intercept=-1024.5, inverted=False),
    Encoding(signed=False, bits_stored=16, slope=0.1, intercept=-1000.3, inverted=False, padding=(63536, 65000)),
    Encoding(signed=False, bits_stored=12, slope=1.0, intercept=0.0, inverted=False, wrapped_from=3072),
    Encoding(signed=False, bits_stored=12, slope=2.3, intercept=-700.0, inverted=True, padding=(5, 9)),
    Encoding(signed=True, bits_stored=12, slope=1.7, intercept=3.0, inverted=True),
)
WINDOWS_TRIED = (*PRESETS.values(), (40.5, 80.7), (-0.3, 1.1), (33.3, 1))


def shown(stored: np.ndarray, encoding: Encoding = PLAIN, **more) -> Shown:
    stored = stored.view(encoding.dtype)
    return Shown(pack_stored(stored), *stored.shape, asdict(encoding), **({"phantom": True} | more))


def blob(rows: int = 64, columns: int = 64, middle: float = 40) -> np.ndarray:
    """A slice with a disc of about `middle` HU in air, some bone beside it."""
    v, u = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    stored = np.where(np.hypot(u, v) < 0.8, middle + 20 * u + 15 * np.sin(9 * v), -1000)
    return np.where(np.abs(np.hypot(u, v) - 0.85) < 0.05, 1200, stored).astype(np.int16)


def scan(count: int = 5, **more) -> list[Shown]:
    shares = [0.5, 0.1, 0.05, 0.05, 0.1, 0.2]
    return [
        shown(
            blob(middle=20 + 10 * k),
            number=k + 1,
            of=count,
            mm=5.0 * k,
            probabilities=np.roll(shares, k).tolist(),
            saliency=pack_bytes(np.full((96, 96), 200)),
            truth={"types": ("subdural",), "mm2": {"subdural": 321.0}} if k else {"types": (), "mm2": {}},
            blood=pack_bytes(np.eye(64)) if k else None,
            **more,
        )
        for k in range(count)
    ]


NETWORK = Answering("proposed", 96, phantom=True)


@pytest.fixture
def page(tmp_path) -> Path:
    write_page(tmp_path / "page.html", scan(), network=NETWORK)
    return tmp_path / "page.html"


def unpacked(text: str, name: str) -> bytes:
    found = re.search(rf'id="{name}">([^<]*)</script>', text)
    return zlib.decompress(base64.b64decode(found[1]))


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_stored_values_come_back(dtype):
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 65536, (37, 53)).astype(np.uint16).view(dtype)
    low, high = np.frombuffer(zlib.decompress(base64.b64decode(pack_stored(stored))), np.uint8).reshape(2, 37, 53)
    folded = low.astype(np.int32) | high.astype(np.int32) << 8
    steps = (folded >> 1) ^ -(folded & 1)
    assert np.array_equal(np.cumsum(steps, axis=1).astype(np.uint16).view(dtype), stored)


def test_the_page_needs_nothing_else_and_allows_nothing_else(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href|action)\s*=|url\(|@import|https?:|eval\(|innerHTML""", text)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "{{" not in re.sub(r"<script>.*</script>", "", text, flags=re.DOTALL)


def test_its_own_code_is_small():
    assert sum(path.stat().st_size for path in viewer.PAGE.iterdir()) < 60_000


def test_it_is_written_whole_or_not_at_all(page):
    before = page.read_bytes()

    def stopped():
        yield from scan(2)
        raise KeyboardInterrupt

    for file in (page, page.with_name("other.html")):
        with pytest.raises(KeyboardInterrupt):
            viewer.write_whole(file, lambda out: [out.write(one.pixels) for one in stopped()])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_page(page, [*scan(2)[:1], scan(1)[0]._replace(mm=float("nan"))])
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    ("synthetic", "network", "banner"),
    [
        ((True, True), None, "PHANTOM: synthetic slices"),
        ((True, False), None, "PHANTOM: 1 of 2 slices are synthetic"),
        ((False, False), None, ""),
        ((False, False), NETWORK, "Network trained on a PHANTOM"),
        ((False, False), NETWORK._replace(phantom=False), ""),
    ],
)
def test_the_banner_says_what_is_synthetic(tmp_path, synthetic, network, banner):
    slices = [one._replace(phantom=phantom) for one, phantom in zip(scan(2), synthetic, strict=True)]
    write_page(tmp_path / "page.html", slices, network=network)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"<strong>{banner}</strong>" in text
    assert "<b>Not for diagnosis.</b>" in text


def test_numbers_of_the_package_are_those_of_the_page(page):
    (data,) = re.findall(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    found = json.loads(data)
    assert found["classes"] == list(CLASSES)
    assert [(one["level"], one["width"]) for one in found["windows"][:3]] == [tuple(window) for window in WINDOWS]


# ---- in a browser


def standard(hu: np.ndarray, name: str, level: float, width: float) -> np.ndarray:
    """DICOM's two functions as PS3.3 C.11.2.1.2 and C.11.2.1.3.2 write them, in float32."""
    if name == "clip":
        return apply_window(hu, level, width)
    middle, divisor = (level - 0.5, width - 1) if name == "linear" else (level, width)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = ((hu - np.float32(middle)) / np.float32(divisor) + np.float32(0.5)) * 255
    grey = np.where(hu <= np.float32(middle - divisor / 2), 0, np.where(hu > middle + divisor / 2, 255, inside))
    return np.round(grey).astype(np.uint8)


@pytest.mark.slow
def test_every_value_is_the_grey_of_the_package(browse, tmp_path):
    """All 65,536 bit patterns in each encoding, window and function."""
    write_page(tmp_path / "page.html", [shown(EVERY_PATTERN, encoding) for encoding in ENCODINGS])
    cases = [
        Case(index, *window, name)
        for index in range(len(ENCODINGS))
        for window in WINDOWS_TRIED
        for name in ("clip", "linear", "exact")
        if index < 3 or name == "clip"
    ]
    for case, found in zip(cases, browse(tmp_path / "page.html", lambda page: pictures(page, cases)), strict=True):
        encoding = ENCODINGS[case.index]
        hu = encoding.to_hu(EVERY_PATTERN.view(encoding.dtype))
        expected = standard(hu, case.name, case.level, case.width)
        assert np.array_equal(found, np.repeat(expected[..., None], 3, axis=-1)), case


@pytest.mark.parametrize(("shape", "size"), [((150, 110), 96), ((64, 64), 96), ((33, 96), 96), ((200, 200), 7)])
def test_resized_before_and_after_the_window_as_pillow_does(browse, tmp_path, shape, size):
    stored = blob(*shape)
    network = NETWORK._replace(image_size=size)
    one = shown(stored, probabilities=[1 / 6] * 6)
    write_page(tmp_path / "page.html", [one], network=network)
    cases = [Case(order="window-first"), Case(order="resize-first"), Case(order="stored")]
    look = lambda page: pictures(page, cases, ".panels canvas")  # noqa: E731
    after, before, plain = browse(tmp_path / "page.html", look)
    side = max(shape)
    hu = np.full((side, side), -1000, np.float32)
    top, left = (side - shape[0]) // 2, (side - shape[1]) // 2
    hu[top : top + shape[0], left : left + shape[1]] = stored
    small = np.asarray(Image.fromarray(hu).resize((size, size), Image.Resampling.BILINEAR))
    rgb = Image.fromarray(hu_to_rgb(hu)).resize((size, size), Image.Resampling.BILINEAR)
    assert np.array_equal(plain, hu_to_rgb(hu))
    assert np.array_equal(after, np.asarray(rgb))
    assert np.array_equal(before, hu_to_rgb(small))


def test_keys_lead_through_slices_windows_and_pixels(browse, page):
    def look(page):
        def press(*keys):
            page.locator("#picture").focus()
            for key in keys:
                page.keyboard.press(key)
            page.evaluate("() => new Promise((next) => setTimeout(() => requestAnimationFrame(next), 100))")
            return until(page, "true")

        assert press("ArrowDown", "ArrowDown")["index"] == 2
        assert press("ArrowUp")["index"] == 1
        assert press("End")["index"] == 4
        assert press("ArrowDown")["index"] == 4
        assert press("PageUp")["index"] == 0
        for number, (level, width) in enumerate(PRESETS.values(), start=1):
            found = press(str(number))
            assert (found["level"], found["width"]) == (level, width)
        press("1")
        assert press("ArrowRight")["level"] == 42
        assert press("ArrowLeft", "ArrowLeft")["level"] == 38
        assert press("Shift+ArrowRight")["width"] == 84
        assert press("Shift+ArrowLeft", "Shift+ArrowLeft")["width"] == 76
        press("l", "l", "i", "j")
        return page.text_content("#probe")

    assert "at row 31, column 33" in browse(page, look)


def test_tab_reaches_everything(browse, page):
    def look(page):
        reached = []
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        return reached

    wanted = {
        "picture",
        "slice",
        "show-truth",
        "level",
        "width",
        "brain",
        "full range",
        "saliency",
        "function",
        "order",
    }
    assert wanted <= set(browse(page, look))


def test_drag_wheel_and_pointer(browse, page):
    def look(page):
        page.set_viewport_size({"width": 1400, "height": 1000})
        box = page.locator("#picture").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        probe = page.text_content("#probe")
        page.mouse.down()
        page.mouse.move(x + 100, y - 50, steps=3)
        page.mouse.up()
        dragged = until(page, "shows.width === 132")
        page.mouse.wheel(0, 120)
        until(page, "shows.index === 1")
        return probe, dragged

    probe, dragged = browse(page, look)
    stored = blob(middle=20)[32, 32]
    assert probe.startswith(f"{stored} HU (stored {stored}), grey level {apply_window(stored, 40, 80)}, at row 32")
    assert (dragged["level"], dragged["width"]) == (60, round(80 * np.exp(0.5)))


def test_what_is_no_number_changes_nothing(browse, page):
    def look(page):
        for text in ("", "0", "-5", "1e999"):
            page.fill("#width", text)
            assert page.get_attribute("#width", "aria-invalid") == "true", text
        page.locator("#width").blur()
        page.wait_for_timeout(100)
        return page.input_value("#width"), until(page, "true")["width"]

    assert browse(page, look) == ("80", 80)


def test_the_network_and_the_truth(browse, page):
    def look(page):
        page.fill("#slice", "3")
        until(page, "shows.index === 3")
        bars, hidden = page.locator("#bars").inner_text(), page.text_content("#truth-text")
        blank = page.evaluate("document.getElementById('overlay').toDataURL()")
        page.check("#show-truth")
        page.wait_for_timeout(100)
        outlined = page.evaluate("document.getElementById('overlay').toDataURL()")
        page.fill("#saliency", "80")
        page.wait_for_timeout(100)
        covered = page.evaluate("document.getElementById('overlay').toDataURL()")
        assert len({blank, outlined, covered}) == 3
        return bars.split(), hidden, page.text_content("#truth-text"), page.locator("#bars .true").all_text_contents()

    bars, hidden, told, marked = browse(page, look)
    assert bars == [
        word for name, share in zip(CLASSES, scan()[3].probabilities, strict=True) for word in (name, f"{share:.3f}")
    ]
    assert (hidden, told, marked) == ("", "subdural, 321 mm² (outlined)", ["subdural"])


def test_differences_are_told_in_grey_levels(browse, page):
    def look(page):
        page.select_option("#versus", "linear")
        page.wait_for_timeout(100)
        functions = page.text_content("#difference-text")
        page.select_option("#versus", "resize-first")
        page.wait_for_timeout(100)
        return functions, page.text_content("#difference-text"), page.input_value("#order")

    functions, orders, order = browse(page, look)
    hu = blob(middle=20).astype(np.float32)
    steps = np.abs(apply_window(hu, 40, 80).astype(int) - standard(hu, "linear", 40, 80))
    assert f"at most {steps.max()} grey levels, {steps.mean():.2f} on average" in functions
    assert order == "window-first"
    assert orders.startswith("“window, then resize to 96 × 96 (paper’s order)” minus “resize to 96 × 96, then window”")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390, 320])
def test_any_width_light_or_dark(browse, page, width, scheme):
    """Nothing sticks out, the banner stays, and letters stand out from what is behind them (WCAG 2.2, 1.4.3)."""

    def look(page):
        page.check("#show-truth")
        page.select_option("#versus", "linear")
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(100)
        box = page.locator("header").bounding_box()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("scrollY") > 300
        colours = """(selector) => [...document.querySelectorAll(selector)].slice(0, 1).map((one) => {
            let behind = one;
            const clear = "rgba(0, 0, 0, 0)";
            while (getComputedStyle(behind).backgroundColor === clear) behind = behind.parentElement;
            return [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor]; })[0]"""
        pairs = [page.evaluate(colours, s) for s in ("h1", ".quiet", "header b", "[aria-pressed=true]", "figcaption")]
        return box, page.locator("header").inner_text(), pairs

    box, text, pairs = browse(page, look, viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert (box["x"], box["y"]) == (0, 0)
    assert "PHANTOM" in text
    assert "Not for diagnosis" in text
    for pair in pairs:
        light, dark = sorted((_luminance(colour) for colour in pair), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def _luminance(colour: str) -> float:
    """Relative, of an rgb(…)."""
    shares = np.array([int(part) for part in re.findall(r"\d+", colour)][:3]) / 255
    return float(
        np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
    )


def test_without_javascript_it_says_so(browse, page):
    text = browse(page, lambda page: page.locator("body").inner_text(), java_script_enabled=False)
    assert "JavaScript is off" in text
    assert "PHANTOM" in text
    assert "Not for diagnosis" in text


def test_a_script_that_is_not_its_own_does_not_run(browse, page):
    seen = []

    def look(page):
        seen.append(
            page.evaluate("""async () => {
                const refused = [];
                addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
                const script = document.createElement("script");
                script.textContent = "globalThis.entered = true";
                document.body.append(script);
                const image = new Image();
                image.src = "other.png";
                await new Promise((next) => setTimeout(next, 200));
                return [refused.sort(), globalThis.entered ?? false];
            }""")
        )

    with pytest.raises(AssertionError, match="Content Security Policy"):  # Chromium says so in the console
        browse(page, look)
    assert seen == [[["img-src", "script-src-elem"], False]]


def test_a_damaged_slice_is_told(browse, tmp_path):
    broken = scan(2)
    write_page(tmp_path / "page.html", [broken[0], broken[1]._replace(pixels="AAAA")], network=NETWORK)

    def look(page):
        page.fill("#slice", "1")
        page.wait_for_selector("#trouble:visible")
        return page.text_content("#trouble")

    assert "could not be unpacked" in browse(tmp_path / "page.html", look)


def test_encodings_in_this_file_tell_apart_what_they_should():
    """`replace` one field and some grey changes: so a page that ignored it would be caught."""
    for encoding, changes in [
        (ENCODINGS[2], {"slope": 0.5}),
        (ENCODINGS[3], {"padding": None}),
        (ENCODINGS[4], {"wrapped_from": None}),
        (ENCODINGS[5], {"inverted": False}),
        (ENCODINGS[6], {"signed": False}),
    ]:
        other = replace(encoding, **changes)
        images = [hu_to_rgb(one.to_hu(EVERY_PATTERN.view(one.dtype))) for one in (encoding, other)]
        assert not np.array_equal(*images)


def test_the_ready_page_is_of_this_code():
    """After a change to page/ make it again, see docs/view.md."""
    ready = Path(__file__).parents[2] / "docs" / "view.html"
    text = ready.read_text(encoding="utf-8")
    assert viewer.whole_script() in text
    assert (viewer.PAGE / "page.css").read_text(encoding="utf-8") in text
    assert "<strong>PHANTOM: synthetic slices</strong>" in text
    assert ready.stat().st_size < 300_000
