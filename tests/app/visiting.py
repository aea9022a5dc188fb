"""A visitor without a browser, simulated by NiceGUI."""

import asyncio
import warnings

from optviz.app.library import Library


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


def work_at_once(tmp_path, monkeypatch):
    """The folder of models of the simulated app; nothing starts a process, and chores are done at once."""

    async def chore(self, do, *args):
        return await asyncio.to_thread(do, *args)

    monkeypatch.setenv("OPTVIZ_TEST_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(Library, "employ", lambda self: None)
    monkeypatch.setattr(Library, "chore", chore)
    return tmp_path / "models"


def sees(path, *sentences, language="en", retries=3):
    """A step: the page at `path` has these `sentences`, at the latest after so many looks."""

    async def step(user):
        user.http_client.cookies.set("optviz-language", language)
        await user.open(path)
        for sentence in sentences:
            await user.should_see(sentence, retries=retries)

    return step
