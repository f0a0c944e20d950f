"""Run the program as `python -m nbrnn`."""

from nbrnn.cli import app

app()
