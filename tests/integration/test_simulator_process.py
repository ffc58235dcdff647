import asyncio
import signal
import sys

import aiohttp


async def test_a_simulator_of_its_own_prints_its_url_and_ends_cleanly_when_told_to() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.cli", "simulator", "--port", "0"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        headers = {"Authorization": "Bearer t"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(url + "/v1/models/blackforestlabs/flux-2/dev/edit") as answer,
        ):
            assert (await answer.json())["model_id"] == "blackforestlabs/flux-2/dev/edit"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
