"""The command line: it parses, calls and prints.

`main` is the program. Each other module holds one command or a group of them, which parse, call and
print. `options` has what several commands take, made from the settings of RunConfig; `console` prints
errors in one line, tables and paragraphs; `suggestions` explains wrong usage; `completion` is for the
shell. A command imports what it needs when it runs, so that `nbrnn --help` is instant.
"""
