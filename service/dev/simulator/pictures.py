"""Real image files: a landscape to start from, and edits of a picture that a person can tell apart.

Pure functions of their arguments, slow enough (0.1 to 0.3 s) to be called in a thread.
"""

import colorsys
import io
import math
import random

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from service.dev.simulator.edit import Edit

SAMPLE_SIZE = (1024, 768)
# A larger input is not decoded: a small file can claim any size.
LARGEST_INPUT_PIXELS = 50_000_000

Colour = tuple[int, int, int]


def landscape(name: str, *, size: tuple[int, int] = SAMPLE_SIZE) -> Image.Image:
    """Sky, sun and five ridges that fade with distance; another name is another place."""
    chance = random.Random(name)  # noqa: S311 - a picture, not a secret
    width, height = size
    hue = chance.uniform(0.5, 0.68)
    dusk = _colour((hue + 0.45) % 1, 0.45, 1.0)
    picture = ImageOps.colorize(Image.linear_gradient("L").resize(size), _colour(hue, 0.62, 0.72), dusk)
    x, y, radius = chance.uniform(0.2, 0.8) * width, chance.uniform(0.22, 0.4) * height, height * 0.07
    glow = Image.new("L", size)
    ImageDraw.Draw(glow).ellipse((x - 2 * radius, y - 2 * radius, x + 2 * radius, y + 2 * radius), fill=150)
    picture.paste((255, 236, 200), mask=glow.filter(ImageFilter.GaussianBlur(radius * 0.8)))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 246, 224))
    for ridge in range(5):
        near = (ridge + 1) / 5
        waves = [(chance.uniform(1, 4) * 2**octave, chance.uniform(0, math.tau)) for octave in range(5)]
        crest = height * (0.42 + 0.1 * ridge)
        swing = height * (0.045 + 0.012 * ridge)
        line = [
            (
                px,
                crest
                + swing * sum(math.sin(px / width * f * 2 + p) / 1.7**i for i, (f, p) in enumerate(waves)),
            )
            for px in range(0, width + 4, 4)
        ]
        tone = _colour(hue + 0.04 * ridge - 0.1, 0.25 + 0.4 * near, 0.78 - 0.62 * near)
        draw.polygon([*line, (width + 4, height), (0, height)], fill=tone)
    return picture.filter(ImageFilter.GaussianBlur(0.6))


def placeholder(url: str, *, size: tuple[int, int]) -> Image.Image:
    """Stands in for an input that could not be read: a plain gradient, so that nobody takes it for one."""
    hue = random.Random(url).random()  # noqa: S311 - a picture, not a secret
    return ImageOps.colorize(
        Image.radial_gradient("L").resize(size), _colour(hue, 0.25, 0.9), _colour(hue, 0.5, 0.4)
    )


def opened(content: bytes) -> Image.Image | None:
    """The picture in these bytes, upright and in RGB; None if they are not one, or too large a one."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > LARGEST_INPUT_PIXELS:
                return None
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def edited(source: Image.Image, edit: Edit, *, index: int) -> Image.Image:
    """The source in two tones of its own and a frame, with the prompt under it."""
    chance = random.Random(f"{edit.prompt}\0{edit.seed}")  # noqa: S311 - a picture, not a secret
    # The pictures of one request lie far apart on the colour wheel.
    hue = (chance.random() + 0.27 * index) % 1
    picture = ImageOps.fit(source, edit.size, Image.Resampling.LANCZOS)
    toned = ImageOps.colorize(
        ImageOps.grayscale(picture), _colour(hue, 0.8, 0.22), _colour((hue + 0.12) % 1, 0.22, 1.0)
    )
    picture = ImageEnhance.Contrast(Image.blend(picture, toned, 0.72)).enhance(1.25)
    edge = max(4, min(edit.size) // 64)
    bright = _colour(hue, 0.5, 1.0)
    _caption(picture, f"{edit.prompt}  ·  {index + 1} of {edit.count}, seed {edit.seed}", ink=bright)
    ImageDraw.Draw(picture).rectangle((0, 0, edit.size[0] - 1, edit.size[1] - 1), outline=bright, width=edge)
    return picture


def encoded(picture: Image.Image, output_format: str) -> bytes:
    buffer = io.BytesIO()
    if output_format == "png":
        picture.save(buffer, "PNG", compress_level=3)
    else:
        picture.save(buffer, output_format.upper(), quality=90)
    return buffer.getvalue()


def _caption(picture: Image.Image, text: str, *, ink: Colour) -> None:
    """The text on a dark band along the bottom, at most three lines of it."""
    width, height = picture.size
    size = max(11, width // 38)
    font = ImageFont.load_default(size)
    lines = _wrapped(text, font=font, width=width - 3 * size)[:3]
    top = height - round(size * (1.4 * len(lines) + 1.2))
    band = picture.crop((0, top, width, height))
    picture.paste(ImageEnhance.Brightness(band).enhance(0.25), (0, top))
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((1.5 * size, top + size * (0.6 + 1.4 * number)), line, fill=ink, font=font)


def _wrapped(text: str, *, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    lines = [""]
    for word in text[:400].split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
