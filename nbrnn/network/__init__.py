"""What is computed? A vanilla RNN over characters, in compiled kernels that see nothing but arrays.

    a_t = W h_{t-1} + U x_t + b      h_t = tanh(a_t)      o_t = V h_t + c      p_t = softmax(o_t)
    L = -sum_t log p_t[y_t]          G += g*g             theta -= eta g / sqrt(G + eps)

for one window of T characters x with their successors y. With m hidden units, M = m rounded up to whole
cache lines, and K characters the parameters lie in one flat buffer, the states beside it:

    U (1, K, M)   W (1, m, M)   b (1, M)                  of each layer, for each gate, U transposed
    V (K, M)   c (K,)                                     of the readout
    s (1, T+1, M)   p (T, K)   dz (1, T, M)               s[0, 0] is the state before the window

Columns m to M stay exactly zero: they start at zero and their gradient is zero.

Where to look:

    the shapes and initialization           layout            Layout, Parameters, Gradient
    what else kernels are given             buffers           LayerWork, Work, BatchWork, Buffers, Plan
    one cell, forward and back in time      cells/            forward, backward, gradients
    logits and the loss                     readout           logits, softmax_loss, batch_loss
    all layers, forward and back (BPTT)     propagation       forward, window_loss, window_backward
    AdaGrad, and how to add an optimizer    optimizers        AdaGrad, adagrad, RULES
    the loop over updates                   training_kernels  train, loss_gradient
    samples, scores                         sampling_kernels  sample, evaluate
    passages of one text within another     suffix_automaton  copied_lengths
    whether compiled code is ready          kernel_cache      ready, ready_for
    whether the gradient is right           gradcheck         gradcheck
    vector registers, products, exp, tanh   simd/

The caller allocates, by a Layout; a kernel fills. Equation letters stand in kernels, words outside.
"""
