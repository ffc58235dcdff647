"""From a job's moves to its events: what a worker tells without being asked again for each job."""

from harness.deliveries import Senders
from harness.world import KEY, World

from service.clock import postgres_time
from service.encryption import Vault
from service.jobs import reading
from service.jobs.lifecycle import Status
from service.tenants.tenant import Tenant
from service.webhooks.wanted import Wanted


def registering(world: World) -> Senders:
    return Senders(world.database, Vault.from_text(KEY), world.tenant, postgres_time)


async def test_an_endpoint_is_told_of_the_beginning_too_if_it_wants_that(world: World) -> None:
    wanted = ["job.submitted", "job.in_progress", "job.completed"]
    senders = registering(world)
    world.receiver.trust(senders.secrets[await senders.endpoint(world.hook, events=wanted)])
    world.hook, hook = "https://127.0.0.1:9/nobody", world.hook
    world.start()
    # Long enough to be seen running.
    job = await world.ended(await world.accept("a lake sim:run=1", callback_events=["job.failed"]))
    told = sorted(await world.told(3), key=lambda event: event["data"]["sequence"])
    assert [event["type"] for event in told] == wanted
    numbers = {entry: number for number, entry in enumerate(await world.types(job), start=1)}
    assert [event["data"]["sequence"] for event in told] == [numbers[entry] for entry in wanted]
    assert hook != world.hook


async def test_without_anybody_who_wants_it_only_the_end_is_recorded(world: World) -> None:
    world.start()
    await world.ended(await world.accept("a lake"))
    await world.told(1)
    assert [row["type"] for row in await registering(world).events()] == ["job.completed"]


async def test_every_end_is_on_the_feed_in_its_place(world: World) -> None:
    senders = registering(world)
    world.start()
    jobs = [await world.accept(f"lake {number}") for number in range(3)]
    for job in jobs:
        await world.ended(job)
    await world.told(3)
    await senders.until_all_placed()
    assert len({row["position"] for row in await senders.events()}) == 3


async def test_a_job_shows_the_delivery_to_its_own_url_also_where_that_is_an_endpoints(world: World) -> None:
    senders = registering(world)
    await senders.endpoint("https://127.0.0.1:9/nobody")
    world.receiver.trust(senders.secrets[await senders.endpoint(world.hook)])
    world.start()
    job = await world.ended(await world.accept("a lake"))
    await world.told(1)
    await senders.settled()
    _, delivery = await reading.one(world.database, world.tenant, job.id)
    assert job.status is Status.COMPLETED
    assert delivery is not None
    assert (delivery.url, delivery.status, delivery.attempts) == (world.hook, "delivered", 1)


async def test_what_endpoints_want_is_asked_once_and_remembered(world: World, tenant: Tenant) -> None:
    senders, wanted = registering(world), Wanted(world.database)
    await senders.endpoint(world.hook, events=["job.submitted", "job.failed"])
    await senders.endpoint("https://b.example/", events=["job.failed", "job.completed"])
    expected = {"job.submitted", "job.failed", "job.completed"}
    assert await wanted.by_endpoints(tenant.id, "live") == expected
    assert await wanted.by_endpoints(tenant.id, "test") == set()
    await senders.execute("UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'asked'")
    assert await wanted.by_endpoints(tenant.id, "live") == expected
    assert await Wanted(world.database).by_endpoints(tenant.id, "live") == set()
