"""How is arithmetic on vector registers written in Numba?

vector_types    blocks of vector registers as a Numba type, and how their code is emitted
vector_ops      the operations on blocks: load, store, broadcast, arithmetic
exp_tanh        exp and tanh over arrays
matmul          products of matrices and vectors
jit             the compiler flags
"""
