# %% [markdown]
# # 5 · Değerlendirme Metrikleri · Evaluation Metrics
#
# The paper counts right answers in seven equations. All of them come from one table, the *confusion matrix*. In this
# tutorial you write each by hand, check it against scikit-learn and the package, prove that two of them are the same
# number, and see how a high accuracy can mean next to nothing.
#
# - **You will** write the paper's seven equations with NumPy and check them against scikit-learn.
# - **You will learn** to read a confusion matrix, and which single numbers hide what it shows.
# - **You need** NumPy. Nothing is trained here, so tutorials 3 and 4 can wait.
# - **It takes** about 60 minutes to study, and 30 more for the exercises.

# %%
from importlib.util import find_spec

if not (find_spec("ich_jax") and find_spec("tutorials")):
    raise ModuleNotFoundError(
        "install the project first, in a cell of its own or in a terminal:  "
        "%pip install <folder or git address of this project>"
    )

# %%
import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as sklearn_metrics

from ich_jax.paper import metrics, printed
from ich_jax.paper.printed import CLASSES
from ich_jax.plumbing.files import read_json
from ich_jax.show import figures
from tutorials.common import finished, show, start, table

data = start()

# %% [markdown]
# ## One table for everything
#
# Row $i$, column $j$ of the confusion matrix is the number of slices that **are** class $i$ and **were called** class
# $j$. What is right stands on the diagonal. A dozen made-up answers:

# %%
actual = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2, 4, 5, 5])
called = np.array([0, 0, 0, 0, 0, 5, 5, 1, 2, 0, 5, 0])

by_hand = np.zeros((6, 6), int)
for i, j in zip(actual, called, strict=True):
    by_hand[i, j] += 1
assert np.array_equal(by_hand, metrics.confusion_matrix(actual, called))
table(
    ("actual \\ called", *CLASSES),
    [(name, *row) for name, row in zip(CLASSES, by_hand, strict=True)],
)

# %% [markdown]
# From here on we use a real one: the paper's Table 6, the proposed network's 180,180 test slices.

# %%
confusion = printed.confusion("proposed")
show(
    figures.confusion_figure(confusion, "the paper's Table 6: proposed network, batch 8"),
    "Counts and, below them, the share of the row; the shade is the share. The first column is "
    "dark: what is missed is mostly called 'none'. RSNA data, printed in the paper.",
)

# %% [markdown]
# ## Equations (1) to (7)
#
# For class $i$: $TP_i$ are the slices of class $i$ called $i$; $FP_i$ those called $i$ that are not; $FN_i$ those of
# class $i$ called something else. $N_i$ is the number of slices of class $i$ and $N$ all of them.
#
# $$\text{accuracy} = \frac{\sum_i TP_i}{N} \;(1) \qquad P_i = \frac{TP_i}{TP_i + FP_i} \;(2) \qquad R_i = \frac{TP_i}{TP_i + FN_i} \;(4)$$
#
# $$F_i = \frac{2 P_i R_i}{P_i + R_i} \;(6) \qquad \text{and weighted, of each:}\quad \sum_i \frac{N_i}{N} P_i \;(3), \quad \sum_i \frac{N_i}{N} R_i \;(5), \quad \sum_i \frac{N_i}{N} F_i \;(7)$$
#
# (A class that is never called has $P = 0/0$; like scikit-learn, the package counts that as 0.)
#
# *Precision* $P$ asks: when it says "subdural", is it right? *Recall* $R$ asks: of the subdural bleeds, how many were
# found? $F$ is their harmonic mean, low if either is.

# %%
true_positives = np.diag(confusion)
false_positives = confusion.sum(axis=0) - true_positives
false_negatives = confusion.sum(axis=1) - true_positives
precision = true_positives / (true_positives + false_positives)
recall = true_positives / (true_positives + false_negatives)
f1 = 2 * precision * recall / (precision + recall)
share = confusion.sum(axis=1) / confusion.sum()

table(
    ("class", "slices", "precision", "recall", "F1"),
    [
        (name, f"{n:,}", *row)
        for name, n, *row in zip(
            CLASSES,
            confusion.sum(axis=1),
            precision.tolist(),
            recall.tolist(),
            f1.tolist(),
            strict=True,
        )
    ],
)

