# %% [markdown]
# # 5 · Değerlendirme Metrikleri · Evaluation Metrics
#
# The paper counts right answers in seven equations. All of them come from one table, the *confusion matrix*. In this
# tutorial you write each by hand, check it against scikit-learn (the usual library for them) and the package, prove
# that two of them are the same number, see how a high accuracy can mean next to nothing, and draw a ROC curve.
#
# - **You will** write the paper's seven equations and Matthews' with NumPy, check them against scikit-learn, and draw a
#   ROC curve.
# - **You will learn** to read a confusion matrix, which single numbers hide what it shows, and what moves when a
#   threshold does.
# - **You need** NumPy. Nothing is trained here, so tutorials 3 and 4 can wait.
# - **It takes** about 75 minutes to study, and 30 more for the exercises.

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
# Two differences from the paper's page. Its (1) is the formula for two classes, $(TP + TN) / (TP + TN + FN + FP)$,
# where $TN$ are the slices rightly called the other class. With six classes the right answers are those on the
# diagonal, so (1) is written with them here. For this network that gives the test accuracy of the paper's Table 3,
# 0.9281. And the letters: the paper writes $M$ for all slices, our $N$, and $L$ for the number of classes. The $M_i$
# further below are something else, the number of answers "class $i$".
#
# *Precision* $P$ asks: when it says "subdural", is it right? *Recall* $R$ asks: of the subdural bleeds, how many were
# found? $F$ is their harmonic mean: it lies near the smaller of the two, so it is low if either is.

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
# paper that print them have to agree. Do they? (With data of your own, the last column is what was measured on them,
# once the trainings of [tutorial 7](07_comparison.ipynb) are there.)

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
# of the six recalls and *macro F1* that of the six F1; the *Matthews correlation* comes next; *sensitivity* asks the
# question that matters in an emergency room, whether there is a bleed at all: of the slices with one, the share not
# called "none". Its partner *specificity*, the share of slices without a bleed that are called "none", is perfect for
# the lazy answer: the two have to be read together.
#
# ### Matthews' formula, by hand
#
# Some right answers come by chance. Shuffle the answers among the slices: of the $M_i$ answers "class $i$" a share of
# $N_i / N$ lands on a slice of that class, so $\sum_i N_i M_i / N$ of all answers are right by luck. The **Matthews
# correlation** counts the right answers beyond those, and divides so that a perfect network gets 1:
#
# $$\text{MCC} = \frac{N \sum_i TP_i - \sum_i N_i M_i}{\sqrt{\left(N^2 - \sum_i N_i^2\right)\left(N^2 - \sum_i M_i^2\right)}}, \qquad M_i = TP_i + FP_i .$$
#
# It is 0 when nothing is gained over luck, and negative when luck would do better. (With two classes it is the
# better-known $(TP \cdot TN - FP \cdot FN) / \sqrt{(TP+FP)(TP+FN)(TN+FP)(TN+FN)}$, with $TN$ the slices rightly called
# the other class.) For the dozen answers of the beginning, step by step:

# %%
n, right = by_hand.sum(), np.trace(by_hand)
row_sums, column_sums = by_hand.sum(axis=1), by_hand.sum(axis=0)  # N_i and M_i
by_luck = np.sum(row_sums * column_sums)
rows_left, columns_left = n**2 - np.sum(row_sums**2), n**2 - np.sum(column_sums**2)
print(f"N = {n}, right answers {right};  N_i = {row_sums},  M_i = {column_sums}")
print(f"above the line: {n}·{right} − {by_luck} = {n * right - by_luck}")
print(f"below it: √({rows_left}·{columns_left}) = {np.sqrt(rows_left * columns_left):.2f}")
mcc = (n * right - by_luck) / np.sqrt(rows_left * columns_left)
print(f"MCC = {mcc:.4f}")
np.testing.assert_allclose(mcc, sklearn_metrics.matthews_corrcoef(actual, called))
np.testing.assert_allclose(mcc, metrics.matthews_correlation(by_hand))

# %% [markdown]
# Eight of twelve answers are right, and luck would give $51/12$, about four. "None" every time has 0 above the line and
# 0 below it; $0/0$ counts as 0. With the paper's 180,180 test slices (Table 6) the product under the root is about $3.5
# \cdot 10^{19}$. A 64-bit integer holds at most $9.2 \cdot 10^{18}$, so turn the matrix into floats first, as the
# package does.
#
# ### Who is tested
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
# ## A threshold that moves: the ROC curve
#
# A confusion matrix only knows what was called. But a network gives every slice a *score*, such as its probability of
# a bleed, and somebody has to say from which score on "bleed" is called: the **threshold**. Let it move. Ten made-up
# slices, four of them with a bleed, from the highest score to the lowest; each row puts the threshold at its slice's
# score, so that this slice and all above it are called a bleed.

