"""What is each mistake called, in a sentence that says what to look for?"""

from __future__ import annotations

from nbrnn.checks.multiples import Scaling
from nbrnn.checks.reference import Fault

SENTENCES = {
    "h_0 ignored": "the window starts from h = 0 instead of the given h_0",
    "state not handed on": "every step starts from h_0: h is not handed on from step to step",
    "every step but the first from 0": "every step but the first starts from h = 0: is h_t written "
    "where the next step does not look for it?",
    "another h_0": "from h_1 on each state follows from the one before: the window starts from another "
    "state than the given h_0",
    "W transposed": "the forward pass uses the transpose of W",
    "b left out": "b is left out of a_t = W h_{t-1} + U x_t + b",
    "x read as indices": "the one-hot vectors of x are used as indices",
    "sigmoid for tanh": "h_t is the logistic sigmoid of a_t instead of its tanh",
    "no tanh": "tanh is missing: h_t is a_t",
    "reads y": "the network reads the targets y instead of the inputs x",
    "h_{t-1} for h_t in o": "o_t is computed of h_{t-1} instead of h_t",
    "logits for P": "{it}: these are the o_t, before softmax",
    "log P for P": "{it}: these are logarithms of the probabilities",
    "c left out": "c is left out of o_t = V h_t + c",
    "softmax over time": "softmax is taken along the wrong axis: probabilities add up to 1 over "
    "the steps, instead of over the characters",
    "softmax over all": "softmax divides by the sum over all steps, instead of each step's own",
    "targets are x": "the targets are shifted by one: the loss is of the inputs, not of what comes next",
    "targets late": "the targets are shifted by one: y_{t-1} stands where y_t should",
    "targets early": "the targets are shifted by one: y_{t+1} stands where y_t should",
    "y read as indices": "the one-hot vectors of y are used as indices",
    "y read as K indices": "the one-hot vectors of y are used as indices, all K of each step",
    "loss after the step": "the loss is that of the parameters after the step, not of those before",
    "softmax twice": "softmax is applied twice: the loss takes probabilities for logits",
    "log missing": "the logarithm is missing: the loss adds up -p_t[y_t] instead of -log p_t[y_t]",
    "next step missing": "the next step's term is missing in back-propagation: dL/dh_t should be "
    "V^T do_t + W^T da_{t+1}, here W^T da_{t+1} is left out",
    "tanh' missing": "the derivative of tanh is missing: da_t should be (1 - h_t^2) dh_t, "
    "here it is dh_t",
    "tanh' missing in the next step's term": "what goes back to the step before is W^T dh_t instead of "
    "W^T da_t: the factor (1 - h_t^2) is missing in it",
    "tanh' without the square": "the derivative of tanh should be 1 - h_t^2, here it is 1 - h_t",
    "tanh' of a": "the derivative of tanh should be 1 - h_t^2 with h_t = tanh(a_t), "
    "here it is 1 - a_t^2",
    "tanh' of tanh(h)": "the derivative of tanh should be 1 - h_t^2, "
    "here tanh is taken of h_t once more",
    "W for its transpose": "W takes the place of its transpose in back-propagation: dL/dh_t should be "
    "V^T do_t + W^T da_{t+1}, here it has W da_{t+1}",
    "only the last loss": "only the loss of the last step is propagated back",
    "softmax' missing": "do_t is -y_t / p_t, the derivative by p_t; through softmax it is p_t - y_t",
    "softmax' applied twice": "the derivative of softmax is taken twice: it is in p_t - y_t already",
    "transposed": "{it} is transposed",
    "h_t for h_{t-1}": "{it} uses the state of the wrong step: dW should have da_t h_{t-1}^T, "
    "with h_0 in the first, and dV do_t h_t^T",
    "h_0 ignored in it": "{it} leaves out h_0: the first step's da_1 h_0^T is missing",
    "y for x": "{it} uses the targets y_t instead of the inputs x_t",
    "only the last step": "{it} has only the last step instead of the sum over all",
    "only the first step": "{it} has only the first step instead of the sum over all: is it overwritten "
    "in the loop?",
    "only the first window": "{it} has only the first window of the batch",
    "wrong axis": "{it} is summed over the wrong axis: over the units instead of the steps",
    "summed to one number": "{it} is summed over both axes, to one number",
    "not summed over time": "{it} is not summed over the steps",
    "not summed over windows": "{it} is not summed over the windows of the batch",
    "uphill": "the step goes uphill: the sign of the update is wrong",
    "not clipped": "the gradients are not clipped before the step, where the settings say --clip {clip}",
    "clipped by norm": "the gradients are clipped by their norm, not each number to [-{clip}, {clip}]",
    "eta twice": "eta is multiplied in twice",
    "stepped twice": "the step is twice as long: is it taken twice?",
    "no bias correction": "the bias correction is missing: it should be m / (1 - beta1^t), "
    "v / (1 - beta2^t)",
    "no bias correction of the mean": "the bias correction of m is missing: m / (1 - beta1^t)",
    "no bias correction of the square": "the bias correction of v is missing: v / (1 - beta2^t)",
    "t off by one": "t in the bias correction is one too large: the first step uses t = 2 instead of 1",
    "t stays at 1": "t in the bias correction stays at 1: it counts the steps",
    "memory not kept": "the optimizer's memory is not kept: it starts from zero at each step",
    "memory of the gradient, not of its square": "the memory adds up |g| instead of g * g",
    "epsilon on the other side of the root": "epsilon stands {there} the root; {optimizer} here has it "
    "{here}",
    "no root": "the root is missing: the step is divided by its square",
    "plain gradient": "the step is eta g: {optimizer}'s division is missing",
    "begun at 0": "the smooth loss begins at 0 instead of the first loss",
    "begun as a sum": "the smooth loss begins with a sum over the window and goes on with means",
    "begun as a mean": "the smooth loss begins with a mean over the window and goes on with sums",
    "begun at a uniform guess": "the smooth loss begins at a uniform guess, T log K or log K, "
    "instead of the first loss",
    "a step late": "the smooth loss lags by one update: each loss is taken in after it is written down",
    "weights exchanged": "the weights are exchanged: it is 0.999 smooth + 0.001 L",
    "begun elsewhere": "the smooth loss begins at another number than the first loss",
}

