"""How sure is what many runs show? Arrays of losses go in, estimates with their uncertainty come out.

`stats` has means with confidence intervals and corrected p-values; `cells` the runs of each combination
of settings. `best` says which combinations may be the best, `effects` what each setting does and which
of them interact, `importance` their shares in what a random search shows, `chances` how likely one run
beats another and what the best of several is, `rankings` whether a ranking by short runs holds.
"""
