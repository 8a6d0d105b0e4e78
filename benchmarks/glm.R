# Rscript glm.R FOLDER REPEAT BUDGET LONG METHOD: fits the files that r_rival.py has written into FOLDER, once and, if
# that took no more than LONG seconds, again REPEAT times or until BUDGET seconds are spent; the figures are printed as
# JSON, and the coefficients are written there as doubles. Reading the files and making what R's users have at hand (a
# data frame; for functions of matrices X itself) is no part of a time.

given <- commandArgs(trailingOnly = TRUE)
method <- given[5]
package <- c(glm4 = "MatrixModels", glmnet = "glmnet", fastglm = "fastglm")[method]
package <- if (is.na(package)) "stats" else unname(package)
suppressPackageStartupMessages({
  library(package, character.only = TRUE)
  library(Matrix)
})
started <- proc.time()[["elapsed"]]
path <- function(name) file.path(given[1], name)
read <- function(name, type = "double") {
  if (file.exists(path(name))) readBin(path(name), type, file.size(path(name)) / c(double = 8, integer = 4)[[type]])
}
peak <- function() {
  status <- tryCatch(readLines("/proc/self/status"), error = function(e) "VmHWM: 0 kB")
  as.numeric(gsub("[^0-9]", "", grep("^VmHWM", status, value = TRUE))) / 1024
}

# Variance mu^1.5 with the log link, as statmod's tweedie(1.5, 0).
tweedie <- function() {
  found <- poisson()
  found$family <- "Tweedie"
  found$variance <- function(mu) mu^1.5
  found$dev.resids <- function(y, mu, wt) 4 * wt * (sqrt(mu) - sqrt(y))^2 / sqrt(mu)
  found$aic <- function(y, n, mu, wt, dev) NA
  found$initialize <- expression({
    n <- rep(1, nobs)
    mustart <- (y + mean(y)) / 2
  })
  found
}

# ------------------------------------------------------------------------------ the data
facts <- as.list(read.dcf(path("facts"))[1, ])
dims <- as.integer(c(facts$n, facts$p))
constant <- facts$intercept == "TRUE"
families <- list(
  gaussian = gaussian(), binomial = binomial(), poisson = poisson(), Gamma = Gamma("log"), tweedie = tweedie()
)
# With these two a step of IRLS is no Newton step: it needs more of them, and a tighter tolerance.
slow <- facts$family %in% c("Gamma", "tweedie")
family <- families[[facts$family]]
factors <- readLines(path("factors"))
y <- read("y")
exposure <- read("exposure")
offset <- if (!is.null(exposure)) log(exposure)
weights <- read("weights")
if (length(factors)) {
  columns <- lapply(factors, function(name) {
    levels <- readLines(path(paste0("levels_", name)))
    structure(read(paste0("codes_", name), "integer"), levels = levels, class = "factor")
  })
  data <- as.data.frame(setNames(columns, factors))
  formula <- reformulate(factors, "y")
} else if (file.exists(path("indptr"))) {
  X <- new("dgCMatrix", p = read("indptr", "integer"), i = read("indices", "integer"), x = read("X"), Dim = dims)
} else {
  X <- matrix(read("X"), dims[1], dims[2], dimnames = list(NULL, paste0("x", seq_len(dims[2]))))
  if (method %in% c("glm", "lm", "glm4")) {
    data <- as.data.frame(X)
    formula <- reformulate(names(data), "y")
    rm(X)
  }
}

# ------------------------------------------------------------------------------ the fits
by_glmnet <- function() {
  glmnet.control(epsnr = 1e-13, mxitnr = 100)
  design <- if (length(factors)) sparse.model.matrix(~., data)[, -1] else X
  # Its own code for these families takes their names; the others are IRLS steps in R.
  family <- if (slow) family else facts$family
  more <- if (!is.null(offset)) list(offset = offset)
  do.call(glmnet, c(list(
    design, y, family, weights, alpha = 0, lambda = as.numeric(facts$alpha), standardize = FALSE, thresh = 1e-13,
    maxit = 1e6, intercept = constant
  ), more))
}
control <- list(maxit = 100, epsilon = if (slow) 1e-12 else 1e-8)
TOL <- if (facts$family == "tweedie") 1e-8 else 1e-7
fits <- list(
  glm = function() {
    data$y <- y
    glm(formula, family = family, data = data, weights = weights, offset = offset, control = control)
  },
  lm = function() {
    data$y <- y
    lm(formula, data)
  },
  glm.fit = function() glm.fit(cbind(1, X), y, family = family, control = control),
  glm4 = function() {
    data$y <- y
    sparse <- length(factors) > 0
    glm4(formula, family = family, data = data, weights = weights, offset = offset, sparse = sparse, TOL = TOL)
  },
  glmnet = by_glmnet,
  fastglm = function() {
    design <- if (length(factors)) model.matrix(~., data) else cbind(1, X)
    fastglm::fastglm(design, y, family = family, weights = weights, offset = offset, method = 2L)
  }
)
words <- c(
  glm = sprintf("IRLS by QR, epsilon %g", control$epsilon), glm.fit = "IRLS by QR, epsilon 1e-08", lm = "QR",
  glm4 = sprintf("IRLS, %sCholesky, TOL %g", if (length(factors)) "sparse " else "", TOL),
  fastglm = "IRLS by Cholesky, tol 1e-08",
  glmnet = paste0("coordinate descent, lambda ", facts$alpha, ", thresh 1e-13")
)
fit <- function() {
  found <- fits[[method]]()
  if (facts$summary == "TRUE") capture.output(print(summary(found)))
  found
}

# Seconds of a call; system.time's are whole milliseconds.
timed <- function(call) {
  gc()
  start <- Sys.time()
  force(call)
  as.numeric(Sys.time() - start, units = "secs")
}

before <- peak()
times <- timed(found <- fit())
again <- if (times > as.numeric(given[4])) 0 else max(as.integer(given[2]), 1)
while (length(times) <= again && sum(times[-1]) < as.numeric(given[3])) {
  times <- c(times, timed(fit()))
}
after <- peak()

coefficients <- coef(found)
if (is.list(coefficients) && method == "glmnet") { # several classes: each relative to the first
  every <- sapply(coefficients, as.numeric)
  coefficients <- every[, -1] - every[, 1]
} else if (method == "glmnet") {
  coefficients <- as.numeric(coefficients)[if (constant) TRUE else -1]
}
writeBin(as.double(coefficients), path("coef"))
iterations <- switch(method, glm4 = found@fitProps$iter, glmnet = found$npasses, lm = 1, found$iter)
figures <- c(
  sprintf('"import_seconds": %.4f', started),
  sprintf('"times": [%s]', paste(sprintf("%.6f", times), collapse = ", ")),
  sprintf('"iterations": %d', as.integer(iterations)),
  sprintf('"how": "%s%s"', words[[method]], if (facts$summary == "TRUE") ", standard errors, summary" else ""),
  sprintf('"before_mb": %.1f', before),
  sprintf('"peak_mb": %.1f', after),
  sprintf('"packages": {"R": "%s", "%s": "%s", "R\'s BLAS": "%s"}', getRversion(), package, packageVersion(package),
          basename(La_library()))
)
cat("{", paste(figures, collapse = ", "), "}\n", sep = "")
