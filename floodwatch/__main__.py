"""``python -m floodwatch``: the same as the ``floodwatch`` command."""

from floodwatch.cli import run

run()