# %%
bleeds = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0], bool)
scores = np.array([0.95, 0.90, 0.80, 0.70, 0.60, 0.50, 0.40, 0.30, 0.20, 0.10])
found, alarms = np.cumsum(bleeds), np.cumsum(~bleeds)  # rightly and wrongly called a bleed
sensitivity, alarm_rate = found / bleeds.sum(), alarms / (~bleeds).sum()
table(
    ("threshold", "this slice", "bleeds found", "false alarms", "sensitivity", "1 − specificity"),
    [
        (f"{t:.2f}", "bleed" if bleed else "healthy", hit, alarm, f"{y:.2f}", f"{x:.2f}")
        for t, bleed, hit, alarm, y, x in zip(
            scores, bleeds, found, alarms, sensitivity, alarm_rate, strict=True
        )
    ],
)

# %% [markdown]
# Down the table both columns on the right can only grow: who wants to find more bleeds pays with false alarms. Draw one
# against the other and you have the **ROC curve** (receiver operating characteristic, a name from radar). Each bleed
# that the threshold passes is a step up, each healthy slice a step to the right.

# %%
curve_x, curve_y = np.append(0, alarm_rate), np.append(0, sensitivity)  # begins with no calls
figure = Figure(figsize=(9, 4), layout="constrained")
left, right_hand = figure.subplots(1, 2)
left.plot(scores[bleeds], np.ones(bleeds.sum()), "ko", markersize=9)
left.plot(scores[~bleeds], np.zeros((~bleeds).sum()), "ko", markerfacecolor="white", markersize=9)
left.set_yticks((0, 1), ("healthy", "bleed"))
left.set(xlabel="score", xlim=(0, 1.02), ylim=(-0.6, 1.75))
right_hand.plot((0, 1), (0, 1), ":", color="0.6")
right_hand.text(0.66, 0.60, "by chance", fontsize=8, color="0.4")
right_hand.fill_between(curve_x, curve_y, color="0.92")
right_hand.plot(curve_x, curve_y, "k-")
for letter, k in zip("ABC", (1, 3, 6), strict=True):  # the second, fourth and seventh slice's score
    left.axvline(scores[k] - 0.03, color="0.4", linestyle="--")
    left.text(scores[k] - 0.04, 1.5, f"{letter} →", ha="left", fontsize=11, backgroundcolor="white")
    right_hand.plot(alarm_rate[k], sensitivity[k], "ko", markersize=8)
    right_hand.text(alarm_rate[k] + 0.03, sensitivity[k] - 0.07, letter, fontsize=11)
right_hand.set(xlabel="1 − specificity (false alarms)", ylabel="sensitivity (bleeds found)")
right_hand.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04), aspect="equal")
show(
    figure,
    "Left: the ten scores and three thresholds; what lies to the right of one is called a bleed. "
    "Right: the ROC curve, and where these thresholds are on it. Made-up scores.",
)

# %% [markdown]
# Threshold A, just below 0.90, finds two bleeds without a false alarm; C, just below 0.40, finds all four for three
# false alarms. The network is the same. Random scores would climb along the dotted diagonal; a perfect ranking goes
# straight up, then right.
#
# A confusion matrix holds one threshold only, so it is one point, and the curve through it is unknown. The paper prints
# four such points:

# %%
table(
    ("network", "sensitivity, any hemorrhage", "1 − specificity"),
    [
        (
            printed.NETWORK_NAMES[name],
            metrics.any_sensitivity(printed.confusion(name)),
            1 - metrics.any_specificity(printed.confusion(name)),
        )
        for name in printed.NETWORKS
    ],
)

# %% [markdown]
# DenseNet121 finds more bleeds than the proposed network, and raises more false alarms. It may rank slices better, or
# worse, or the two may lie on the same curve: two points cannot tell.
#
# The **AUC**, the *area under the curve*, sums the curve up in a number: 0.5 is chance, 1 perfect. It is also the
# chance that a slice with a bleed has a higher score than one without, ties counting half. In the picture: a column of
# the grey area is as high as the share of the bleeds that score above that column's healthy slice. Counted over all
# pairs:


# %%
def auc_by_hand(positive: np.ndarray, scores: np.ndarray) -> float:
    wins = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    return float(np.mean(wins))


print(f"area under the curve {np.trapezoid(curve_y, curve_x):.4f}")
print(f"over all {bleeds.sum()}·{(~bleeds).sum()} pairs {auc_by_hand(bleeds, scores):.4f}")

rng = np.random.default_rng(0)
positive = rng.random(200) < 0.1
many = np.round(rng.random(200) + 0.5 * positive, 2)
by_sklearn = sklearn_metrics.roc_auc_score(positive, many)
np.testing.assert_allclose([auc_by_hand(positive, many), metrics.auc(positive, many)], by_sklearn)
print(f"200 made-up scores, some alike: {by_sklearn:.4f} by hand, scikit-learn and ich_jax alike")

# %% [markdown]
# With six classes the package computes an AUC for each class against the rest.
#
# ## Try it
#
# 1. Which class does each of the paper's four networks find least often? What is the recall there?
# 2. Make a confusion matrix with accuracy above 0.9 and balanced accuracy below 0.2.
# 3. Compute the accuracy of the proposed network on a test set with as many slices of each class. Which metric of the
#    original matrix is that?
#
# [The answers](answers/05_metrics.ipynb) are in a notebook of their own.
