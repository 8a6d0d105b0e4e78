"""Generalized linear models as scikit-learn has its estimators: GLMRegressor, GLMClassifier and their CV forms."""

import contextlib
import warnings
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import check_cv
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from jglm import api, penalties
from jglm.inputs import resolve
from jglm.regularization.crossvalidation import cross_validate
from jglm.solvers import Status

ACCEPTED: Any = dict(accept_sparse="csr", dtype=[np.float64, np.float32])


@contextlib.contextmanager
def _without_convergence():
    """Fits that did not converge are told by `_keep`, in scikit-learn's class of warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the fit did not converge", UserWarning)
        yield


class _Linear(BaseEstimator):
    """What the four share: X in, one fit, coefficients out.

    The objective is scikit-learn's: the mean loss, weighted, plus
    alpha (l1_ratio |coef|_1 + (1 - l1_ratio) / 2 |coef|_2^2); the intercept is not penalized.

    X may be a JAX array, which is used where it lies, in the type that it has: no copy of it is made. y, weights and
    offsets are brought to the host, and what is predicted is NumPy's float64 whatever X was.
    """

    # What the four take, each its own of them.
    family: Any
    link: Any
    alpha: Any
    alphas: Any
    l1_ratio: Any
    eps: Any
    cv: Any
    rule: Any
    penalty: Any
    fit_intercept: Any
    solver: Any
    tol: Any
    max_iter: Any
    warm_start: Any
    covariance: Any

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _given(self, X, y):
        """X and y of a fit, checked; X of JAX as it is."""
        if not isinstance(X, jax.Array):
            return validate_data(self, X, y, y_numeric=isinstance(self, RegressorMixin), **ACCEPTED)
        if X.ndim != 2:
            raise ValueError(f"X has {X.ndim} dimensions; it must be (n, p). Reshape your data")
        self.n_features_in_ = X.shape[1]
        vars(self).pop("feature_names_in_", None)
        return X, np.asarray(y)

    def _new(self, X):
        """X of a prediction, checked."""
        check_is_fitted(self)
        if not isinstance(X, jax.Array):
            return validate_data(self, X, reset=False, **ACCEPTED)
        if X.ndim != 2 or X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has shape {X.shape}, but {type(self).__name__} is expecting {self.n_features_in_} "
                             "features as input")  # fmt: skip
        return X

    def _fit(self, X, y, family, sample_weight, offset=None, exposure=None):
        """Set coef_, intercept_, n_iter_ and fit_ by `jglm.fit`; `y` as `family` takes it."""
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        penalty = self.penalty
        if penalty is None and self.alpha != 0:
            penalty = penalties.elastic_net(self.alpha, self.l1_ratio, scale="mean")
        with _without_convergence():
            fit = api.fit(
                X, y, family=family, link=self.link, penalty=penalty, weights=weights, offset=offset,
                exposure=exposure, intercept=self.fit_intercept, solver=self.solver, tol=self.tol,
                max_iter=self.max_iter, start=self._start(X), names=self._names(), covariance=self.covariance,
                progress=False,
            )  # fmt: skip
        return self._keep(fit)

    def _start(self, X):
        last = getattr(self, "fit_", None) if self.warm_start else None
        same = last is not None and len(last.names) == X.shape[1] + int(self.fit_intercept)
        return np.nan_to_num(last.params) if same else None

    def _names(self):
        return getattr(self, "feature_names_in_", None)

    def _keep(self, fit):
        """Hold what a fit found, without its data; standard errors too where they were asked for. Warns of a fit that
        did not converge."""
        if not fit.converged and fit.status != Status.ENDED:
            warnings.warn(f"the fit did not converge ({fit.status.message}) after {fit.n_iter} passes; give a larger "
                          "max_iter or another solver", ConvergenceWarning, stacklevel=4)  # fmt: skip
        self.fit_ = fit.detach() if fit.covariance is not None else replace(fit, _prepared=None)
        params, first = np.nan_to_num(fit.params), int(self.fit_intercept)
        self.n_iter_ = max(fit.n_iter, 1)
        self._share(params[first:], params[0] if first else np.zeros(params.shape[1:]))
        return self

    def _share(self, slopes, intercept):
        self.coef_, self.intercept_ = slopes.T, intercept if np.ndim(intercept) else float(intercept)

    def _predict(self, X, kind, offset=None, exposure=None):
        X = self._new(X)
        return self.fit_.predict(X, kind=kind, offset=offset, exposure=exposure)


class _Regressor(RegressorMixin, _Linear):
    """Regression: the mean of y, judged by the share of the deviance that it explains."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = resolve.family(self.family).support.low >= 0
        return tags

    def predict(self, X, offset=None, exposure=None):
        """The mean of y (n,), or (n, k)."""
        return self._predict(X, "mean", offset, exposure)

    def score(self, X, y, sample_weight=None, offset=None, exposure=None):
        """D^2 = 1 - D(y, predicted) / D(y, constant), D the deviance: R^2 for the gaussian. The constant is the best
        one for these rows, beside their offset and exposure."""
        mu = self.predict(X, offset, exposure)
        family = self.fit_.family
        y = np.asarray(y, float)
        w = np.ones(len(y)) if sample_weight is None else _check_sample_weight(sample_weight, y, dtype=np.float64)
        if offset is None and exposure is None:
            null = np.broadcast_to(np.average(y, axis=0, weights=w), y.shape)
        else:
            null = api.fit(
                np.ones((len(y), 1)), y, family=family, link=self.fit_.link, weights=w, offset=offset,
                exposure=exposure, intercept=False, progress=False,
            ).predict()  # fmt: skip
        with jax.enable_x64(True):
            own, constant = (float(w @ np.asarray(family.deviance(y, at))) for at in (mu, null))
        if constant == 0:
            return 1.0 if own == 0 else 0.0
        return 1 - own / constant


