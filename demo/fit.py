#!/usr/bin/env python3
"""fit.py: fits the logistic regression of the demo and writes demo/weights.sql. Python 3, standard library only.

    demo/fit.py            writes demo/weights.sql and prints the accuracies
    demo/fit.py --check    exits 1 when the committed weights are not what the data and the seed give

Model: P(spam) = 1 / (1 + exp(-(b + sum_j w_j ln(1 + x_j)))), x_j one of the 57 columns of spam.csv.
Fit: maximum likelihood with a small ridge penalty on standardised features (the classes are separable along
rare words, where an unpenalised weight would run to infinity), by Newton's method (iteratively reweighted
least squares; Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2009, section 4.4.1).
Split: random.Random(SEED).sample draws the TRAIN mails to fit; the other 1,601 only measure.
"""
import csv
import math
import pathlib
import random
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260101
TRAIN = 3000
RIDGE = 0.1             # penalty 0.5 * RIDGE * |w|^2, in standardised units, intercept excluded
NEWTON_STEPS = 12


def read_mails():
    """read_mails returns the column names, the features on the log scale and the labels (1 = spam)."""
    with open(HERE / "spam.csv", newline="", encoding="ascii") as file:
        rows = csv.reader(file)
        names = next(rows)[:-1]
        features, labels = [], []
        for row in rows:
            features.append([math.log1p(float(value)) for value in row[:-1]])
            labels.append(1 if row[-1] == "spam" else 0)
    return names, features, labels


def column_name(name):
    """column_name gives the SQL name of a column of spam.csv: charDollar -> char_dollar."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def solve(matrix, vector):
    """solve returns x with matrix x = vector, matrix symmetric and positive definite (Cholesky)."""
    n = len(vector)
    lower = [[0.0] * n for _ in range(n)]
    for i in range(n):
        row = lower[i]
        for j in range(i + 1):
            other = lower[j]
            rest = matrix[i][j] - math.fsum(row[k] * other[k] for k in range(j))
            row[j] = math.sqrt(rest) if i == j else rest / other[j]
    y = []
    for i in range(n):
        y.append((vector[i] - math.fsum(lower[i][k] * y[k] for k in range(i))) / lower[i][i])
    x = [0.0] * n
    for i in reversed(range(n)):
        x[i] = (y[i] - math.fsum(lower[k][i] * x[k] for k in range(i + 1, n))) / lower[i][i]
    return x


def probability(weights, features):
    """probability of spam; weights[0] is the intercept."""
    score = weights[0] + sum(w * x for w, x in zip(weights[1:], features))
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, score))))


def fit(features, labels):
    """fit returns intercept and weights for features as they are given (not standardised)."""
    n, width = len(features), len(features[0])
    mean = [math.fsum(x[j] for x in features) / n for j in range(width)]
    scale = [math.sqrt(math.fsum((x[j] - mean[j]) ** 2 for x in features) / n) or 1.0 for j in range(width)]
    scaled = [[(x[j] - mean[j]) / scale[j] for j in range(width)] for x in features]
    rows = [[1.0] + x for x in scaled]
    weights = [0.0] * (width + 1)
    for _ in range(NEWTON_STEPS):
        gradient = [0.0] + [-RIDGE * w for w in weights[1:]]
        hessian = [[0.0] * (width + 1) for _ in range(width + 1)]
        for row, label, x in zip(rows, labels, scaled):
            p = probability(weights, x)
            rest, curvature = label - p, p * (1.0 - p)
            for i, value in enumerate(row):
                gradient[i] += rest * value
                weighted, line = curvature * value, hessian[i]
                for j in range(i + 1):
                    line[j] += weighted * row[j]
        for i in range(width + 1):
            hessian[i][i] += RIDGE if i else 0.0
            for j in range(i):
                hessian[j][i] = hessian[i][j]
        step = solve(hessian, gradient)
        weights = [w + s for w, s in zip(weights, step)]
        if max(abs(s) for s in step) < 1e-10:
            break
    plain = [w / s for w, s in zip(weights[1:], scale)]
    return [weights[0] - math.fsum(w * m for w, m in zip(plain, mean))] + plain


def accuracy(weights, mails, log_scale=True):
    """accuracy is the share of mails judged right at the threshold 0.5; mails are (features, label)."""
    right = 0
    for features, label in mails:
        served = features if log_scale else [math.expm1(x) for x in features]
        right += (probability(weights, served) > 0.5) == (label == 1)
    return right / len(mails)


def sql(names, weights, measured):
    """sql is the text of weights.sql: the linear score as one SQL expression, one term a line."""
    terms = "".join("        %+.4f * m.%s\n" % (w, '"%s"' % column_name(n)) for n, w in zip(names, weights[1:]))
    return """-- weights.sql: written by fit.py; do not edit. %d mails to fit (seed %d), the other %d measured:
-- right for %.1f %% of the mails of the fit and %.1f %% of the others; the same weights on raw shares: %.1f %% of the others.
-- linear_score: log odds of spam, for a mail whose features are on the log scale (demo.log_scaled).
CREATE FUNCTION demo.linear_score(m demo.mail) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT %.4f
%s;
END;
""" % (TRAIN, SEED, measured["rest"], 100 * measured["train"], 100 * measured["test"], 100 * measured["raw"],
       weights[0], terms.rstrip("\n"))


def main():
    names, features, labels = read_mails()
    chosen = set(random.Random(SEED).sample(range(len(labels)), TRAIN))
    train = [(features[i], labels[i]) for i in sorted(chosen)]
    test = [(features[i], labels[i]) for i in range(len(labels)) if i not in chosen]
    weights = [round(w, 4) for w in fit([x for x, _ in train], [y for _, y in train])]
    measured = {"rest": len(test), "train": accuracy(weights, train), "test": accuracy(weights, test),
                "raw": accuracy(weights, test, log_scale=False)}
    text = sql(names, weights, measured)
    print("right: %.1f %% of %d mails fitted, %.1f %% of %d others, %.1f %% of those with raw shares"
          % (100 * measured["train"], len(train), 100 * measured["test"], len(test), 100 * measured["raw"]))
    target = HERE / "weights.sql"
    if "--check" in sys.argv[1:]:
        same = target.exists() and target.read_text(encoding="ascii") == text
        print("weights.sql is what data and seed give" if same else "weights.sql is NOT what data and seed give")
        return 0 if same else 1
    target.write_text(text, encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
