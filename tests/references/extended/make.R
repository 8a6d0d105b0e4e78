# Data and R's answers for make.py.   Rscript make.R FOLDER   writes FOLDER/r.json
suppressPackageStartupMessages({
  library(MASS); library(mgcv); library(nnet); library(VGAM); library(glmmTMB); library(statmod); library(ordinal)
  library(AER); library(carData); library(circular); library(pscl); library(boot)
})
options(digits = 17, contrasts = c("contr.treatment", "contr.treatment"), warn = 1)
folder <- commandArgs(TRUE)[1]
for (n in c("Owls")) data(list = n, package = "glmmTMB")
for (n in c("ManufactCosts", "RecreationDemand")) data(list = n, package = "AER")
for (n in c("corbet", "lirat", "pneumo")) data(list = n, package = "VGAM")
for (n in c("cloth", "nuclear", "nitrofen")) data(list = n, package = "boot")
data("Pottery", package = "carData"); data("fisherB20", package = "circular"); data("wine", package = "ordinal")
data("bioChemists", package = "pscl"); housing <- MASS::housing

# ------------------------------------------------------------------ JSON, 17 significant digits
js <- function(x) {
  if (is.null(x)) return("null")
  if (is.list(x) && !is.null(names(x)))
    return(paste0("{", paste0("\"", names(x), "\": ", vapply(x, js, ""), collapse = ", "), "}"))
  if (is.list(x)) return(paste0("[", paste(vapply(x, js, ""), collapse = ", "), "]"))
  if (is.matrix(x)) return(paste0("[", paste(apply(x, 1, function(r) js(I(unname(r)))), collapse = ", "), "]"))
  v <- if (is.character(x)) paste0("\"", gsub("\"", "\\\\\"", x), "\"") else if (is.logical(x)) tolower(x)
       else ifelse(is.finite(x), sprintf("%.17g", as.numeric(x)), "null")
  if (length(v) == 1 && !inherits(x, "AsIs")) v else paste0("[", paste(v, collapse = ", "), "]")
}
cases <- list()
case <- function(id, title, dataset, r_call, X, y, ..., answers = list()) {
  columns <- I(colnames(X)); X <- unname(X[, , drop = FALSE]); attributes(X) <- attributes(X)["dim"]
  extra <- lapply(list(...), function(v) {
    if (is.matrix(v)) { k <- colnames(v); v <- v[, , drop = FALSE]; attributes(v) <- attributes(v)["dim"]; list(columns = I(k), rows = v) }
    else if (is.character(v)) v else I(as.numeric(v)) })
  if (is.matrix(y)) attributes(y) <- attributes(y)["dim"] else y <- I(as.numeric(y))
  cases[[id]] <<- c(list(title = title, dataset = dataset, r_call = r_call, columns = columns, X = X, y = y), extra, list(answers = answers))
  cat(id, nrow(X), "\n")
}
tight <- glm.control(epsilon = 1e-14, maxit = 500)

# ------------------------------------------------------------------ fits, continued until they stay
polish <- function(f) {                         # IRLS steps of a glm until the coefficients move no more; deviances by R
  X <- model.matrix(f); y <- f$y; w <- f$prior.weights; o <- if (is.null(f$offset)) 0 else f$offset; fam <- f$family
  b <- coef(f)
  for (i in 1:50) {
    eta <- drop(X %*% b) + o; mu <- fam$linkinv(eta); d <- fam$mu.eta(eta); W <- sqrt(w * d^2 / fam$variance(mu))
    step <- qr.coef(qr(W * X), W * (y - mu) / d); b <- b + step
  }
  eta <- drop(X %*% b) + o; mu <- fam$linkinv(eta); W <- sqrt(w * fam$mu.eta(eta)^2 / fam$variance(mu))
  V <- chol2inv(qr.R(qr(W * X))); pearson <- sum(w * (y - mu)^2 / fam$variance(mu))
  list(coef = I(unname(b)), unscaled = V, mu = mu, deviance = sum(fam$dev.resids(y, mu, w)), pearson = pearson)
}
quasi_answer <- function(f) {
  p <- polish(f); phi <- p$pearson / f$df.residual
  list(coef = p$coef, se = I(sqrt(phi * diag(p$unscaled))), deviance = p$deviance, dispersion = phi, null_deviance = f$null.deviance)
}
nb_answer <- function(f) {                      # alternate theta.ml and IRLS, as glm.nb does, until neither moves
  w <- f$prior.weights
  for (i in 1:100) {
    th <- theta.ml(f$y, fitted(f), sum(w), w, limit = 100, eps = 1e-15)
    g <- f; g$family <- negative.binomial(th, "log"); p <- polish(g); f$fitted.values <- p$mu; f$coefficients[] <- p$coef
  }
  list(coef = p$coef, se = I(sqrt(diag(p$unscaled))), theta = as.numeric(th), theta_se = attr(th, "SE"), deviance = p$deviance)
}
tmb <- function(f) {                            # Newton with TMB's exact gradient and Hessian
  o <- f$obj; p <- f$fit$par
  for (i in 1:6) { s <- solve(o$he(p), as.vector(o$gr(p))); p <- p - s }
  list(par = I(unname(p)), names = I(names(p)), se = I(sqrt(diag(solve(o$he(p))))), llf = -as.numeric(o$fn(p)))
}
tmb_control <- glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 2000, rel.tol = 1e-14))
vg <- function(f, order = NULL) {
  b <- coef(f); se <- sqrt(diag(vcov(f))); if (is.null(order)) order <- seq_along(b)
  list(coef = I(unname(b[order])), se = I(unname(se[order])), llf = as.numeric(logLik(f)))
}
tiny <- vglm.control(epsilon = 1e-15, maxit = 200)

