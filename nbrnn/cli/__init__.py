"""What does the user type and see?

`main` is the program; a module for each group of commands, each of which parses, calls and prints.
`options` has what several commands take, made from the settings of RunConfig; `console` shows errors in
one line and tables, `signals` ends the program in order, `watch` shows progress. What a command needs is
imported inside of it, so that `nbrnn --help` is instant.
"""