# %% [markdown]
# scikit-learn works on answers, not on tables. So take the table apart into one pair (actual, called) for each slice,
# and compare. The package must agree as well.

# %%
cells = np.repeat(np.arange(36), confusion.ravel())  # cell 6·i + j, once for each of its slices
i, j = cells // 6, cells % 6  # actual and called
print(f"{len(i):,} pairs")
theirs = sklearn_metrics.precision_recall_fscore_support(i, j, average="weighted")
np.testing.assert_allclose((share @ precision, share @ recall, share @ f1), theirs[:3])
np.testing.assert_allclose(
    (precision, recall, f1), sklearn_metrics.precision_recall_fscore_support(i, j)[:3]
)
np.testing.assert_allclose(
    (metrics.precision(confusion), metrics.recall(confusion), metrics.f1(confusion)),
    (precision, recall, f1),
)
accuracy = true_positives.sum() / confusion.sum()
rows = [
    (
        "accuracy (1)",
        float(accuracy),
        sklearn_metrics.accuracy_score(i, j),
        metrics.accuracy(confusion),
    ),
    (
        "weighted precision (3)",
        float(share @ precision),
        theirs[0],
        metrics.weighted(metrics.precision(confusion), confusion),
    ),
    (
        "weighted recall (5)",
        float(share @ recall),
        theirs[1],
        metrics.weighted(metrics.recall(confusion), confusion),
    ),
    (
        "weighted F1 (7)",
        float(share @ f1),
        theirs[2],
        metrics.weighted(metrics.f1(confusion), confusion),
    ),
]
table(
    ("metric", "by hand", "scikit-learn", "ich_jax"),
    [(name, *map(float, row)) for name, *row in rows],
)

# %% [markdown]
# ## Two equations, one number
#
# Look at (1) and (5) in the table: they are equal, and not by chance.
#
# $$\sum_i \frac{N_i}{N}\, R_i = \sum_i \frac{N_i}{N} \cdot \frac{TP_i}{N_i} = \frac{\sum_i TP_i}{N} = \text{accuracy},$$
#
# because $TP_i + FN_i$ is $N_i$: the weights cancel. Weighted recall **is** accuracy, always. So the two columns of the
# paper that print them have to agree. Do they? (With data of your own, the last column is what was measured on them, once
# the trainings of [tutorial 7](07_comparison.ipynb) are there.)

# %%
accuracies, recalls, rows = printed.table_3(), printed.table_5(), []
header = ["network", "printed: accuracy, Table 3", "printed: weighted recall, Table 5"]
header += ["audited: from its confusion matrix"]
measured = {name: finished(f"{name}-8") for name in printed.NETWORKS}
if any(measured.values()):
    header.append(f"measured here, {data.title}")
for name, run in measured.items():
    row = [name, accuracies[name]["test_accuracy"], recalls[name]["recall"]]
    row.append(metrics.accuracy(printed.confusion(name)))
    if any(measured.values()):
        row.append(read_json(run / "metrics.json")["accuracy"] if run else "—")
    rows.append(row)
table(header, rows)

# %% [markdown]
# Not once to the last digit, and for DenseNet121 not even to the first. [Tutorial 7](07_comparison.ipynb) follows that
# up.
#
# ## How accuracy flatters
#
# 89.5 % of the paper's test slices show no hemorrhage. A "network" that always answers "none" never finds a bleed, and:

# %%
always_none = np.zeros((6, 6), int)
always_none[:, 0] = confusion.sum(axis=1)
table(
    ("metric", "always 'none'", "proposed network"),
    [
        ("accuracy", metrics.accuracy(always_none), metrics.accuracy(confusion)),
        (
            "weighted F1",
            metrics.weighted(metrics.f1(always_none), always_none),
            metrics.weighted(metrics.f1(confusion), confusion),
        ),
        (
            "balanced accuracy",
            metrics.balanced_accuracy(always_none),
            metrics.balanced_accuracy(confusion),
        ),
        ("macro F1", metrics.f1_macro(always_none), metrics.f1_macro(confusion)),
        (
            "Matthews correlation",
            metrics.matthews_correlation(always_none),
            metrics.matthews_correlation(confusion),
        ),
        (
            "any hemorrhage: sensitivity",
            metrics.any_sensitivity(always_none),
            metrics.any_sensitivity(confusion),
        ),
        (
            "any hemorrhage: specificity",
            metrics.any_specificity(always_none),
            metrics.any_specificity(confusion),
        ),
    ],
)