# ------------------------------------------------------------------ 1, 2 negative binomial, r estimated
nb <- function(id, title, dataset, formula, data, weights = NULL, expand = FALSE, ...) {
  data$.w <- if (is.null(weights)) 1 else weights
  call <- sprintf("MASS::glm.nb(%s, data%s)", paste(deparse(formula), collapse = ""), if (is.null(weights)) "" else ", weights")
  f <- glm.nb(formula, data = data, weights = .w, control = tight); y <- f$y
  a <- list("MASS::glm.nb" = nb_answer(f))
  if (expand) a[["MASS::glm.nb, rows repeated"]] <- nb_answer(glm.nb(formula, data = data[rep(seq_len(nrow(data)), data$.w), ], control = tight))
  a[["glmmTMB(nbinom2)"]] <- tmb(glmmTMB(formula, data = data, weights = .w, family = nbinom2, control = tmb_control))
  case(id, title, dataset, call, model.matrix(f), y, offset = f$offset, weights = weights, ..., answers = a)
}
nb("negative_binomial_cloth_offset", "Negative binomial, r estimated, offset", "boot::cloth", y ~ x + offset(log(x)), cloth)
nb("negative_binomial_quine", "Negative binomial, r estimated", "MASS::quine", Days ~ Eth + Sex + Age + Lrn, quine)
q <- quine; q$cell <- interaction(q$Eth, q$Sex, q$Age, q$Lrn); size <- table(q$cell)
nb("negative_binomial_quine_weights", "Negative binomial, r estimated, prior weights that balance the cells", "MASS::quine; weight = 5.5 / rows in its cell Eth x Sex x Age x Lrn",
   Days ~ Eth + Sex + Age + Lrn, q, weights = 5.5 / as.numeric(size[q$cell]))
b <- aggregate(list(n = bioChemists$art), bioChemists[c("art", "fem", "mar", "kid5")], length)
nb("negative_binomial_biochemists_frequency", "Negative binomial, r estimated, frequency weights", "pscl::bioChemists tabulated by art, fem, mar, kid5",
   art ~ fem + mar + kid5, b, weights = b$n, expand = TRUE)

