"""What did the runs show?

`reading` finds the folders of runs and reads each once; `tables` makes frames of them. What they say is
found by functions of arrays in statistics, which `findings`, `comparison` and `lengths` call; `answers`
puts it into words, `against` what changed since another time. From these come the texts of `rows`, the
pictures of `figures` and the `samples`, and from those `markdown` and the `page`; `report` writes all of
it, where `writing` allows it. Nothing is trained here, and only the report's own folder is written in.
"""
