# experiment.R: makes experiment_estimates.csv and experiment_sample_ratio.csv with R 4.2.2 and package survey 4.1:
#   Rscript experiment.R
# Ratios of sums and their standard errors are survey's svyratio (units drawn with replacement), means of one outcome a
# unit t.test, Fieller's interval by the roots of its quadratic, CUPED an analysis of covariance by lm, sample ratios
# chisq.test. Tests read the files; nobody needs R for them.
suppressMessages(library(survey))
set.seed(20)
f <- function(x) sprintf("%.17g", x)
header <- c("case", "anchor", "control", "treatment", "mean_control", "mean_treatment", "difference", "standard_error",
            "p_value", "ci_low", "ci_high", "lift_low", "lift_high", "cuped_difference", "cuped_standard_error")
out <- list(paste(header, collapse = ","))
one <- function(name, n, anchor, outcomes, before, effect, offset, sd_unit, sd_outcome, binary = FALSE) {
  arm <- rbinom(n, 1, 0.45)
  own <- rnorm(n, 0, sd_unit)
  c <- outcomes(n); pc <- before(n)
  s <- sapply(seq_len(n), function(i) if (binary) rbinom(1, c[i], plogis(own[i] + effect * arm[i])) else sum(offset + own[i] + effect * arm[i] + rnorm(c[i], 0, sd_outcome)))
  ps <- sapply(seq_len(n), function(i) if (binary) rbinom(1, pc[i], plogis(own[i])) else sum(offset + own[i] + rnorm(pc[i], 0, sd_outcome)))
  d <- data.frame(arm, c, s, pc, ps, one = 1)
  sums <- function(a) { v <- with(d[d$arm == a, ], cbind(c, s - anchor * c, pc, ps - anchor * pc)); k <- crossprod(v); c0 <- k[lower.tri(k, TRUE)]; c(nrow(v), colSums(v), c0) }
  # survey: units drawn with replacement, separately in either arm; svyratio is the linearised (delta method) ratio
  est <- lapply(0:1, function(a) { g <- svydesign(ids = ~1, weights = ~one, data = d[d$arm == a, ]); r <- svyratio(~s, ~c, g); c(coef(r), SE(r)) })
  m0 <- est[[1]][1]; m1 <- est[[2]][1]; v0 <- est[[1]][2]^2; v1 <- est[[2]][2]^2
  n0 <- sum(arm == 0); n1 <- sum(arm == 1)
  if (all(c == 1) && !binary) {
    w <- t.test(s[arm == 1], s[arm == 0]); p <- w$p.value; ci <- w$conf.int; q <- qt(0.975, w$parameter)
  } else {
    df <- (v0 + v1)^2 / (v0^2 / (n0 - 1) + v1^2 / (n1 - 1)); q <- qt(0.975, df); se <- sqrt(v0 + v1)
    p <- 2 * pt(-abs(m1 - m0) / se, df); ci <- m1 - m0 + c(-1, 1) * q * se
  }
  # Fieller by the roots of (d - u c)^2 = q^2 (V1 + (1 + u)^2 V0), u the lift; as a part of |c|
  lift <- sort(Re(polyroot(c((m1 - m0)^2 - q^2 * (v0 + v1), -2 * ((m1 - m0) * m0 + q^2 * v0), m0^2 - q^2 * v0))))
  if (m0 < 0) lift <- -rev(lift)
  if (!(m0^2 > q^2 * v0)) lift <- c(NA, NA)
  # CUPED: analysis of covariance of linearised values on linearised pasts, slope within arms; standard errors by arm
  rp <- sum(ps) / sum(pc)
  z <- ifelse(arm == 0, (s - m0 * c) / mean(c[arm == 0]), (s - m1 * c) / mean(c[arm == 1]))
  x <- ps - rp * pc
  theta <- unname(coef(lm(z ~ factor(arm) + x))["x"])
  cd <- (m1 - theta * mean(x[arm == 1])) - (m0 - theta * mean(x[arm == 0]))
  cse <- sqrt(var((z - theta * x)[arm == 0]) / n0 + var((z - theta * x)[arm == 1]) / n1)
  array <- function(v) sprintf("\"{%s}\"", paste(f(v), collapse = ","))
  values <- c(f(anchor), array(sums(0)), array(sums(1)), f(c(m0, m1, m1 - m0, sqrt(v0 + v1), p, ci, lift, cd, cse)))
  values[values == "NA"] <- ""
  out[[length(out) + 1]] <<- paste(c(name, values), collapse = ",")
}
ones <- function(n) rep(1L, n)
for (k in 1:3) one(paste0("one_each_", k), 120 * k, c(0, 5, 4.5)[k], ones, ones, 0.2 * k, 5, 1, 0.7)
for (k in 1:4) one(paste0("ratio_", k), 100 * k, c(0, 3, 2.7, -1)[k], function(n) 1L + rpois(n, k), function(n) rpois(n, 2 * k), 0.1 * k, c(3, 3, 3, -3)[k], 0.8, 1)
for (k in 1:3) one(paste0("rate_", k), 150 * k, 0, function(n) 1L + rgeom(n, 0.3), function(n) rgeom(n, 0.2), 0.3 * (k - 1), 0, 1, 0, TRUE)
one("large_offset", 400, 1e6, function(n) 1L + rpois(n, 1), function(n) rpois(n, 3), 0.3, 1e6, 1, 1)
one("centred", 300, 0, function(n) 1L + rpois(n, 1), function(n) 1L + rpois(n, 3), 0.1, 0, 1, 1)
writeLines(unlist(out), "experiment_estimates.csv")
# Pearson's chi-square against given shares
rows <- list("case,arms,units,shares,p_value")
for (k in 1:12) {
  arms <- 2 + k %% 4; share <- runif(arms); share <- round(share / sum(share), 3); share[arms] <- 1 - sum(share[-arms])
  n <- as.vector(rmultinom(1, 10^(1 + k %% 5) * 5, if (k %% 3 == 0) share * c(1.1, rep(1, arms - 1)) else share))
  rows[[k + 1]] <- sprintf("%d,%d,\"{%s}\",\"{%s}\",%s", k, arms, paste(n, collapse = ","), paste(f(share), collapse = ","), f(suppressWarnings(chisq.test(n, p = share, rescale.p = FALSE)$p.value)))
}
writeLines(unlist(rows), "experiment_sample_ratio.csv")