# %% [markdown]
# Accuracy 0.89 for doing nothing. The four metrics in the middle are not fooled: *balanced accuracy* is the plain mean
# of the six recalls and *macro F1* that of the six F1; the *Matthews correlation*, from −1 to 1, is 0 for every
# constant answer; *sensitivity* asks the question that matters in an emergency room, whether there is a bleed at all:
# of the slices with one, the share not called "none". Its partner *specificity*, the share of slices without a bleed
# that are called "none", is perfect for the lazy answer: the two have to be read together.
#
# Accuracy depends on who happens to be tested. Keep the proposed network exactly as good as it is, each row's shares
# fixed, and change only how many slices show no hemorrhage:

# %%
shares = confusion / confusion.sum(axis=1, keepdims=True)
among_bleeds = confusion[1:].sum(axis=1) / confusion[1:].sum()
healthy = np.linspace(0.05, 0.99, 60)
curves = {
    "accuracy (= weighted recall)": [],
    "weighted F1": [],
    "balanced accuracy": [],
    "always 'none': accuracy": [],
}
for p in healthy:
    mixed = shares * np.concatenate([[p], (1 - p) * among_bleeds])[:, None]
    curves["accuracy (= weighted recall)"].append(metrics.accuracy(mixed))
    curves["weighted F1"].append(metrics.weighted(metrics.f1(mixed), mixed))
    curves["balanced accuracy"].append(metrics.balanced_accuracy(mixed))
    curves["always 'none': accuracy"].append(p)
figure = Figure(figsize=(9, 3.8), layout="constrained")
axes = figure.subplots()
for (name, values), line in zip(curves.items(), ("-", "--", "-.", ":"), strict=True):
    axes.plot(healthy, values, line, color="0.55" if "always" in name else "black", label=name)
axes.axvline(share[0], color="0.8", zorder=0)
axes.text(share[0] - 0.005, 0.35, "RSNA", rotation=90, ha="right", fontsize=8, color="0.4")
axes.set(xlabel="share of slices without hemorrhage", ylabel="metric", ylim=(0, 1))
axes.legend(fontsize=8, loc="lower right")
show(
    figure,
    "The same network, tested on different mixtures. Accuracy rises with the share of "
    "healthy slices, and weighted F1 soon follows, though nothing got better; balanced accuracy "
    "does not move. From the paper's Table 6.",
)

# %% [markdown]
# ## Sure, or right?
#
# A confusion matrix only knows what was called. A network also says how sure it is, and a reader can move the
# threshold. The **AUC** (area under the receiver operating characteristic curve) measures the ranking itself, for one
# class against the rest: the chance that a slice of the class gets a higher score for it than another slice, ties
# counting half. By definition, over all pairs:


# %%
def auc_by_hand(positive: np.ndarray, scores: np.ndarray) -> float:
    wins = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    return float(np.mean(wins))


rng = np.random.default_rng(0)
positive = rng.random(200) < 0.1
scores = np.round(rng.random(200) + 0.5 * positive, 2)
by_sklearn = sklearn_metrics.roc_auc_score(positive, scores)
np.testing.assert_allclose(
    [auc_by_hand(positive, scores), metrics.auc(positive, scores)], by_sklearn
)
print(f"AUC {by_sklearn:.4f}: by hand, scikit-learn and ich_jax alike (made-up scores)")

# %% [markdown]
# ## Try it
#
# 1. Which class does each of the paper's four networks find least often? What is the recall there?
# 2. Make a confusion matrix with accuracy above 0.9 and balanced accuracy below 0.2.
# 3. Compute the accuracy of the proposed network on a test set with as many slices of each class. Which metric of the
#    original matrix is that?
#
# [The answers](answers/05_metrics.ipynb) are in a notebook of their own.
