"""Read run folders, make data frames of them, and compute the statistics of many runs.

`run_records` finds and reads folders, `result_tables` makes data frames of them. The statistics take
arrays of losses: `rank_statistics`, `multiple_comparisons`, `effects` and `setting_importance`.
`findings`, `pairwise` and `baseline_diff` apply them to data frames, `comparison_text` says differences
in words. `run_facts` collects what is known of one run, with its `initial_gradient_check`,
`sample_texts` and `text_overlap`.
"""
