"""The pages of the app under NiceGUI's simulated user, with the models of a folder of the test's own."""

import os

from nicegui import ui

from optviz.app.library import Library
from optviz.app.server import add_pages
from optviz.app.work import Workers

workers = Workers()
add_pages(workers, Library(workers, os.environ["OPTVIZ_TEST_MODELS"]))
ui.run(storage_secret="simulated")
