"""F1 and AUC as one number an item whose mean is exactly the statistic, so that the gate can pair items; pure.

Neither is a mean over items. Both are smooth functions of means, though, so each item is given the statistic plus its
own influence on it (the infinitesimal jackknife, Jaeckel 1972; Efron and Tibshirani 1993, chapter 22): the mean of
these pseudo-values is the statistic, and their spread gives its standard error.
"""

import numpy as np

from slipstream_builder.arrays import Array, Scores


def f1(predicted: Array, labels: Array, reference: Array) -> Scores:
    """Return pseudo-values of the F1 of `predicted` [items] against `labels` [items], classes from 0.

    With labels of 0 and 1 alone it is the F1 of class 1, otherwise the plain mean over the classes that occur in the
    labels. F1 of a class is N / D with N = 2 TP and D = 2 TP + FP + FN as means over the items, so the influence of an
    item is (n - F d) / D. The source's pseudo-values are just these. Those of a candidate are the source's plus
    ((n' - n) - F (d' - d)) / D', which has the mean F' - F exactly and is 0 for every item that both decide alike: so
    the gate sees how few items changed, where that is so. `reference` holds the source's classes [items]; items with
    NaN for a prediction score NaN.
    """
    void = np.isnan(predicted.astype(np.float64))
    classes = np.unique(labels)
    chosen = np.array([1]) if classes.max() <= 1 else classes
    values = np.zeros(len(labels))
    for one in chosen:
        values += _f1_of(one, np.where(void, -1, predicted), labels, reference)
    return np.where(void, np.nan, values / len(chosen))


def auc(scores: Array, labels: Array) -> Scores:
    """Return pseudo-values of the area under the ROC curve of `scores` [items] for labels 0 and 1; ties count half.

    DeLong's structural components (DeLong, DeLong and Clarke-Pearson 1988): of a positive, the share of negatives below
    it; of a negative, the share of positives above it. An item's pseudo-value is A + (n / n_class) (component - A).
    Items with NaN for a score have NaN.
    """
    void = np.isnan(scores)
    filled = np.where(void, 0.0, scores)
    positive = labels == 1
    above, below = filled[positive], filled[~positive]
    components = np.empty(len(labels))
    components[positive] = _share_below(above, below)
    components[~positive] = _share_below(-below, -above)
    area = components[positive].mean()
    weights = np.where(positive, len(labels) / len(above), len(labels) / len(below))
    return np.asarray(np.where(void, np.nan, area + weights * (components - area)), dtype=np.float64)


def _f1_of(one: int, predicted: Array, labels: Array, reference: Array) -> Scores:
    both, either = _parts(reference, labels, one)
    new_both, new_either = _parts(predicted, labels, one)
    value = both.mean() / either.mean()
    influence = (both - value * either) / either.mean()
    change = ((new_both - both) - value * (new_either - either)) / new_either.mean()
    return np.asarray(value + influence + change, dtype=np.float64)


def _parts(predicted: Array, labels: Array, one: int) -> tuple[Scores, Scores]:
    """Return what each item adds to 2 TP, and to 2 TP + FP + FN."""
    said, true = (predicted == one).astype(np.float64), (labels == one).astype(np.float64)
    return 2.0 * said * true, said + true


def _share_below(values: Array, others: Array) -> Scores:
    """Return for each value the share of `others` that are smaller, those equal counting half."""
    ordered = np.sort(others)
    smaller = np.searchsorted(ordered, values, side="left")
    up_to = np.searchsorted(ordered, values, side="right")
    return np.asarray((smaller + up_to) / (2.0 * len(others)), dtype=np.float64)
