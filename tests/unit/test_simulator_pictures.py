import io
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PIL import Image, ImageChops

from service.dev.simulator import pictures
from service.dev.simulator.edit import Edit, asked
from service.dev.simulator.gallery import Gallery, sample_name

SAMPLE = "https://pictures.example/samples/lake.png"


def edit(**fields: Any) -> Edit:
    return asked({"prompt": "make it winter", "image_urls": [SAMPLE], "image_size": "square"} | fields)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def handing_out(content: bytes | None) -> tuple[list[str], Callable[[str], Awaitable[bytes | None]]]:
    fetched: list[str] = []

    async def fetch(url: str) -> bytes | None:
        fetched.append(url)
        return content

    return fetched, fetch


def test_what_is_not_asked_for_has_the_documented_default() -> None:
    wanted = asked({"prompt": "p", "image_urls": ["u"]})
    assert (wanted.size, wanted.count, wanted.format, wanted.seed) == ((1024, 1024), 1, "png", 0)


@pytest.mark.parametrize(
    ("asked_for", "size"),
    [
        ("square", (512, 512)),
        ("portrait_16_9", (576, 1024)),
        ("landscape_4_3", (1024, 768)),
        ({"width": 640, "height": 900}, (640, 900)),
        ({"width": 99_999, "height": "tall"}, (2048, 1024)),
        ("round", (1024, 1024)),
        (7, (1024, 1024)),
    ],
)
def test_a_size_is_a_preset_or_its_own_and_odd_ones_are_brought_into_bounds(
    asked_for: object, size: tuple[int, int]
) -> None:
    assert edit(image_size=asked_for).size == size


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
async def test_a_picture_has_the_format_and_size_asked_for(output_format: str) -> None:
    wanted = edit(output_format=output_format, image_size={"width": 300, "height": 200})
    picture = opened(await Gallery().output("r", wanted, index=0))
    assert picture.format == output_format.upper()
    assert picture.size == (300, 200)


def test_pictures_differ_by_index_seed_and_prompt_and_are_the_same_again() -> None:
    source = pictures.landscape("lake", size=(256, 256))
    small = {"image_size": {"width": 256, "height": 256}}
    wanted = [
        (edit(**small), 0),
        (edit(**small), 1),
        (edit(seed=7, **small), 0),
        (edit(prompt="p", **small), 0),
    ]
    drawn = [pictures.edited(source, each, index=index).tobytes() for each, index in wanted]
    assert len(set(drawn)) == len(wanted)
    assert pictures.edited(source, wanted[0][0], index=0).tobytes() == drawn[0]


def test_the_edit_shows_the_input_changed() -> None:
    source = Image.new("RGB", (256, 256), "white")
    source.paste("black", (0, 0, 128, 256))
    picture = pictures.edited(source, edit(image_size={"width": 256, "height": 256}), index=0)
    dark, light = picture.getpixel((64, 64)), picture.getpixel((192, 64))
    assert isinstance(dark, tuple)
    assert isinstance(light, tuple)
    assert sum(dark) + 200 < sum(light)
    assert ImageChops.difference(source, picture).getbbox() == (0, 0, 256, 256)


@pytest.mark.parametrize("prompt", ["", "word " * 500, "x" * 5000, "冬にして ❄ \x01"])
def test_any_prompt_can_be_written_on_a_picture(prompt: str) -> None:
    picture = pictures.edited(pictures.landscape("lake"), edit(prompt=prompt), index=3)
    assert picture.size == (512, 512)


async def test_a_sample_is_known_by_its_path_without_a_fetch() -> None:
    fetched, fetch = handing_out(None)
    await Gallery(fetch=fetch).output("r", edit(), index=0)
    assert fetched == []


async def test_another_input_is_fetched_once_when_the_picture_is_asked_for_and_drawn_on() -> None:
    red = pictures.encoded(Image.new("RGB", (40, 40), "red"), "png")
    url = "https://elsewhere.example/red.png"
    fetched, fetch = handing_out(red)
    gallery = Gallery(fetch=fetch)
    first = await gallery.output("r", edit(image_urls=[url]), index=0)
    again = await gallery.output("r", edit(image_urls=[url]), index=0)
    assert fetched == [url]
    assert first == again
    _, without = handing_out(None)
    assert first != await Gallery(fetch=without).output("r", edit(image_urls=[url]), index=0)


@pytest.mark.parametrize("content", [None, b"", b"<html>no picture</html>", b"\x89PNG\r\n\x1a\nbroken"])
async def test_an_input_that_cannot_be_read_becomes_a_placeholder(content: bytes | None) -> None:
    _, fetch = handing_out(content)
    picture = await Gallery(fetch=fetch).output("r", edit(image_urls=["https://x.example/a"]), index=0)
    assert opened(picture).size == (512, 512)


def test_a_picture_that_claims_too_many_pixels_is_not_decoded() -> None:
    content = pictures.encoded(Image.new("1", (8000, 8000)), "png")
    assert len(content) < 100_000
    assert pictures.opened(content) is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (SAMPLE, "lake"),
        ("https://elsewhere.example/lake.png", None),
        ("https://x.example/samples/", None),
        ("https://[broken/samples/lake.png", None),
    ],
)
def test_a_sample_is_any_url_with_its_path(url: str, name: str | None) -> None:
    assert sample_name(url) == name
