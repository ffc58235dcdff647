"""FLUX.2 [dev], editing pictures by a text: the fields and bounds of RunComfy's documentation."""

from service.catalogue.image_urls import HTTPS_IMAGE_URL, IMAGE_URL_FORMATS
from service.catalogue.model import Model
from service.schema import NOT_BLANK, Schema

_SIDE = {"type": "integer", "minimum": 512, "maximum": 2048}

_INPUT = Schema(
    {
        "type": "object",
        "title": "FLUX.2 [dev] edit input",
        "required": ["prompt", "image_urls"],
        "additionalProperties": False,
        "properties": {
            "prompt": {
                "type": "string",
                "title": "Prompt",
                "description": "What to change in the picture. As long as the request's body allows.",
                # No maximum: the documentation has none, and the body's own limit stands before it.
                "pattern": NOT_BLANK,
                "examples": ["Make it a rainy evening, with lights in the windows"],
            },
            "image_urls": {
                "type": "array",
                "title": "Image URLs",
                "description": "Public https URLs of the pictures to edit, readable without login or "
                "cookies, best at most 50 MB each. Of more than 3 only the first 3 are used, and the job "
                "carries a warning.",
                "minItems": 1,
                "maxItems": 100,
                "items": {
                    "type": "string",
                    "format": "https-image-url",
                    "pattern": HTTPS_IMAGE_URL,
                    "maxLength": 2048,
                },
                "examples": [["https://example.com/house.jpg"]],
            },
            "guidance_scale": {
                "type": "number",
                "title": "Guidance scale",
                "description": "How closely the result follows the prompt.",
                "minimum": 0,
                "maximum": 20,
                "default": 2.5,
            },
            "seed": {
                "type": "integer",
                "title": "Seed",
                "description": "The same seed with the same input gives the same picture.",
                # Any that fits in 64 bits, which holds for all integers: the documentation says no more.
                "format": "int64",
                "default": 0,
            },
            "num_inference_steps": {
                "type": "integer",
                "title": "Inference steps",
                "description": "More steps take longer and show more detail.",
                "minimum": 4,
                "maximum": 50,
                "default": 28,
            },
            "image_size": {
                "title": "Image size",
                "description": "A preset, or width and height in pixels.",
                "anyOf": [
                    {
                        "type": "string",
                        "title": "Preset",
                        "enum": [
                            "square_hd",
                            "square",
                            "portrait_4_3",
                            "portrait_16_9",
                            "landscape_4_3",
                            "landscape_16_9",
                        ],
                    },
                    {
                        "type": "object",
                        "title": "Custom",
                        "required": ["width", "height"],
                        "additionalProperties": False,
                        "properties": {
                            "width": _SIDE | {"title": "Width"},
                            "height": _SIDE | {"title": "Height"},
                        },
                    },
                ],
                "default": "square_hd",
                "examples": ["landscape_4_3", {"width": 1280, "height": 720}],
            },
            "num_images": {
                "type": "integer",
                "title": "Number of images",
                "description": "How many results to make.",
                "minimum": 1,
                "maximum": 4,
                "default": 1,
            },
            "enable_prompt_expansion": {
                "type": "boolean",
                "title": "Prompt expansion",
                "description": "Let the model enrich the prompt before it edits.",
                "default": False,
            },
            "output_format": {
                "type": "string",
                "title": "Output format",
                "description": "The file format of the results.",
                "enum": ["jpeg", "png", "webp"],
                "default": "png",
            },
        },
    },
    formats=IMAGE_URL_FORMATS,
)

MODEL = Model(
    id="blackforestlabs/flux-2/dev/edit",
    display_name="FLUX.2 [dev] Edit",
    input=_INPUT,
    uses_first={"image_urls": 3},
)
