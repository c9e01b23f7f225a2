/*
 * power.h: sample size, power and detectable effect for two rates, and the check of a split. Normal approximation, two-
 * sided, variance pooled under the null hypothesis and unpooled under the alternative, far tail ignored: the form of
 * R's power.prop.test(strict = FALSE); Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions (2003), 4.
 */
#ifndef POWER_H
#define POWER_H

#include <stdint.h>

/* power_sample_size: units per variant, not rounded up. */
extern double power_sample_size(double baseline_rate, double effect, double power, double confidence_level);
/* power_achieved: probability that the two-sided test finds this effect. */
extern double power_achieved(double baseline_rate, double effect, double n_per_variant, double confidence_level);
/* power_detectable: the smallest increase found with this power; NaN when even 1 - baseline_rate is not. */
extern double power_detectable(double baseline_rate, double n_per_variant, double power, double confidence_level);
/* power_sample_ratio: p-value of Pearson's chi-square, 1 df, that the split is as expected. */
extern double power_sample_ratio(int64_t n_control, int64_t n_treatment, double expected_treatment_share);

#endif
