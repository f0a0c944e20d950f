"""What does one run show, as the course's assignment asks for it?

`gather` reads the folder of a run, and the text that it was trained on where that is at hand. What
needs the model or the text is computed: the check of the `gradient`, what the model writes (`texts`),
its `losses`, and how much of what it writes is copied (`copying`). From these facts `tables` and
`drawings` are made, `sections` puts them in the order of a report, and `page`, `markdown` and `latex`
write it down; `report` puts the files where they belong. What cannot be had is said in a line, and the
rest is shown.
"""
