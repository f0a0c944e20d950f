"""Write the report of a run and of a sweep: one document, one renderer for each format.

A `document` is made of sections and blocks: `run_document` and `sweep_document` make one of findings,
`table_registry` the tables of a sweep, `sweep_answer` its answer in words, `figures` and `run_figures`
the pictures, with `curves`, `dot_plots` and `heatmaps`. `html`, `markdown` and `latex` render it;
`run_report` and `sweep_report` write all files into a `report_folder`.
"""
