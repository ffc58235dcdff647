"""Calls about webhooks in the API's own description."""

from typing import Any

from service.api import log_listing
from service.api.describing import (
    ID,
    TEXT,
    URL,
    answer,
    call,
    header,
    in_path,
    open_call,
)
from service.errors import (
    EndpointExistsError,
    LimitReachedError,
    NotRedeliverableError,
    TenantDisabledError,
)


def paths() -> dict[str, Any]:
    """All paths."""
    return _endpoints() | _log() | _signing()


def _endpoints() -> dict[str, Any]:
    endpoint = answer("The endpoint.", "Endpoint")
    at = header("The endpoint's URL.", URL)
    made = answer(
        "The endpoint, with its secret, which is not shown again.", "NewEndpoint", headers={"Location": at}
    )
    one = "/v1/webhook-endpoints/{endpoint_id}"
    return {
        "/v1/webhook-endpoints": {
            "post": call(
                "Register an endpoint",
                {"201": made},
                refused=(EndpointExistsError, LimitReachedError, TenantDisabledError),
                body="Registration",
            ),
            "get": call("List endpoints", {"200": answer("All, newest first.", "Endpoints")}),
        },
        one: {
            "get": call("Show an endpoint", {"200": endpoint}, refused=(404,)),
            "patch": call(
                "Change an endpoint",
                {"200": endpoint},
                refused=(404, EndpointExistsError),
                body="EndpointChange",
            ),
            "delete": call(
                "Remove an endpoint",
                {"204": {"description": "Nothing is sent to it any more."}},
                refused=(404,),
            ),
            "parameters": [_ENDPOINT_ID],
        },
        f"{one}/rotate-secret": {
            "post": _optional(
                call(
                    "Give an endpoint a new secret",
                    {"200": answer("The new secret, which is not shown again.", "NewSecret")},
                    refused=(404,),
                    body="Rotation",
                )
            ),
            "parameters": [_ENDPOINT_ID],
        },
        f"{one}/test": {
            "post": call(
                "Send an endpoint a test event now",
                {"200": answer("What came of it.", "Trial")},
                refused=(404, TenantDisabledError),
            ),
            "parameters": [_ENDPOINT_ID],
        },
        f"{one}/replay": {
            "post": call(
                "Send an endpoint again what it missed",
                {"202": answer("How many events are on their way.", "Replayed")},
                refused=(404, NotRedeliverableError, TenantDisabledError),
                body="Replay",
            ),
            "parameters": [_ENDPOINT_ID],
        },
    }


def _log() -> dict[str, Any]:
    one = "/v1/webhook-deliveries/{delivery_id}"
    return {
        "/v1/webhook-deliveries": {
            "get": call(
                "List deliveries",
                {"200": answer("A page, newest first.", "Deliveries")},
                parameters=log_listing.DESCRIBED,
            ),
        },
        one: {
            "get": call(
                "Show a delivery with every attempt",
                {"200": answer("The delivery.", "DeliveryWithAttempts")},
                refused=(404,),
            ),
            "parameters": [_DELIVERY_ID],
        },
        f"{one}/redeliver": {
            "post": call(
                "Send a delivery once more",
                {"202": answer("It is on its way.", "Delivery")},
                refused=(404, NotRedeliverableError, TenantDisabledError),
            ),
            "parameters": [_DELIVERY_ID],
        },
        "/v1/events": {
            "get": call(
                "Read the feed of events",
                {"200": answer("A page, oldest first.", "Feed")},
                parameters=log_listing.FEED_DESCRIBED,
            ),
        },
    }


def _signing() -> dict[str, Any]:
    return {
        "/v1/signing-secret": {
            "get": call(
                "Show the secret that signs what goes to a callback URL",
                {"200": answer("The secret in force, and those that still sign beside it.", "OwnSecret")},
                refused=(404,),
            ),
        },
        "/v1/signing-secret/rotate": {
            "post": _optional(
                call(
                    "Give the tenant a new secret",
                    {"200": answer("The same, after it.", "OwnSecret")},
                    body="Rotation",
                )
            ),
        },
        "/.well-known/webhook-keys.json": {
            "get": open_call(
                "Publish the keys that verify `v1a` signatures",
                {"200": answer("A JSON Web Key Set.", "WebhookKeys", headers={"Cache-Control": _KEPT})},
                refused=(400, 503),
            ),
        },
    }


def _optional(described: dict[str, Any]) -> dict[str, Any]:
    return described | {"requestBody": described["requestBody"] | {"required": False}}


_ENDPOINT_ID = in_path("endpoint_id", "The endpoint's id.", ID)
_DELIVERY_ID = in_path("delivery_id", "The delivery's id.", ID)
_KEPT = header("For how long they may be kept.", TEXT)
