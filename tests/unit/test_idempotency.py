"""What makes two requests the same one."""

from service.jobs.idempotency import once


def test_the_same_body_through_another_interface_is_another_request() -> None:
    body = {"input": {"prompt": "x"}}
    assert once("a", interface="jobs", body=body) != once("a", interface="runcomfy", body=body)


def test_the_order_of_keys_does_not_count_at_any_depth_and_that_of_items_does() -> None:
    first, turned = {"a": [{"b": 1, "c": 2}], "d": 0}, {"d": 0, "a": [{"c": 2, "b": 1}]}
    assert once("a", interface="jobs", body=first) == once("a", interface="jobs", body=turned)
    assert once("a", interface="jobs", body=[1, 2]) != once("a", interface="jobs", body=[2, 1])


def test_numbers_that_are_written_differently_are_different() -> None:
    written = [once("a", interface="jobs", body=value) for value in (1, 1.0, True, "1")]
    assert len({asked.fingerprint for asked in written}) == 4
