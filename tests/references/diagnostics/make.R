# R keeps the weights of the step before the last, so the fits are iterated to the end.
# R's influence.measures, rstandard, rstudent, residuals(type = "partial"), car::vif and VGAM::hdeff, as in influence.json.
suppressMessages({library(jsonlite); library(car); library(VGAM)})
diagnosed <- function(m) {
  im <- influence.measures(m)
  k <- length(coef(m))
  list(coef = unname(coef(m)), hat = hatvalues(m), cooks = cooks.distance(m), dfbeta = unname(dfbeta(m)),
       dfbetas = unname(dfbetas(m)), dffits = dffits(m), covratio = covratio(m),
       rstandard = rstandard(m), rstandard_pearson = rstandard(m, type = "pearson"), rstudent = rstudent(m),
       influential = unname(apply(im$is.inf, 1, any)),
       partial = unname(residuals(m, type = "partial")))
}
dobson <- data.frame(counts = c(18, 17, 15, 20, 10, 20, 25, 13, 12), outcome = gl(3, 1, 9), treatment = gl(3, 3))
trees$w <- rep(c(1, 2, 0.5), length.out = 31)
budworm <- data.frame(dead = c(1, 4, 9, 13, 18, 20, 0, 2, 6, 10, 12, 16), ldose = rep(0:5, 2),
                      sex = factor(rep(c("M", "F"), c(6, 6))))
out <- list(
  poisson = diagnosed(glm(counts ~ outcome + treatment, poisson, dobson, epsilon = 1e-15, maxit = 100)),
  gamma = diagnosed(glm(Volume ~ log(Girth) + log(Height), Gamma("log"), trees, weights = w, epsilon = 1e-15, maxit = 100)),
  binomial = diagnosed(glm(cbind(dead, 20 - dead) ~ sex + ldose, binomial("probit"), budworm, epsilon = 1e-15, maxit = 100)),
  gaussian = diagnosed(glm(mpg ~ wt + hp + qsec, gaussian, mtcars, epsilon = 1e-15, maxit = 100)))
m <- glm(mpg ~ wt + hp + factor(cyl) + factor(gear), gaussian, mtcars)
v <- vif(m)
out$vif <- list(term = rownames(v), gvif = unname(v[, 1]), df = unname(v[, 2]), scaled = unname(v[, 3]))
vg <- vglm(case ~ spontaneous + induced, binomialff, infert)
h <- hdeff(vg, derivative = 1)
out$hdeff <- list(coef = coef(vg), effect = unname(hdeff(vg)), slope = unname(h))
d <- data.frame(x = rep(0:1, c(10, 100)), y = c(1, 1, 1, 1, 1, 0, 0, 0, 0, 0, rep(1, 99), 0))
vg <- vglm(y ~ x, binomialff, d)
out$hdeff_strong <- list(effect = unname(hdeff(vg)), slope = unname(hdeff(vg, derivative = 1)))
write.csv(trees, "trees.csv", row.names = FALSE)
write.csv(budworm, "budworm.csv", row.names = FALSE)
write.csv(mtcars[, c("mpg", "wt", "hp", "qsec", "cyl", "gear")], "mtcars.csv", row.names = FALSE)
write.csv(infert[, c("case", "spontaneous", "induced")], "infert.csv", row.names = FALSE)
write(toJSON(out, digits = NA, auto_unbox = TRUE, na = "null"), "influence.json")
