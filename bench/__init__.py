"""Benchmarks: nbrnn beside other programs for the same, each checked before it is timed."""
