# brglm2's bias-reduced fits ("AS_mean") and fits with Jeffreys' prior ("MPL_Jeffreys"), as in firth.json. brglm2 and
# jsonlite; the data sets are brglm2's and R's own.
suppressMessages({library(jsonlite); library(brglm2)})
data(endometrial); data(lizards); data(alligators)
told <- function(...) {
  m <- glm(..., method = "brglmFit", epsilon = 1e-13, maxit = 1000)
  list(coef = unname(coef(m)), se = unname(summary(m)$coefficients[, 2]), dispersion = summary(m)$dispersion,
       llf = as.numeric(logLik(m)))
}
out <- list()
for (type in c("AS_mean", "MPL_Jeffreys")) {
  for (link in c("logit", "probit", "cloglog", "cauchit"))
    out[[paste("lizards", link, type, sep = ".")]] <-
      told(cbind(grahami, opalinus) ~ height + diameter + light + time, family = binomial(link), data = lizards, type = type)
  for (link in c("logit", "probit"))
    out[[paste("endometrial", link, type, sep = ".")]] <-
      told(HG ~ NV + PI + EH, family = binomial(link), data = endometrial, type = type)
  out[[paste("warpbreaks", "sqrt", type, sep = ".")]] <-
    told(breaks ~ wool * tension, family = poisson("sqrt"), data = warpbreaks, type = type)
}
out$trees.gamma <- told(Volume ~ log(Girth) + log(Height), family = Gamma("log"), data = trees, type = "AS_mean")
out$trees.inverse_gaussian <-
  told(Volume ~ log(Girth) + log(Height), family = inverse.gaussian("log"), data = trees, type = "AS_mean")
out$trees.gaussian <- told(Volume ~ Girth + Height, family = gaussian(), data = trees, type = "AS_mean")
a <- brmultinom(foodchoice ~ size + lake, weights = round(freq / 3), data = alligators, type = "AS_mean", ref = 1,
                epsilon = 1e-12, maxit = 1000)
out$alligators <- list(coef = unname(coef(a)), se = unname(sqrt(diag(vcov(a)))))
# Penalized likelihood ratio tests and intervals (Heinze and Schemper 2002), as logistf has them, by R's optimizers.
X <- cbind(1, as.matrix(endometrial[, c("NV", "PI", "EH")])); y <- endometrial$HG
top <- out$endometrial.logit.AS_mean$coef; se <- out$endometrial.logit.AS_mean$se
objective <- function(b) {
  lin <- drop(X %*% b); w <- dlogis(lin)
  -sum(y * lin - log1p(exp(lin))) - determinant(crossprod(X * w, X))$modulus[1] / 2
}
slope <- function(b) {
  mu <- plogis(drop(X %*% b)); w <- mu * (1 - mu)
  h <- w * rowSums((X %*% solve(crossprod(X * w, X))) * X)
  -drop(crossprod(X, y - mu + h * (1 / 2 - mu)))
}
best <- objective(top)
fall <- function(j, v) {
  whole <- function(u) { b <- top; b[j] <- v; b[-j] <- u; b }
  m <- nlminb(top[-j], function(u) objective(whole(u)), function(u) slope(whole(u))[-j],
              control = list(rel.tol = 1e-15, x.tol = 1e-14, eval.max = 1000, iter.max = 1000))
  2 * (m$objective - best)
}
end <- function(j, side) {
  f <- function(t) fall(j, top[j] + side * t * se[j]) - qchisq(0.95, 1)
  top[j] + side * se[j] * uniroot(f, c(0.5, 6), tol = 1e-11)$root
}
out$penalized <- list(chi2 = sapply(1:4, fall, 0), low = sapply(1:4, end, -1), high = sapply(1:4, end, 1))
write.csv(endometrial, "endometrial.csv", row.names = FALSE)
write.csv(lizards, "lizards.csv", row.names = FALSE)
write.csv(cbind(alligators[, c("foodchoice", "size", "lake")], w = round(alligators$freq / 3)), "alligators.csv",
          row.names = FALSE)
write.csv(warpbreaks, "warpbreaks.csv", row.names = FALSE)
write(toJSON(out, digits = NA, auto_unbox = TRUE), "firth.json")
