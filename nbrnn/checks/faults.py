"""The mistakes that are tried: the name of each, and the sentence that says what to look for.

In the sentences {it} stands for the arrays concerned.
"""

from __future__ import annotations

Fault = str | tuple[str, float]  # with a number: steps of a truncation, a weight of the smooth loss

STATE_FAULTS = {
    "h_0 ignored": "the window starts from h = 0 instead of the given h_0",
    "state not handed on": "every step starts from h_0: h is not carried over from step to step",
    "every step but the first from 0": "all steps but the first start from h = 0: is h_t put elsewhere?",
    "W transposed": "the forward pass uses the transpose of W",
    "b left out": "b is left out of a_t = W h_{t-1} + U x_t + b",
    "x read as indices": "the one-hot vectors of x are used as indices",
    "sigmoid for tanh": "h_t is the logistic sigmoid of a_t instead of its tanh",
    "no tanh": "tanh is missing: h_t is a_t",
    "reads y": "the network reads the targets y instead of the inputs x",
}
OUTPUT_FAULTS = {
    "h_{t-1} for h_t in o": "o_t is computed from h_{t-1} instead of h_t",
    "c left out": "c is left out of o_t = V h_t + c",
    "softmax over time": "softmax is taken over the steps instead of the characters",
    "softmax over all": "softmax divides by the sum over all steps instead of each step's own",
}
LOSS_FAULTS = {
    "targets are x": "the targets are shifted by one: the loss is that of the inputs x",
    "targets late": "the targets are shifted by one: y_{t-1} stands where y_t should",
    "targets early": "the targets are shifted by one: y_{t+1} stands where y_t should",
    "y read as indices": "the one-hot vectors of y are used as indices",
    "y read as K indices": "the one-hot vectors of y are used as indices, all K of each step",
    "softmax twice": "softmax is applied twice: the loss takes probabilities for logits",
    "log missing": "the logarithm is missing: the loss adds up -p_t[y_t] instead of -log p_t[y_t]",
}
BACKWARD_FAULTS = {
    "next step missing": "the next step's term is missing: dL/dh_t should be V^T do_t + W^T da_{t+1}",
    "tanh' missing": "the derivative of tanh is missing: da_t is dh_t instead of (1 - h_t^2) dh_t",
    "tanh' missing in the next step's term": "the step before gets W^T dh_t instead of W^T da_t",
    "tanh' without the square": "the derivative of tanh is 1 - h_t instead of 1 - h_t^2",
    "tanh' of a": "the derivative of tanh is 1 - a_t^2 instead of 1 - h_t^2 with h_t = tanh(a_t)",
    "tanh' of tanh(h)": "the derivative of tanh is 1 - tanh(h_t)^2 instead of 1 - h_t^2",
    "W for its transpose": "W stands for its transpose: dL/dh_t should be V^T do_t + W^T da_{t+1}",
    "only the last loss": "only the loss of the last step is propagated back",
    "softmax' missing": "do_t is -y_t / p_t, the derivative by p_t; through softmax it is p_t - y_t",
    "softmax' applied twice": "the derivative of softmax is taken twice: p_t - y_t contains it already",
}
PART_FAULTS = {  # the sum has only a part of the steps or windows
    "only the last step": "{it} has only the last step instead of the sum over all",
    "only the first step": "{it} has only the first step: does each step of the loop overwrite it?",
    "only the first window": "{it} has only the first window of the batch",
}
SUM_FAULTS = {  # of a bias
    "wrong axis": "{it} is summed over the wrong axis: over the units instead of the steps",
    "summed to one number": "{it} is summed over both axes, to one number",
    "not summed over time": "{it} is not summed over the steps",
    "not summed over windows": "{it} is not summed over the windows of the batch",
}
ASSEMBLY_FAULTS = {  # how a single gradient is summed, in the order in which it comes about
    "h_t for h_{t-1}": "{it} uses the state of the wrong step: dW has da_t h_{t-1}^T, dV has do_t h_t^T",
    "h_0 ignored in it": "{it} leaves out h_0: the first step's da_1 h_0^T is missing",
    "y for x": "{it} uses the targets y_t instead of the inputs x_t",
    **PART_FAULTS,
    "transposed": "{it} is transposed",
    **SUM_FAULTS,
}
STEP_FAULTS = {
    "uphill": "the step goes uphill: the sign of the update is wrong",
    "not clipped": "the gradients are not clipped before the step, where the settings say --clip {clip}",
    "clipped by norm": "the gradients are clipped by their norm, not each number to [-{clip}, {clip}]",
    "eta twice": "eta is multiplied in twice",
    "stepped twice": "the step is twice as long: is it taken twice?",
    "no bias correction": "the bias correction is missing: m / (1 - beta1^t), v / (1 - beta2^t)",
    "no bias correction of the mean": "the bias correction of m is missing: m / (1 - beta1^t)",
    "no bias correction of the square": "the bias correction of v is missing: v / (1 - beta2^t)",
    "t off by one": "t in the bias correction is one too large: the first step uses t = 2 instead of 1",
    "t stays at 1": "t in the bias correction stays at 1: it should count the steps",
    "memory not kept": "the optimizer's memory is not kept: it starts from zero at each step",
    "memory of the gradient, not of its square": "the memory adds up |g| instead of g * g",
    "epsilon on the other side of the root": "epsilon is {there} the root, {optimizer} has it {here}",
    "no root": "the root is missing: the step is divided by its square",
    "plain gradient": "the step is eta g: the division of {optimizer} is missing",
}
SMOOTH_FAULTS = {
    "begun at 0": "the smooth loss starts at 0 instead of the first loss",
    "begun as a sum": "the smooth loss starts with a sum over the window and continues with means",
    "begun as a mean": "the smooth loss starts with a mean over the window and continues with sums",
    "begun at a uniform guess": "the smooth loss starts at T log K or log K instead of the first loss",
    "a step late": "the smooth loss lags by one update: it is recorded before it takes in the loss",
    "weights exchanged": "the weights are exchanged: it is 0.999 smooth + 0.001 L",
    "begun elsewhere": "the smooth loss starts at another number than the first loss",
}
OTHERS = {
    "another h_0": "the window starts from another state than the given h_0: h_1 does not follow",
    "logits for P": "{it} holds the o_t, before softmax",
    "log P for P": "{it} holds logarithms of the probabilities",
    "loss after the step": "the loss is that of the parameters after the step instead of those before",
    "truncated": "back-propagation stops after {number:g} steps back instead of at the window's start",
    "weights": "the smooth loss keeps {number:.4g} of itself instead of 0.999",
}
SENTENCES = {
    **STATE_FAULTS,
    **OUTPUT_FAULTS,
    **LOSS_FAULTS,
    **BACKWARD_FAULTS,
    **ASSEMBLY_FAULTS,
    **STEP_FAULTS,
    **SMOOTH_FAULTS,
    **OTHERS,
}

