"""How does one experiment proceed, and what does it leave on disk?"""
