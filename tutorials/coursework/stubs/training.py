"""Assignment 5: training. The sheet is sheets/5_training.md. NumPy is all you need. Leave the arguments as they are."""

import numpy as np


def cross_entropy(actual: np.ndarray, logits: np.ndarray) -> float:
    """The loss: the mean over the slices of −log p, p being the softmax's probability of the actual class.

    It must be right for logits of any size, such as ±1000.

    Args:
        actual: (N,) integers, the class of each slice.
        logits: (N, C) floats, the network's outputs before softmax.

    Returns:
        nats (natural logarithm).

    >>> round(float(cross_entropy(np.array([2, 0]), np.zeros((2, 6)))), 4)
    1.7918
    """
    raise NotImplementedError


def moments(
    gradient: np.ndarray, m: np.ndarray, v: np.ndarray, beta1: float, beta2: float
) -> tuple[np.ndarray, np.ndarray]:
    """Adam's two running means after one more gradient, not corrected.

    Args:
        gradient: any shape.
        m, v: the same shape; the running means of the gradient and of its square, before.
        beta1, beta2: the share of m and of v that is kept.

    Returns:
        m and v after it.

    >>> m, v = moments(np.array([2.0, -1.0]), np.array([0.0, 1.0]), np.array([0.0, 4.0]), 0.95, 0.75)
    >>> [round(float(x), 4) for x in m], [round(float(x), 4) for x in v]
    ([0.1, 0.9], [1.0, 3.25])
    """
    raise NotImplementedError


def bias_corrected(moment: np.ndarray, beta: float, step: int) -> np.ndarray:
    """A running mean, corrected for having started at 0.

    Args:
        moment: any shape; m or v after `step` gradients.
        beta: the share of it that each step keeps.
        step: gradients so far, 1 after the first.

    Returns:
        The same shape.

    >>> bias_corrected(np.array([0.1]), 0.95, 1).round(4).tolist()
    [2.0]
    """
    raise NotImplementedError


def adam_step(
    parameter: np.ndarray,
    gradient: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    step: int,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    keras_epsilon: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of Adam.

    Args:
        parameter, gradient: any shape.
        m, v: the same shape; the running means before this step, not corrected. Both are 0 before the first.
        step: this step's number; the first is 1.
        learning_rate, beta1, beta2, epsilon: Adam's settings.
        keras_epsilon: where ε is added. False: to the root of the corrected v, as in Algorithm 1 of Kingma and Ba.
            True: to the root of v before v is corrected, as Keras does; what is corrected afterwards is this sum.

    Returns:
        The parameter, m and v after the step; m and v not corrected.

    >>> zero = np.array([0.0])
    >>> parameter, m, v = adam_step(np.array([1.0]), np.array([2.0]), zero, zero, 1, 0.1, 0.95, 0.999, 1e-7, False)
    >>> round(float(parameter[0]), 4), round(float(m[0]), 4), round(float(v[0]), 4)
    (0.9, 0.1, 0.004)
    """
    raise NotImplementedError


def early_stopping(losses: list[float], patience: int, rule: str) -> tuple[int, int]:
    """When a training ends. Epochs count from 1.

    Args:
        losses: the validation loss of each epoch, as long as the training would be without early stopping.
        patience: the bad epochs in a row that end it, 1 or more.
        rule: "no-improvement": an epoch is bad unless its loss is below all before it.
            "rises": an epoch is bad if its loss is above that of the epoch before it; the first is not.
            A loss that is NaN is bad by both rules and never the best. By "rises", an epoch after NaN is bad, too.

    Returns:
        The epoch after which it ends (the last one if patience never runs out), and the one of the lowest loss up to
        there (the earliest of equals; 0 if all are NaN).

    >>> early_stopping([0.9, 0.5, 0.6, 0.55, 0.58, 0.4], 2, "no-improvement")
    (4, 2)
    >>> early_stopping([0.9, 0.5, 0.6, 0.55, 0.58, 0.4], 2, "rises")
    (6, 6)
    """
    raise NotImplementedError