# ------------------------------------------------------------------ 3 tweedie, power and phi by maximum likelihood
o <- subset(Owls, SexParent == "Female"); o$arrival <- round(o$ArrivalTime - 24, 2); o$brood <- o$BroodSize
tw_case <- function(id, title, weights) {
  o$.w <- weights
  m <- gam(NegPerChick ~ FoodTreatment + arrival, data = o, family = tw(), weights = .w, method = "ML",
           control = gam.control(epsilon = 1e-12, mgcv.tol = 1e-12, newton = list(conv.tol = 1e-12), nthreads = 1))
  p <- m$family$getTheta(TRUE); mu <- fitted(m)
  a <- list("mgcv::gam(tw, ML)" = list(coef = I(unname(coef(m))), power = p, phi = m$scale, llf = as.numeric(logLik(m)),
            density_at_own_estimate = sum(ldTweedie(o$NegPerChick, mu, p, m$scale / o$.w)[, 1])))
  if (all(weights == 1)) {
    t <- glmmTMB(NegPerChick ~ FoodTreatment + arrival, data = o, family = glmmTMB::tweedie("log"), control = tmb_control)
    a[["glmmTMB(tweedie)"]] <- tmb(t)
  }
  case(id, title, "glmmTMB::Owls, SexParent == 'Female'; arrival = ArrivalTime - 24", "mgcv::gam(NegPerChick ~ FoodTreatment + arrival, family = tw(), method = 'ML')",
       model.matrix(m), o$NegPerChick, weights = if (all(weights == 1)) NULL else weights, answers = a)
}
tw_case("tweedie_owls", "Tweedie, power and dispersion by maximum likelihood", rep(1, nrow(o)))
tw_case("tweedie_owls_weights", "Tweedie, power and dispersion by maximum likelihood, prior weights (phi / w)", o$BroodSize)
g <- expand.grid(y = c(0, 1e-3, 0.2, 1, 3.7, 25, 400), mu = c(0.05, 1, 6), phi = c(0.04, 0.5, 3), p = c(1.01, 1.1, 1.35, 1.5, 1.65, 1.9, 1.98))
cases[["tweedie_density"]] <- list(y = I(g$y), mu = I(g$mu), phi = I(g$phi), p = I(g$p), mgcv = I(ldTweedie(g$y, g$mu, g$p, g$phi)[, 1]))

# ------------------------------------------------------------------ 4 dispersion by maximum likelihood
aq <- na.omit(airquality); aq$temp <- (aq$Temp - 75) / 10; aq$wind <- aq$Wind / 10; aq$solar <- aq$Solar.R / 100
ml <- function(id, title, dataset, formula, data, family, weights = NULL, extra = NULL, start = NULL) {
  data$.w <- if (is.null(weights)) 1 else weights
  f <- glm(formula, data = data, family = family, weights = .w, control = tight, start = start); p <- polish(f); f$fitted.values <- p$mu; f$deviance <- p$deviance
  a <- list(list(coef = p$coef, deviance = p$deviance)); names(a) <- "glm"
  if (family$family == "Gamma" && is.null(weights)) { s <- gamma.shape(f, it.lim = 100, eps.max = 1e-15); a[["MASS::gamma.shape"]] <- list(shape = s$alpha, shape_se = s$SE) }
  if (!is.null(extra)) a <- c(a, extra(data))
  case(id, title, dataset, sprintf("glm(%s, %s('%s'))", paste(deparse(formula), collapse = ""), family$family, family$link), model.matrix(f), f$y, weights = weights, answers = a)
}
ml("gamma_airquality", "Gamma, shape by maximum likelihood", "datasets::airquality, complete rows; temp = (Temp - 75) / 10, wind = Wind / 10, solar = Solar.R / 100",
   Ozone ~ temp + wind + solar, aq, Gamma("log"), extra = function(d) list("glmmTMB(Gamma)" = tmb(glmmTMB(Ozone ~ temp + wind + solar, data = d, family = Gamma("log"), control = tmb_control))))
aq$band <- 5 * floor(aq$Temp / 5)
ag <- aggregate(cbind(Ozone, n = 1) ~ Month + band, aq, sum); ag$Ozone <- ag$Ozone / ag$n; ag$temp <- (ag$band - 75) / 10; ag$month <- factor(ag$Month)
ml("gamma_airquality_weights", "Gamma, shape by maximum likelihood, prior weights read in two ways", "datasets::airquality, complete rows: mean Ozone by Month and 5-degree band of Temp, weight = days; temp = (band - 75) / 10",
   Ozone ~ temp + month, ag, Gamma("log"), weights = ag$n)
nu <- nuclear; nu$logcap <- log(nu$cap / 1000); nu$year <- nu$date - 68
ml("inverse_gaussian_nuclear", "Inverse Gaussian, lambda by maximum likelihood", "boot::nuclear; logcap = log(cap / 1000), year = date - 68",
   cost ~ logcap + year + ne + pt, nu, inverse.gaussian("log"), start = c(6, 0, 0, 0, 0))
ml("gaussian_stackloss", "Gaussian, variance by maximum likelihood", "datasets::stackloss", stack.loss ~ Air.Flow + Water.Temp + Acid.Conc., stackloss, gaussian())

