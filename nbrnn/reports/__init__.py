"""What did the runs show?

`reading` finds the folders of runs and reads each once; `tables` makes frames of them, with the means
and tests of `stats`. From these come the texts of `rows`, the pictures of `figures` and the `samples`,
and from those `markdown` and the `page`; `report` writes all of it. Nothing is trained here, and only
the report's own folder is written in.
"""
