"""A small model for the pages, and requests to the routes by which its files come and go."""

import asyncio

import httpx
from fastapi import FastAPI

from optviz import language_model as lm
from optviz.app import lm_api, security

BOOK = lm.decode_book(b"the cat sat on the mat and the dog sat on the cat.\n" * 60, "cats <b>and</b> dogs")
SIZES = {"width": 16, "layers": 1, "heads": 2, "context": 16}
TRAINING = {"steps": 12, "batch_size": 2, "warmup_steps": 2, "validate_every": 6, "save_every": 6}


def made(models, name="one"):
    return lm.create_from_book(name, BOOK, "shakespeare-cpu", sizes=SIZES, training=TRAINING, models=models)


def asked(shelf, method, path, limit=None, **more):
    async def ask():
        app = FastAPI()
        app.include_router(lm_api.routes(shelf))
        limits = {path: limit} if limit else lm_api.UPLOADS
        guarded = security.guarded(app, security.Access(), uploads=limits)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://127.0.0.1:1") as client:
            return await client.request(method, path, **more)

    return asyncio.run(ask())