# ------------------------------------------------------------------ 5 beta with a precision formula
beta <- function(id, title, dataset, formula, precision, link, data) {
  f <- glmmTMB(formula, dispformula = precision, data = data, family = beta_family(link), control = tmb_control)
  case(id, title, dataset, sprintf("glmmTMB(%s, dispformula = %s, beta_family('%s'))", paste(deparse(formula), collapse = ""), deparse(precision), link),
       model.matrix(formula, data), model.response(model.frame(formula, data)), Z = model.matrix(precision, data), answers = list("glmmTMB(beta_family)" = tmb(f)))
}
pe <- petrol; pe$yield <- pe$Y / 100; pe$temp <- pe$EP / 100
beta("beta_logit_petrol", "Beta, logit mean, log precision ~ temp", "MASS::petrol; yield = Y / 100, temp = EP / 100", yield ~ No + temp, ~temp, "logit", pe)
sw <- swiss; sw$agriculture <- sw$Agriculture / 100; sw$education <- sw$Education / 10; sw$exam <- sw$Examination / 10
beta("beta_cloglog_swiss", "Beta, cloglog mean, log precision ~ education", "datasets::swiss; agriculture = Agriculture / 100, education = Education / 10, exam = Examination / 10", agriculture ~ education + exam, ~education, "cloglog", sw)

# ------------------------------------------------------------------ 6 dirichlet
m <- as.data.frame(ManufactCosts); Y <- as.matrix(m[, 2:5]); Y <- Y / rowSums(Y)
m$energy <- log(m$energyprice / m$capitalprice); m$year <- (seq_len(nrow(m)) - 13) / 10
X <- model.matrix(~ energy + year, m)
vgdir <- function(f, Y) {                       # VGAM 1.1.7's own logLik counts lgamma(sum alpha) once per class
  A <- matrix(exp(predict(f)), nrow(Y))
  c(vg(f)[c("coef", "se")], llf = sum(lgamma(rowSums(A))) - sum(lgamma(A)) + sum((A - 1) * log(Y)))
}
d <- vglm(Y ~ energy + year, dirichlet, data = m, control = tiny)
case("dirichlet_costs", "Dirichlet, log alpha_j = x'b_j", "AER::ManufactCosts; shares divided by their sum, energy = log(energyprice / capitalprice), year = (row - 13) / 10",
     "VGAM::vglm(shares ~ energy + year, dirichlet)", X, Y, note = "alpha reaches 5000: float64 knows this likelihood to 1e-10 and the coefficients to 1e-10 standard errors", answers = list("VGAM::vglm(dirichlet)" = vgdir(d, Y)))
case("dirichlet_costs_mean_precision", "Dirichlet, softmax mean and log precision ~ year", "AER::ManufactCosts, as in dirichlet_costs", "", X, Y, Z = model.matrix(~ year, m))
P <- as.matrix(Pottery[, c("Al", "Fe", "Mg", "Ca", "Na")]); P <- P / rowSums(P); po <- Pottery
d <- vglm(P ~ Site, dirichlet, data = po, control = tiny)
case("dirichlet_pottery", "Dirichlet, log alpha_j = x'b_j, one factor", "carData::Pottery; Al, Fe, Mg, Ca, Na divided by their sum", "VGAM::vglm(composition ~ Site, dirichlet)", model.matrix(~ Site, po), P, answers = list("VGAM::vglm(dirichlet)" = vgdir(d, P)))
case("dirichlet_pottery_mean_precision", "Dirichlet, softmax mean, constant precision", "carData::Pottery, as in dirichlet_pottery", "", model.matrix(~ Site, po), P, Z = model.matrix(~ 1, po))

