"""The bell writes what arq itself would write."""

import asyncio

from service.queue import MOST_BELLS, QUEUE, RING, Bell, connect, disconnect


async def test_a_ring_is_a_task_of_arqs_like_any_other(redis_url: str) -> None:
    redis = await connect(redis_url)
    bell = Bell(redis_url)
    bell.ring()
    await bell.close()
    await redis.enqueue_job(RING, _job_id="arqs-own")

    ours, arqs = await redis.queued_jobs(queue_name=QUEUE)

    assert (ours.function, ours.args, ours.kwargs) == (arqs.function, arqs.args, arqs.kwargs)
    assert [ours.job_try, arqs.job_try] == [None, None]
    assert ours.score
    assert arqs.score
    assert 0 <= arqs.score - ours.score < 10_000
    lives = [await redis.pttl(f"arq:job:{job.job_id}") for job in (ours, arqs)]
    assert abs(lives[0] - lives[1]) < 10_000
    await disconnect(redis)


async def test_with_many_unheard_bells_no_more_are_rung(redis_url: str) -> None:
    redis = await connect(redis_url)
    await redis.zadd(QUEUE, {str(number): number for number in range(MOST_BELLS - 1)})
    for _ in range(2):
        bell = Bell(redis_url)
        bell.ring()
        await bell.close()

    async with asyncio.timeout(5):
        assert await redis.zcard(QUEUE) == MOST_BELLS
    await disconnect(redis)
