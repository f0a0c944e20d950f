"""What is computed? A vanilla RNN over characters, in compiled kernels that see nothing but arrays.

    a_t = W h_{t-1} + U x_t + b      h_t = tanh(a_t)      o_t = V h_t + c      p_t = softmax(o_t)
    L = -sum_t log p_t[y_t]          G += g*g             theta -= eta g / sqrt(G + eps)

for one window of T characters x with their successors y. With m hidden units, M = m rounded up to whole
cache lines, and K characters the parameters lie in one flat buffer, the states beside it:

    U (K, M)   W (m, M)   V (K, M)   b (M,)   c (K,)      one row of U and of V per character
    h (T+1, M)   p (T, K)   da (T, M)                     h[0] is the state before the window

Columns m to M stay exactly zero: they start at zero and their gradient is zero.

Where to look:

    the shapes, and what kernels are given  layout            Layout, Parameters, Gradient, Work, Buffers
    forward, and the loss                   rnn               forward, softmax_loss
    back-propagation through time (BPTT)    rnn               backward
    the same for several windows at once    batches           batch_forward, batch_loss, batch_backward
    the windows of one update               windows           loss_of_one, loss_of_several
    AdaGrad, and how to add an optimizer    optimizers        AdaGrad, adagrad, RULES
    the loop over updates, samples, scores  training_kernels  train, sample, evaluate
    passages of one text within another     suffix_automaton  copied_lengths
    whether compiled code is ready          kernel_cache      ready, ready_to_train
    whether the gradient is right           gradcheck         gradcheck
    vector registers, products, exp, tanh   simd/

The caller allocates, by a Layout; a kernel fills. Equation letters stand in kernels, words outside.
"""