# ------------------------------------------------------------------ 7 ordered
ordered_case <- function(id, title, dataset, formula, data, method, weights = NULL) {
  data$.w <- if (is.null(weights)) 1 else weights
  pm <- c(logit = "logistic", probit = "probit", cloglog = "cloglog", loglog = "loglog", cauchit = "cauchit")[[method]]
  f <- polr(formula, data = data, weights = .w, method = pm, Hess = TRUE, control = list(reltol = 1e-15, maxit = 1000))
  g <- clm(formula, data = data, weights = .w, link = method, control = clm.control(gradTol = 1e-13, maxIter = 200, relTol = 1e-15, method = "Newton"))
  J <- length(f$zeta); p <- length(coef(f)); i <- c(J + seq_len(p), seq_len(J))
  a <- list("MASS::polr" = list(coef = I(unname(coef(f))), cut = I(unname(f$zeta)), se = I(unname(sqrt(diag(vcov(f))))), llf = as.numeric(logLik(f))),
            "ordinal::clm" = list(coef = I(unname(g$beta)), cut = I(unname(g$alpha)), se = I(unname(sqrt(diag(vcov(g))))[i]), llf = as.numeric(logLik(g))))
  if (method %in% c("logit", "probit", "cloglog")) {
    v <- vglm(formula, do.call(cumulative, list(parallel = TRUE, link = paste0(method, "link"))), data = data, weights = .w, control = tiny)
    a[["VGAM::vglm(cumulative), expected information"]] <- list(coef = I(-unname(coef(v)[J + seq_len(p)])), cut = I(unname(coef(v)[seq_len(J)])),
      expected_se = I(unname(sqrt(diag(vcov(v)))[i])), llf = as.numeric(logLik(v)))
  }
  mf <- model.frame(formula, data)
  case(id, title, dataset, sprintf("MASS::polr(%s, method = '%s'%s)", paste(deparse(formula), collapse = ""), pm, if (is.null(weights)) "" else ", weights = Freq"),
       model.matrix(formula, data)[, -1], as.integer(model.response(mf)) - 1, weights = weights, link = method, levels = levels(model.response(mf)), answers = a,
       note = if (method == "cauchit") "polr takes F(100) for F(Inf), clm F(1e5): their likelihoods differ from the model's by 3e-1 and 3e-4" else "")
}
for (l in c("logit", "probit", "cloglog"))
  ordered_case(paste0("ordered_", l, "_housing"), paste("Ordered", l, "with frequency weights"), "MASS::housing", Sat ~ Infl + Type + Cont, housing, l, housing$Freq)
for (l in c("logit", "loglog", "cauchit"))
  ordered_case(paste0("ordered_", l, "_wine"), paste("Ordered", l), "ordinal::wine", rating ~ temp + contact, wine, l)

# ------------------------------------------------------------------ 8 multinomial counts
counts <- function(id, title, dataset, formula, data, Y) {
  f <- do.call(multinom, list(formula, data = data, maxit = 10000, reltol = 1e-18, abstol = 1e-18, trace = FALSE))
  v <- vglm(formula, multinomial(refLevel = 1), data = data, control = tiny)
  X <- model.matrix(formula, data); K <- ncol(Y) - 1
  a <- list("nnet::multinom" = list(coef = I(as.vector(t(coef(f)))), se = I(as.vector(t(summary(f)$standard.errors))), llf_without_constant = as.numeric(logLik(f))),
            "VGAM::vglm(multinomial)" = vg(v, as.vector(t(matrix(seq_len(K * ncol(X)), K)))))
  case(id, title, dataset, sprintf("nnet::multinom(%s)", paste(deparse(formula), collapse = "")), X, Y, levels = colnames(Y), answers = a)
}
h <- reshape(housing, direction = "wide", idvar = c("Infl", "Type", "Cont"), timevar = "Sat", v.names = "Freq")
h$Y <- as.matrix(h[, c("Freq.Low", "Freq.Medium", "Freq.High")]); colnames(h$Y) <- c("Low", "Medium", "High")
counts("multinomial_housing", "Multinomial counts, three classes", "MASS::housing, one row per Infl, Type, Cont", Y ~ Infl + Type + Cont, h, h$Y)
pn <- pneumo; pn$logtime <- log(pn$exposure.time); pn$Y <- as.matrix(pn[, c("normal", "mild", "severe")])
counts("multinomial_pneumo", "Multinomial counts, one covariate", "VGAM::pneumo; logtime = log(exposure.time)", Y ~ logtime, pn, pn$Y)