class GLMRegressor(_Regressor):
    """A generalized linear model as a scikit-learn regressor.

    Minimizes (1 / sum w) sum_i w_i loss_i + alpha (l1_ratio |coef|_1 + (1 - l1_ratio) / 2 |coef|_2^2), the loss
    a(eta) - T(y)·eta of the family: half the deviance but for what depends on y alone, as PoissonRegressor,
    GammaRegressor, TweedieRegressor, Lasso and ElasticNet have it; Ridge's alpha is this one times n.

    Args:
        family, link, solver, tol, max_iter: as in `jglm.fit`.
        alpha: >= 0; l1_ratio: between 0 (ridge) and 1 (lasso).
        penalty: instead of alpha and l1_ratio one of `jglm.penalties`, on the sum of the losses.
        fit_intercept: add a constant, which is not penalized.
        warm_start: begin at the last fit's coefficients.
        covariance: None, or what `jglm.fit` takes: then `fit_` has standard errors and tests.

    Attributes: coef_ (p,), intercept_, n_iter_, n_features_in_, feature_names_in_, fit_ (the `jglm.Fit`, without data).

    >>> from jglm import GLMRegressor
    >>> model = GLMRegressor(family="poisson").fit([[0.0], [1.0], [2.0], [3.0]], [1, 2, 6, 14])
    >>> model.coef_.round(3), round(model.intercept_, 3)
    (array([0.911]), -0.085)
    """

    def __init__(self, family="gaussian", *, link=None, alpha=0.0, l1_ratio=0.0, penalty=None, fit_intercept=True,
                 solver="auto", tol=1e-6, max_iter=None, warm_start=False, covariance=None):  # fmt: skip
        self.family = family
        self.link = link
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty = penalty
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.covariance = covariance

    def fit(self, X, y, sample_weight=None, offset=None, exposure=None):
        """Fit to X (n, p) and y (n,): NumPy, pandas, Polars, SciPy sparse or JAX, the last two without a copy."""
        X, y = self._given(X, y)
        return self._fit(X, y, self.family, sample_weight, offset, exposure)


