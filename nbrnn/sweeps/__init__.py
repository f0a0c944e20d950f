"""Many experiments: which, where, in parallel, and which are done already?"""
