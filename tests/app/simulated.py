"""The pages of the app under NiceGUI's simulated user."""

from nicegui import ui

from optviz.app.server import add_pages
from optviz.app.work import Workers

add_pages(Workers())
ui.run(storage_secret="simulated")