class _Classifier(ClassifierMixin, _Linear):
    """Classification: probabilities of labels."""

    def _labels(self, X, y, sample_weight, class_weight=None):
        """(X, codes of y, sample weights), with classes_ set."""
        X, y = self._given(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        seen = codes
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            seen = codes[sample_weight > 0]
        if len(seen) and len(np.unique(seen)) < 2:
            raise ValueError(
                f"y has one class only, {self.classes_[seen[0]]!r}; a classifier needs two or more classes"
            )
        if class_weight is not None:
            balance = compute_sample_weight(class_weight, y)
            sample_weight = balance if sample_weight is None else balance * sample_weight
        return X, codes, sample_weight

    @property
    def _family(self):
        return "bernoulli" if len(self.classes_) == 2 else "categorical"

    def _share(self, slopes, intercept):
        if len(self.classes_) == 2:
            self.coef_, self.intercept_ = slopes[None], np.atleast_1d(intercept)
            return
        if slopes.shape[1] < len(self.classes_):  # against the first class
            slopes = np.column_stack([np.zeros(len(slopes)), slopes])
            intercept = np.append(0.0, intercept)
        # Only differences between classes count; scikit-learn's sum to 0.
        self.coef_ = (slopes - slopes.mean(axis=1, keepdims=True)).T
        self.intercept_ = intercept - intercept.mean()

    def decision_function(self, X):
        """The log odds (n,) of the second of two classes; of more, linear predictors (n, k) that sum to 0."""
        rows: Any = self._new(X)
        if len(self.classes_) == 2:
            return self.fit_.predict(rows, kind="link")
        rows = np.asarray(rows) if isinstance(rows, jax.Array) else rows
        return rows @ self.coef_.T + self.intercept_

    def predict_proba(self, X):
        """Probabilities (n, k) of the classes."""
        mean = self._predict(X, "mean")
        return np.column_stack([1 - mean, mean]) if mean.ndim == 1 else mean

    def predict_log_proba(self, X):
        """Their logarithms, without loss for small ones."""
        return self._predict(X, "log_prob")

    def predict(self, X):
        """The most probable class of each row."""
        best = np.argmax(self.predict_log_proba(X), axis=1)
        return self.classes_[best]


class GLMClassifier(_Classifier):
    """Logistic regression (Bernoulli), or its form for more than two classes (categorical), for scikit-learn.

    Minimizes (1 / sum w) sum_i w_i loss_i + alpha (l1_ratio |coef|_1 + (1 - l1_ratio) / 2 |coef|_2^2); alpha is
    1 / (C sum w) of LogisticRegression, and 0, its penalty=None, by default. With a penalty more than two classes have
    coefficients each, as there.

    Args:
        link: of two classes: "logit" (None), "probit", "cloglog", …
        class_weight: None, "balanced" or a dict, as in scikit-learn.

    All else as in `GLMRegressor`. Attributes: classes_, coef_ (1, p) or (k, p), intercept_ (1,) or (k,), n_iter_, fit_.
    """

    def __init__(self, *, link=None, alpha=0.0, l1_ratio=0.0, penalty=None, class_weight=None, fit_intercept=True,
                 solver="auto", tol=1e-6, max_iter=None, warm_start=False, covariance=None):  # fmt: skip
        self.link = link
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.penalty = penalty
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.covariance = covariance

    def fit(self, X, y, sample_weight=None):
        """Fit to X (n, p) and the labels y (n,)."""
        X, codes, sample_weight = self._labels(X, y, sample_weight, self.class_weight)
        return self._fit(X, codes, self._family, sample_weight)


class _Chosen(_Linear):
    """The strength by cross-validation."""

    covariance = None
    warm_start = False

    def _choose(self, X, y, family, sample_weight, offset=None, exposure=None, labels=None):
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        total = float(X.shape[0] if weights is None else np.sum(weights))
        strengths: Any = self.alphas if np.ndim(self.alphas) == 0 else np.asarray(self.alphas, float) * total
        folds: Any = self._folds(X, y if labels is None else labels)
        with _without_convergence():
            found = cross_validate(
                X, y, family=family, link=self.link, folds=folds, strengths=strengths, l1_ratio=self.l1_ratio,
                min_ratio=self.eps, weights=weights, offset=offset, exposure=exposure, intercept=self.fit_intercept,
                names=self._names(), tol=self.tol, progress=False,
            )  # fmt: skip
            fit = found.fit(self.rule)
        self.alphas_ = found.strengths / total if np.ndim(self.l1_ratio) else found.strengths[0] / total
        self.deviance_path_ = found.fold_deviance if np.ndim(self.l1_ratio) else found.fold_deviance[0]
        self.l1_ratio_ = found.best_l1_ratio
        chosen = found.best_strength if self.rule == "best" else found.one_se_strength
        self.alpha_ = chosen / total
        return self._keep(fit)

    def _folds(self, X, y):
        """(n,) numbers of the folds that scikit-learn's splitter makes."""
        split: Any = check_cv(self.cv, y, classifier=isinstance(self, ClassifierMixin))
        fold = np.full(X.shape[0], -1)
        for i, (_, test) in enumerate(split.split(np.zeros((X.shape[0], 1)), y)):
            if np.any(fold[test] >= 0):
                raise ValueError("cv holds some rows out twice; give a splitter whose test sets do not overlap")
            fold[test] = i
        if np.any(fold < 0):
            raise ValueError("cv never holds some rows out; give a splitter whose test sets cover all rows")
        return fold


class GLMRegressorCV(_Chosen, _Regressor):
    """`GLMRegressor` with alpha, and l1_ratio of several, chosen by cross-validated deviance (`jglm.cross_validate`).

    Args:
        alphas: how many, on glmnet's grid, or an array of them, all > 0; eps: of the least alpha to the largest.
        l1_ratio: a number or several.
        cv: a number of folds, or a splitter of scikit-learn whose test sets are a partition of the rows.
        rule: "best", or "one_se": the largest alpha within one standard error of the best.

    All else as in `GLMRegressor`. Attributes besides: alpha_, l1_ratio_, alphas_ (s,), deviance_path_ (s, folds).
    """

    def __init__(self, family="gaussian", *, link=None, alphas=100, l1_ratio=1.0, eps=None, cv=5, rule="best",
                 fit_intercept=True, tol=1e-6):  # fmt: skip
        self.family = family
        self.link = link
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.cv = cv
        self.rule = rule
        self.fit_intercept = fit_intercept
        self.tol = tol

    def fit(self, X, y, sample_weight=None, offset=None, exposure=None):
        """Choose alpha, then fit all rows with it."""
        X, y = self._given(X, y)
        return self._choose(X, y, resolve.family(self.family), sample_weight, offset, exposure)


class GLMClassifierCV(_Chosen, _Classifier):
    """`GLMClassifier` with alpha, and l1_ratio of several, chosen by cross-validated deviance. Arguments and attributes
    as in `GLMRegressorCV` and `GLMClassifier`; folds are stratified by the classes."""

    def __init__(self, *, link=None, alphas=100, l1_ratio=1.0, eps=None, cv=5, rule="best", class_weight=None,
                 fit_intercept=True, tol=1e-6):  # fmt: skip
        self.link = link
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.eps = eps
        self.cv = cv
        self.rule = rule
        self.class_weight = class_weight
        self.fit_intercept = fit_intercept
        self.tol = tol

    def fit(self, X, y, sample_weight=None):
        """Choose alpha, then fit all rows with it."""
        X, codes, sample_weight = self._labels(X, y, sample_weight, self.class_weight)
        return self._choose(X, codes, self._family, sample_weight, labels=codes)
