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
write.csv(endometrial, "endometrial.csv", row.names = FALSE)
write.csv(lizards, "lizards.csv", row.names = FALSE)
write.csv(cbind(alligators[, c("foodchoice", "size", "lake")], w = round(alligators$freq / 3)), "alligators.csv",
          row.names = FALSE)
write.csv(warpbreaks, "warpbreaks.csv", row.names = FALSE)
write(toJSON(out, digits = NA, auto_unbox = TRUE), "firth.json")