# ------------------------------------------------------------------ 9 quasi families
qu <- function(id, title, dataset, formula, data, family, call, weights = NULL, trials = NULL, ...) {
  data$.w <- if (!is.null(trials)) trials else if (is.null(weights)) 1 else weights
  f <- glm(formula, data = data, family = family, weights = .w, control = tight, ...)
  case(id, title, dataset, sprintf("glm(%s, %s)", paste(deparse(formula), collapse = ""), call), model.matrix(f), if (is.null(trials)) f$y else round(f$y * trials),
       offset = f$offset, weights = weights, trials = trials, answers = list(glm = quasi_answer(f)))
}
custom <- function(variance, dev) { q <- quasi("log", "mu"); q$variance <- variance; q$dev.resids <- dev; q$validmu <- function(mu) all(mu > 0); q }
qu("quasi_mu2_airquality", "Quasi, variance mu^2, log", "datasets::airquality, as in gamma_airquality", Ozone ~ temp + wind + solar, aq, quasi("log", "mu^2"), "quasi('log', 'mu^2')")
qu("quasi_binary_swiss", "Quasi, variance mu (1 - mu), logit, of proportions", "datasets::swiss; catholic = Catholic / 100", catholic ~ exam + education, transform(sw, catholic = Catholic / 100), quasi("logit", "mu(1-mu)"), "quasi('logit', 'mu(1-mu)')")
qu("quasibinomial_lirat", "Quasibinomial with trials, overdispersed", "VGAM::lirat; grp as factor, hb = hemoglobin / 10", I(R / N) ~ hb + grp, transform(lirat, grp = factor(grp), hb = hb / 10), quasibinomial(), "quasibinomial(), weights = N", trials = lirat$N)
qu("quasi_mu3_nuclear", "Quasi, variance mu^3, log", "boot::nuclear, as in inverse_gaussian_nuclear", cost ~ logcap + year + ne + pt, nu, quasi("log", "mu^3"), "quasi('log', 'mu^3')", start = c(6, 0, 0, 0, 0))
qu("quasi_quadratic_quine_weights", "Quasi, variance mu + mu^2 / 2.5, log, prior weights", "MASS::quine; weight = 5.5 / rows in its cell Eth x Sex x Age x Lrn", Days ~ Eth + Sex + Age + Lrn, quine,
   custom(function(mu) mu + mu^2 / 2.5, negative.binomial(2.5)$dev.resids), "quasi with V = mu + mu^2 / 2.5", weights = 5.5 / as.numeric(size[q$cell]), start = c(2.8, rep(0, 6)))
qu("quasi_mu15_owls_offset", "Quasi, variance mu^1.5, log, offset, zeros", "glmmTMB::Owls, SexParent == 'Female'; arrival = ArrivalTime - 24", SiblingNegotiation ~ FoodTreatment + arrival + offset(log(BroodSize)), o,
   statmod::tweedie(1.5, 0), "statmod::tweedie(1.5, 0)")

# ------------------------------------------------------------------ 10 dispersion regressions
disp <- function(id, title, dataset, formula, dispersion, family, data, more = list(), call) {
  f <- glmmTMB(formula, dispformula = dispersion, data = data, family = family, control = tmb_control)
  case(id, title, dataset, call, model.matrix(formula, data), model.response(model.frame(formula, data)), Z = model.matrix(dispersion, data), answers = c(list(glmmTMB = tmb(f)), more))
}
gl <- function(f1, f2, data) { m <- gam(list(f1, f2), family = gaulss(link = list("identity", "logb"), b = 0), data = data, control = gam.control(epsilon = 1e-14, newton = list(conv.tol = 1e-12)))
  list("mgcv::gaulss(b = 0)" = list(coef = I(unname(coef(m))), llf = as.numeric(logLik(m)))) }
disp("gaussian_scale_cars", "Gaussian, log variance ~ speed", "datasets::cars; speed = speed / 10", dist ~ speed, ~speed, gaussian(), transform(cars, speed = speed / 10),
     gl(dist ~ speed, ~speed, transform(cars, speed = speed / 10)), "glmmTMB(dist ~ speed, dispformula = ~speed)")
disp("gaussian_scale_toothgrowth", "Gaussian, log variance ~ supp + dose", "datasets::ToothGrowth", len ~ supp * dose, ~ supp + dose, gaussian(), ToothGrowth,
     gl(len ~ supp * dose, ~ supp + dose, ToothGrowth), "glmmTMB(len ~ supp * dose, dispformula = ~ supp + dose)")
disp("gamma_dispersion_airquality", "Gamma, log link, log dispersion ~ temp + wind", "datasets::airquality, as in gamma_airquality", Ozone ~ temp + wind + solar, ~ temp + wind, Gamma("log"), aq, call = "glmmTMB(Ozone ~ temp + wind + solar, dispformula = ~ temp + wind, Gamma('log'))")

