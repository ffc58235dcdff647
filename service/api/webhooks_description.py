"""Calls about webhooks in the API's own description: paths, and the schemas they name."""

from typing import Any

from service.api import log_listing
from service.api.describing import (
    COUNT,
    ID,
    OBJECT,
    TEXT,
    TIME,
    URL,
    answer,
    call,
    header,
    in_path,
    open_call,
    or_null,
    record,
    ref,
)
from service.errors import (
    EndpointExistsError,
    LimitReachedError,
    NotRedeliverableError,
    TenantDisabledError,
)
from service.jobs.lifecycle import TOLD_EVENTS
from service.tenants.keys import MODES
from service.webhooks.endpoint import BREAKER_STATES, MOST_COUNTED, STATUSES
from service.webhooks.forms import REPLAY, ROTATION, Forms
from service.webhooks.models import DELIVERY_STATUSES, DISABLED_REASONS, SIGNINGS
from service.webhooks.store.again import MOST_REPLAYED


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


def schemas(forms: Forms) -> dict[str, Any]:
    """What the paths refer to."""
    endpoint, delivery, secret = _endpoint(), _delivery(), _secret()
    event = record(
        id=ID, type={"enum": list(log_listing.FEED_EVENTS)}, timestamp=TIME, api_version=TEXT, data=OBJECT
    )
    jwk = record(
        kty={"const": "OKP"},
        crv={"const": "Ed25519"},
        use={"const": "sig"},
        alg={"const": "EdDSA"},
        kid=ID,
        x={"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$", "examples": [_X]},
    )
    return {
        "Registration": forms.registration.document,
        "EndpointChange": forms.change.document,
        "Rotation": ROTATION.document,
        "Replay": REPLAY.document,
        "Endpoint": endpoint,
        "NewEndpoint": record(**endpoint["properties"], secret=_SECRET),
        "Endpoints": record(data={"type": "array", "items": ref("Endpoint")}),
        "NewSecret": record(**secret, previous={"type": "array", "items": _ENDS}),
        "OwnSecret": record(**secret, previous={"type": "array", "items": record(**secret)}),
        "Trial": _trial(),
        "Replayed": record(replayed={"type": "integer", "minimum": 0, "maximum": MOST_REPLAYED}),
        "Delivery": delivery,
        "DeliveryWithAttempts": record(
            **delivery["properties"], attempts={"type": "array", "items": _attempt()}
        ),
        "Deliveries": record(data={"type": "array", "items": ref("Delivery")}, next_cursor=or_null(TEXT)),
        "FeedEvent": event,
        "Feed": record(
            data={"type": "array", "items": ref("FeedEvent")},
            next_cursor=log_listing.FEED_CURSOR,
            has_more={"type": "boolean"},
        ),
        "WebhookKeys": record(keys={"type": "array", "items": jwk}),
    }


def _endpoint() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0, "maximum": MOST_COUNTED}
    return record(
        id=ID,
        url=TEXT,
        events={"type": "array", "items": {"enum": list(TOLD_EVENTS)}},
        description=TEXT,
        signing={"enum": list(SIGNINGS)},
        mode={"enum": list(MODES)},
        enabled={"type": "boolean"},
        status={"enum": list(STATUSES)},
        disabled_at=or_null(TIME),
        disabled_reason=or_null({"enum": list(DISABLED_REASONS)}),
        failing_since=or_null(TIME),
        last_success_at=or_null(TIME),
        breaker=record(state={"enum": list(BREAKER_STATES)}, open_until=or_null(TIME)),
        waiting=record(pending=count, held=count),
        created_at=TIME,
    )


def _delivery() -> dict[str, Any]:
    return record(
        id=ID,
        event_id=ID,
        type=TEXT,
        job_id=or_null(ID),
        endpoint_id=or_null(ID),
        url=TEXT,
        status={"enum": list(DELIVERY_STATUSES)},
        reason=or_null(TEXT),
        attempt_count=COUNT,
        next_attempt_at=or_null(TIME),
        created_at=TIME,
        finished_at=or_null(TIME),
        mode={"enum": list(MODES)},
    )


def _attempt() -> dict[str, Any]:
    return record(
        number={"type": "integer", "minimum": 1},
        at=TIME,
        status_code=or_null({"type": "integer"}),
        latency_ms=COUNT,
        error=or_null(TEXT),
        response=TEXT,
    )


def _trial() -> dict[str, Any]:
    made = _attempt()["properties"]
    del made["number"]
    return record(event_id=ID, url=TEXT, delivered={"type": "boolean"}, **made)


def _secret() -> dict[str, Any]:
    return {"secret": _SECRET, "created_at": TIME, "expires_at": or_null(TIME)}


def _optional(described: dict[str, Any]) -> dict[str, Any]:
    return described | {"requestBody": described["requestBody"] | {"required": False}}


_SECRET = {
    "type": "string",
    "pattern": "^whsec_[A-Za-z0-9+/]{43}=$",
    "examples": ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
}
_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_ENDS = record(created_at=TIME, expires_at=or_null(TIME))
_ENDPOINT_ID = in_path("endpoint_id", "The endpoint's id.", ID)
_DELIVERY_ID = in_path("delivery_id", "The delivery's id.", ID)
_KEPT = header("For how long they may be kept.", TEXT)
