import base64
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from service.webhooks.signing import Signer, jwk, new_secret, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

keys = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())


def headers(body: bytes, *, event_id: str, secrets: list[str]) -> dict[str, str]:
    timestamp = int(datetime.now(UTC).timestamp())
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(body, event_id=event_id, timestamp=timestamp, secrets=secrets),
    }


def test_the_specifications_example_has_its_known_answer() -> None:
    signature = sign(
        b'{"test": 2432232314}',
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        secrets=[SECRET],
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(body=st.text(), event_id=st.uuids().map(str), secrets=st.lists(keys, min_size=1, max_size=3))
def test_every_live_secret_verifies_with_the_reference_library(
    body: str, event_id: str, secrets: list[str]
) -> None:
    data = body.encode()
    sent = headers(data, event_id=event_id, secrets=secrets)
    for secret in secrets:
        Webhook(secret).verify(data, sent, json_parse=False)


@given(body=st.binary(min_size=1), at=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_body_with_one_bit_changed_does_not_verify(body: bytes, at: int, bit: int) -> None:
    sent = headers(body, event_id="evt", secrets=[SECRET])
    changed = bytearray(body)
    changed[at % len(body)] ^= 1 << bit
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
        Webhook(SECRET).verify(bytes(changed), sent, json_parse=False)


def test_a_new_secret_is_of_32_bytes_and_nobody_elses() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in secrets} == {32}


def test_v1a_signs_the_same_text_beside_v1() -> None:
    keys = [Ed25519PrivateKey.generate() for _ in range(2)]
    signature = Signer((SECRET,), tuple(keys)).sign(b"{}", event_id="evt", timestamp=1)
    plain, *asymmetric = signature.split()
    assert plain == Signer((SECRET,)).sign(b"{}", event_id="evt", timestamp=1)
    for key, signed in zip(keys, asymmetric, strict=True):
        assert signed.startswith("v1a,")
        key.public_key().verify(base64.b64decode(signed.removeprefix("v1a,")), b"evt.1.{}")


def test_a_public_key_is_published_as_in_the_example_of_rfc_8037() -> None:
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert jwk("7", public) == {
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "7",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }  # fmt: skip