FACTORS = {  # by the name of the factor
    "-1": "the sign is wrong",
    "T": "a sum over the T characters of the window instead of their mean: T times too large",
    "1/T": "a mean over the T characters of the window instead of their sum: T times too small",
    "B": "a sum over the B windows of the batch instead of their mean: B times too large",
    "1/B": "divided by the B windows once too often: B times too small",
    "T B": "a sum over all T B characters instead of their mean: T B times too large",
    "1/(T B)": "a mean over all T B characters instead of each window's sum: T B times too small",
    "T/K": "divided by the K characters of the alphabet instead of the T of the window: a wrong axis?",
    "1/K": "divided by the K characters of the alphabet: is T taken from the wrong axis?",
    "bits": "in bits instead of nats: divided by log 2, as by a logarithm to base 2",
    "1/2": "half as large as it should be",
}


def name_of(fault: Fault) -> str:
    """Return the name of a mistake without its number."""
    return fault if isinstance(fault, str) else fault[0]


def sentence_of(fault: Fault, **words: str) -> str:
    """Return the sentence of a mistake."""
    sentence = SENTENCES[name_of(fault)]
    if not isinstance(fault, str):
        return sentence.format(number=fault[1])
    for name, word in words.items():  # other braces are the equations'
        sentence = sentence.replace("{" + name + "}", word)
    return sentence
