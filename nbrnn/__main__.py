"""Run the program as `python -m nbrnn`."""

from nbrnn.cli.main import app

app()
