# Rscript glm.R FOLDER REPEAT BUDGET PACKAGE: fits the files that r_rival.py has written into FOLDER with stats::glm or
# fastglm, once and then REPEAT times or until BUDGET seconds are spent; the figures are printed as JSON, and the
# coefficients are written there as doubles. Reading the files and making the data frame is no part of a time.

given <- commandArgs(trailingOnly = TRUE)
folder <- given[1]
package <- given[4]
suppressPackageStartupMessages(library(package, character.only = TRUE))
started <- proc.time()[["elapsed"]]
path <- function(name) file.path(folder, name)
doubles <- function(name, n) readBin(path(name), "double", n)
peak <- function() {
  status <- tryCatch(readLines("/proc/self/status"), error = function(e) "VmHWM: 0 kB")
  as.numeric(gsub("[^0-9]", "", grep("^VmHWM", status, value = TRUE))) / 1024
}

facts <- readLines(path("facts"))
n <- as.integer(facts[2])
p <- as.integer(facts[3])
family <- get(facts[1])()
factors <- readLines(path("factors"))
y <- doubles("y", n)
offset <- if (file.exists(path("exposure"))) log(doubles("exposure", n)) else NULL
if (length(factors)) {
  columns <- lapply(factors, function(name) {
    levels <- readLines(path(paste0("levels_", name)))
    structure(readBin(path(paste0("codes_", name)), "integer", n), levels = levels, class = "factor")
  })
  data <- as.data.frame(setNames(columns, factors))
} else {
  X <- matrix(doubles("X", n * p), n, p, dimnames = list(NULL, paste0("x", seq_len(p))))
  if (package == "stats") {
    data <- as.data.frame(X)
    rm(X)
  }
}

fit <- function() {
  if (package == "stats") {
    data$y <- y
    found <- glm(y ~ ., family = family, data = data, offset = offset, control = list(maxit = 100))
  } else {
    design <- if (length(factors)) model.matrix(~., data) else cbind(1, X)
    found <- fastglm::fastglm(design, y, family = family, offset = offset, method = 2L)
  }
  if (facts[4] == "TRUE") capture.output(print(summary(found)))
  found
}

before <- peak()
times <- system.time(found <- fit())[["elapsed"]]
while (length(times) <= max(as.integer(given[2]), 1) && sum(times[-1]) < as.numeric(given[3])) {
  times <- c(times, system.time(fit())[["elapsed"]])
}
after <- peak()
writeBin(as.double(unname(coef(found))), path("coef"))
method <- if (package == "stats") "QR, epsilon 1e-08" else "Cholesky, tol 1e-08"
figures <- c(
  sprintf('"import_seconds": %.4f', started),
  sprintf('"times": [%s]', paste(sprintf("%.4f", times), collapse = ", ")),
  sprintf('"iterations": %d', as.integer(found$iter)),
  sprintf('"how": "IRLS, %s%s"', method, if (facts[4] == "TRUE") ", standard errors, summary" else ""),
  sprintf('"before_mb": %.1f', before),
  sprintf('"peak_mb": %.1f', after),
  sprintf('"packages": {"R": "%s", "%s": "%s"}', getRversion(), package, packageVersion(package))
)
cat("{", paste(figures, collapse = ", "), "}\n", sep = "")
