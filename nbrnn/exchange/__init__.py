"""How do networks come from other programs and tools, and go to them?

`array_files` reads and writes files of arrays, with `mat_reader` for .mat and `onnx_graph` for .onnx,
and never unpickles. `array_roles`, with `layer_names`, is the one table of what others call their
arrays; `weights` finds a network and its layout among them, for import and check. `importer` makes a
run of such weights; `export` writes the model of a run for NumPy, MATLAB, torch and ONNX.
"""