FACTORS = {
    "-1": "the sign is wrong",
    "T": "a sum over the T characters of the window, instead of their mean: T times too large",
    "1/T": "a mean over the T characters of the window, instead of their sum: T times too small",
    "B": "a sum over the B windows of the batch instead of their mean: B times too large",
    "1/B": "divided by the B windows once too often: B times too small",
    "T B": "a sum over all T B characters instead of their mean: T B times too large",
    "1/(T B)": "a mean over all T B characters instead of each window's sum: T B times too small",
    **dict.fromkeys(
        ("T/K", "1/K"),
        "divided by the K characters of the alphabet instead of the T of the window: "
        "is T taken from the wrong axis?",
    ),
    "bits": "in bits instead of nats: log 2 times too small, a logarithm to base 2",
    "1/2": "half as large as it should be",
}


def of_fault(fault: Fault, **words: str) -> str:
    """Return the sentence of a mistake."""
    if isinstance(fault, tuple):
        return f"back-propagation stops after {fault[1]} steps back, not at the window's start"
    if fault.startswith("weights "):
        kept = float(fault.removeprefix("weights "))
        return f"the smooth loss keeps {kept:.4g} of itself instead of 0.999"
    sentence = SENTENCES[fault]
    for name, word in words.items():
        sentence = sentence.replace("{" + name + "}", word)
    return sentence


def of_scaling(scaling: Scaling, what: str, clip: float | str) -> str:
    """Return the sentence of a factor, or of clipping."""
    number, reason = f"{scaling.number:g}", scaling.reason
    sentences = {
        "clipped": f"clipped to [-{number}, {number}], where the settings say --clip {clip}",
        "norm": f"clipped by its norm, to {number}",
        "multiple": f"{number} times what it should be",
        "zero": "0 everywhere: is anything ever added to it?",
        "factor": f"{number} times too large, as if the gradients of {number} calls were added up",
    }
    return f"{what}: {FACTORS.get(reason, sentences[scaling.kind])}"