# ------------------------------------------------------------------ 11 others
r <- subset(RecreationDemand, trips > 0); r$cost <- r$costS / 100; r$saved <- (r$costC - r$costS) / 100
fz <- trips ~ quality + ski + cost
case("zero_truncated_poisson_trips", "Zero-truncated Poisson, log link", "AER::RecreationDemand, trips > 0; cost = costS / 100", "VGAM::vglm(trips ~ quality + ski + cost, pospoisson)", model.matrix(fz, r), r$trips,
     answers = list("VGAM::vglm(pospoisson)" = vg(vglm(fz, pospoisson, data = r, control = tiny)), "glmmTMB(truncated_poisson)" = tmb(glmmTMB(fz, data = r, family = truncated_poisson, control = tmb_control))))
v <- vglm(ofreq ~ 1, logff, weights = species, data = corbet, control = tiny); lp <- coef(v)
case("logarithmic_corbet", "Logarithmic distribution, canonical, frequency weights", "VGAM::corbet (Corbet's butterflies, individuals per species)", "VGAM::vglm(ofreq ~ 1, logff, weights = species)",
     matrix(1, nrow(corbet), 1, dimnames = list(NULL, "(Intercept)")), corbet$ofreq, weights = corbet$species,
     answers = list("VGAM::vglm(logff), logit link" = list(coef = I(unname(plogis(lp, log.p = TRUE))), se = I(unname(sqrt(diag(vcov(v))) * plogis(-lp))), llf = as.numeric(logLik(v)))))
fl <- trips ~ ski + I(quality - 3)
case("logarithmic_trips", "Logarithmic distribution, canonical, covariates", "AER::RecreationDemand, trips > 0", "", model.matrix(fl, r), r$trips)
fg <- Days ~ Eth + Sex + Age + Lrn
gg <- polish(glm(fg, data = quine, family = negative.binomial(1, "log"), control = tight))
case("geometric_log_quine", "Geometric (failures before a success), log link", "MASS::quine", "glm(Days ~ Eth + Sex + Age + Lrn, MASS::negative.binomial(1))", model.matrix(fg, quine), quine$Days,
     answers = list("glm(negative.binomial(1))" = list(coef = gg$coef, se = I(sqrt(diag(gg$unscaled))), deviance = gg$deviance)))
case("geometric_canonical_quine", "Geometric (failures before a success), canonical link eta = log(mu / (1 + mu))", "MASS::quine", "", model.matrix(fg, quine), quine$Days)
case("conway_maxwell_insectsprays", "Conway-Maxwell-Poisson, log lambda = x'b, one nu", "datasets::InsectSprays", "glmmTMB(count ~ spray, compois): the same model in means", model.matrix(count ~ spray, InsectSprays), InsectSprays$count,
     answers = list("glmmTMB(compois)" = tmb(glmmTMB(count ~ spray, data = InsectSprays, family = compois, control = tmb_control))))
ni <- nitrofen; ni$conc <- ni$conc / 100
case("conway_maxwell_nitrofen", "Conway-Maxwell-Poisson, log lambda = x'b, one nu", "boot::nitrofen; conc = conc / 100", "", model.matrix(total ~ conc + I(conc^2), ni), ni$total)
B <- data.frame(angle = as.numeric(fisherB20$theta) * pi / 180, distance = as.numeric(fisherB20$x) / 100); names(B) <- c("angle", "distance")
C <- mean(cos(B$angle)); S <- mean(sin(B$angle))
A <- function(k) besselI(k, 1, TRUE) / besselI(k, 0, TRUE) - sqrt(C^2 + S^2)
case("von_mises_periwinkles", "Von Mises, canonical: (kappa cos m, kappa sin m) = X B", "circular::fisherB20 (blue periwinkles, Fisher and Lee 1992); angle in radians, distance / 100", "", model.matrix(~ distance, B), B$angle)
case("von_mises_periwinkles_constant", "Von Mises, canonical, no covariate", "circular::fisherB20", "", model.matrix(~ 1, B), B$angle,
     answers = list("R, direction of the mean vector, uniroot of I1 / I0 = its length" = list(mu = atan2(S, C), kappa = uniroot(A, c(0.1, 10), tol = 1e-16)$root)))

pk <- c("MASS", "mgcv", "nnet", "VGAM", "glmmTMB", "TMB", "statmod", "ordinal", "AER", "carData", "circular", "pscl", "boot")
versions <- paste(c(R.version.string, paste(pk, vapply(pk, function(p) as.character(packageVersion(p)), ""))), collapse = ", ")
writeLines(js(list(versions = versions, cases = cases)), file.path(folder, "r.json"))
