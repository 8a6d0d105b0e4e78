# Robust covariances, tests and analyses of deviance by R: Rscript make_hypotheses.R > hypotheses.json
suppressMessages({library(sandwich); library(clubSandwich); library(car); library(lmtest); library(AER); library(survey); library(jsonlite); library(MASS)})
options(digits = 17)
d <- read.csv("hypotheses.csv", stringsAsFactors = TRUE)
tight <- glm.control(epsilon = 1e-14, maxit = 100)
out <- list()
se <- function(V) unname(sqrt(diag(V)))
column <- function(tab, name) unname(tab[[name]])

fits <- list(
  poisson = glm(count ~ x * g + z, poisson, d, control = tight),
  gamma = glm(time ~ x + g + z, Gamma("log"), d, weights = w, control = tight),
  gaussian = glm(level ~ x * g + z, gaussian, d),
  probit = glm(event ~ x + g + z, binomial("probit"), d, control = tight))
for (name in names(fits)) {
  f <- fits[[name]]; n <- nrow(d)
  a <- list(coef = unname(coef(f)), dispersion = summary(f)$dispersion)
  for (k in c("HC0", "HC1", "HC2", "HC3")) a[[k]] <- se(vcovHC(f, type = k))
  a$HC0 <- se(sandwich(f))
  a$cluster <- se(vcovCL(f, ~cl, type = "HC1"))
  a$survey <- se(vcovCL(f, ~cl, type = "HC0"))
  a$CR0 <- se(vcovCL(f, ~cl, type = "HC0", cadjust = FALSE))
  a$two_ways <- se(vcovCL(f, ~cl + cl2, type = "HC1"))
  a$CR3 <- se(as.matrix(vcovCR(f, d$cl, type = "CR3")))
  a$CR2 <- se(as.matrix(vcovCR(f, d$cl, type = "CR2")))
  a$CR1p <- se(as.matrix(vcovCR(f, d$cl, type = "CR1p")))
  a$HAC3 <- se(NeweyWest(f, lag = 3, prewhite = FALSE, adjust = FALSE))
  a$HAC3_small <- se(NeweyWest(f, lag = 3, prewhite = FALSE, adjust = TRUE))
  a$parzen <- se(kernHAC(f, kernel = "Parzen", bw = 4, prewhite = FALSE, adjust = FALSE))
  a$tukey_hanning <- se(kernHAC(f, kernel = "Tukey-Hanning", bw = 4, prewhite = FALSE, adjust = FALSE))
  a$by_time <- se(NeweyWest(f, lag = 2, order.by = d$t, prewhite = FALSE, adjust = FALSE))
  fixed <- name %in% c("poisson", "probit")
  test <- if (fixed) "Chisq" else "F"
  one <- anova(f, test = test)
  a$anova_I <- list(df = column(one, "Df")[-1], deviance = column(one, "Deviance")[-1], resid = column(one, "Resid. Dev")[-1],
    p = column(one, if (fixed) "Pr(>Chi)" else "Pr(>F)")[-1])
  rao <- anova(f, test = "Rao")
  a$rao_I <- list(statistic = column(rao, "Rao")[-1], p = column(rao, "Pr(>Chi)")[-1])
  for (type in c("II", "III")) {
    lr <- Anova(f, type = type, test.statistic = if (fixed) "LR" else "F", error.estimate = "pearson", singular.ok = TRUE)
    lr <- if (fixed) lr else lr[rownames(lr) != "Residuals", ]
    if (!name %in% c("gaussian")) lr <- lr[rownames(lr) != "(Intercept)", ]
    a[[paste0("anova_", type)]] <- list(rows = rownames(lr), df = column(lr, "Df"), statistic = unname(lr[[grep("^(LR|F)", names(lr))[1]]]),
      p = column(lr, if (fixed) "Pr(>Chisq)" else "Pr(>F)"))
    w <- suppressMessages(Anova(f, type = type, test.statistic = "Wald", vcov. = vcovHC(f, type = "HC3")))
    w <- w[!rownames(w) %in% c("(Intercept)", "Residuals"), ]
    a[[paste0("wald_", type)]] <- list(rows = rownames(w), df = column(w, "Df"), statistic = unname(w[[intersect(c("Chisq", "F"), names(w))]]))
  }
  one <- drop1(f, test = if (fixed) "LRT" else "F")
  a$drop1 <- list(rows = rownames(one)[-1], deviance = column(one, "Deviance"), aic = column(one, "AIC"),
    p = unname(one[[ncol(one)]])[-1])
  h <- linearHypothesis(f, c("x = 0.1", "gb = gc"), vcov. = vcovHC(f, type = "HC1"), test = "Chisq")
  a$wald <- list(statistic = h[["Chisq"]][2], p = h[["Pr(>Chisq)"]][2])
  less <- update(f, . ~ x)
  l <- lrtest(less, f)
  a$lrtest <- list(statistic = l[["Chisq"]][2], df = l[["Df"]][2])
  out[[name]] <- a
}
design <- svydesign(ids = ~1, weights = ~w, data = d)
s <- svyglm(count ~ x + g + z, design, family = poisson(), control = tight)
clusters <- svydesign(ids = ~cl, weights = ~w, data = d)
s2 <- svyglm(count ~ x + g + z, clusters, family = poisson(), control = tight)
out$survey <- list(coef = unname(coef(s)), se = se(vcov(s)), p = unname(summary(s)$coefficients[, 4]), cluster_se = se(vcov(s2)),
  cluster_p = unname(summary(s2)$coefficients[, 4]))
nb <- glm.nb(count ~ x + g + z, d, control = glm.control(epsilon = 1e-14, maxit = 200))
one <- suppressWarnings(anova(nb, test = "Chisq"))
out$negative_binomial <- list(theta = nb$theta, HC0 = se(sandwich(nb)), cluster = se(vcovCL(nb, ~cl, type = "HC1")),
  deviance = column(one, "Deviance")[-1])
p <- c(0.012, 0.5, 0.0001, 0.03, NA, 0.04, 0.2, 0.011)
out$adjust <- lapply(setNames(nm = c("holm", "hochberg", "hommel", "bonferroni", "BH", "BY")), function(m) p.adjust(p, m))
f <- glm(count ~ x + g + z, poisson, d, control = tight)
one <- dispersiontest(f); two <- dispersiontest(f, trafo = 2)
out$dispersion <- list(z = unname(one$statistic), p = one$p.value, estimate = unname(one$estimate), z2 = unname(two$statistic), alpha2 = unname(two$estimate))
b <- glm(event ~ x + g + z, binomial, d, control = tight)
mu <- fitted(b); q <- quantile(mu, (0:10) / 10); cut <- cut(mu, q, include.lowest = TRUE)
o1 <- tapply(d$event, cut, sum); e1 <- tapply(mu, cut, sum); n <- table(cut)
x2 <- sum((o1 - e1)^2 / e1 + (o1 - e1)^2 / (n - e1))
out$hosmer_lemeshow <- list(statistic = x2, df = 8, p = pchisq(x2, 8, lower.tail = FALSE))
cat(toJSON(out, digits = NA, auto_unbox = TRUE, na = "null"))
