# Profile-likelihood intervals at 95%: confint() of MASS (by splines), and the same by refits and root finding to 1e-10
# of a standard error. Where the dispersion is estimated both take the normal quantile and hold the dispersion.
# Rscript profiles.R > profiles.json
suppressMessages({library(MASS); library(VGAM); library(jsonlite)})
control <- glm.control(epsilon = 1e-14, maxit = 200)

ends <- function(fit) {
  X <- model.matrix(fit); y <- fit$y; w <- weights(fit, "prior")
  o <- if (is.null(fit$offset)) rep(0, nrow(X)) else fit$offset
  phi <- summary(fit)$dispersion; z <- qnorm(0.975); b <- coef(fit); se <- sqrt(diag(vcov(fit)))
  gap <- function(j, t, side) {
    at <- suppressWarnings(glm.fit(X[, -j, drop = FALSE], y, weights = w, offset = o + X[, j] * t, family = family(fit),
                                   control = control, etastart = fit$linear.predictors))
    side * sqrt(max((at$deviance - deviance(fit)) / phi, 0)) - side * z
  }
  one <- function(j, side) {
    reach <- sort(b[j] + side * z * se[j] * c(0.5, 1.6))
    uniroot(function(t) gap(j, t, side), reach, tol = 1e-11 * se[j])$root
  }
  unname(t(sapply(seq_along(b), function(j) c(one(j, -1), one(j, 1)))))
}

case <- function(fit, family, link, ...) {
  X <- model.matrix(fit)
  list(family = family, link = link, names = colnames(X), X = unname(X), y = unname(fit$y),
       weights = unname(weights(fit, "prior")), offset = if (is.null(fit$offset)) NULL else unname(fit$offset),
       params = unname(coef(fit)), bse = unname(sqrt(diag(vcov(fit)))), df = df.residual(fit),
       mass = unname(suppressMessages(confint(fit))), exact = ends(fit), ...)
}

quine$Age1 <- as.numeric(quine$Age == "F1")
nb <- glm.nb(Days ~ Sex + Age1 + Lrn, quine, control = control)
out <- list(
  birthwt = case(glm(low ~ age + lwt + smoke, binomial, birthwt, control = control), "bernoulli", "logit"),
  menarche = case(glm(cbind(Menarche, Total - Menarche) ~ Age, binomial("probit"), menarche, control = control),
                  "binomial", "probit"),
  insurance = case(glm(Claims ~ as.numeric(Age) + as.numeric(Group) + offset(log(Holders)), poisson, Insurance,
                       control = control), "poisson", "log"),
  clotting = case(glm(c(118, 58, 42, 35, 27, 25, 21, 19, 18) ~ log(c(5, 10, 15, 20, 30, 40, 60, 80, 100)),
                      Gamma, control = control), "gamma", "inverse"),
  mtcars = case(glm(mpg ~ wt + hp, gaussian, mtcars, weights = carb, control = control), "gaussian", "identity"),
  trees_ig = case(glm(Volume ~ log(Girth) + log(Height), inverse.gaussian("log"), trees, control = control),
                  "inverse_gaussian", "log"),
  warpbreaks = case(glm(breaks ~ (wool == "B") + (tension == "H"), quasipoisson, warpbreaks, control = control),
                    "quasipoisson", "log"),
  quine = case(nb, "negative_binomial", "log", theta = nb$theta)
)
iris$one <- iris$Sepal.Width; three <- iris[seq(2, 150, 2), ]
vg <- vglm(Species ~ one, multinomial(refLevel = 1), three, epsilon = 1e-12)
out$iris <- list(family = "categorical", names = c("(Intercept)", "one"), X = unname(cbind(1, three$one)),
                 y = as.character(three$Species), params = unname(coef(vg)),
                 vgam = unname(suppressMessages(confint(vg, method = "profile"))))
cat(toJSON(out, digits = NA, auto_unbox = TRUE, null = "null"))
