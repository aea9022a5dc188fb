"""A visitor without a browser, simulated by NiceGUI."""

import asyncio
import warnings


def visit(*steps, main):
    """Let a simulated user of the app in the file `main` do the `steps`, each a coroutine function of the user."""
    from nicegui.testing import user_simulation

    async def run():
        async with user_simulation(main_file=main) as user:
            for step in steps:
                await step(user)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NiceGUI's own, under Python's next version
        asyncio.run(run())


def sees(path, *sentences, language="en", retries=3):
    """A step: the page at `path` has these `sentences`, at the latest after so many looks."""

    async def step(user):
        user.http_client.cookies.set("optviz-language", language)
        await user.open(path)
        for sentence in sentences:
            await user.should_see(sentence, retries=retries)

    return step
