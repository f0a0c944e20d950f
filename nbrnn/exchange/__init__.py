"""How do networks come from other people's programs and tools, and go to them?

`formats` reads and writes files of arrays, those of MATLAB by `matlab`, and never unpickles; `weights`
finds W, U, V, b and c among arrays that others have named and laid out. `export` writes the model of a
run for NumPy, MATLAB, torch and ONNX; `import_` makes a run folder of weights trained elsewhere.
"""
