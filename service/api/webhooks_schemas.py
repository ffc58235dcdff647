"""What the calls about webhooks take and answer, in the API's own description."""

from typing import Any

from service.api import log_listing
from service.api.describing import COUNT, ID, OBJECT, TEXT, TIME, list_of, or_null, record, ref
from service.jobs.lifecycle import TOLD_EVENTS
from service.tenants.keys import MODES
from service.webhooks.endpoint import BREAKER_STATES, MOST_COUNTED, STATUSES
from service.webhooks.forms import REPLAY, ROTATION, Forms
from service.webhooks.models import DELIVERY_STATUSES, DISABLED_REASONS, SIGNINGS
from service.webhooks.store.again import MOST_REPLAYED


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
        "Endpoints": record(data=list_of(ref("Endpoint"))),
        "NewSecret": record(**secret, previous=list_of(_ENDS)),
        "OwnSecret": record(**secret, previous=list_of(record(**secret))),
        "Trial": _trial(),
        "Replayed": record(replayed={"type": "integer", "minimum": 0, "maximum": MOST_REPLAYED}),
        "Delivery": delivery,
        "DeliveryWithAttempts": record(**delivery["properties"], attempts=list_of(_attempt())),
        "Deliveries": record(data=list_of(ref("Delivery")), next_cursor=or_null(TEXT)),
        "FeedEvent": event,
        "Feed": record(
            data=list_of(ref("FeedEvent")),
            next_cursor=log_listing.FEED_CURSOR,
            has_more={"type": "boolean"},
        ),
        "WebhookKeys": record(keys=list_of(jwk)),
    }


def _endpoint() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0, "maximum": MOST_COUNTED}
    return record(
        id=ID,
        url=TEXT,
        events=list_of({"enum": list(TOLD_EVENTS)}),
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


_SECRET = {
    "type": "string",
    "pattern": "^whsec_[A-Za-z0-9+/]{43}=$",
    "examples": ["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="],
}
_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_ENDS = record(created_at=TIME, expires_at=or_null(TIME))
