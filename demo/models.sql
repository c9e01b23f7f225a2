-- models.sql: three spam filters. Each takes a mail and returns its probability of spam.

-- 1.0.0, the word rule: it knows four words and only says yes or no.
CREATE FUNCTION demo.word_rule(m demo.mail) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN m.free + m.money + m.remove + m.char_dollar > 0.1 THEN 1.0 ELSE 0.0 END;
END;

-- The preprocessing that the weights were fitted with: x -> ln(1 + x), every feature.
CREATE FUNCTION demo.log_scaled(m demo.mail) RETURNS demo.mail
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT ROW(
        ln(1 + m."make"), ln(1 + m."address"), ln(1 + m."all"), ln(1 + m."num3d"), ln(1 + m."our"),
        ln(1 + m."over"), ln(1 + m."remove"), ln(1 + m."internet"), ln(1 + m."order"), ln(1 + m."mail"),
        ln(1 + m."receive"), ln(1 + m."will"), ln(1 + m."people"), ln(1 + m."report"), ln(1 + m."addresses"),
        ln(1 + m."free"), ln(1 + m."business"), ln(1 + m."email"), ln(1 + m."you"), ln(1 + m."credit"),
        ln(1 + m."your"), ln(1 + m."font"), ln(1 + m."num000"), ln(1 + m."money"), ln(1 + m."hp"),
        ln(1 + m."hpl"), ln(1 + m."george"), ln(1 + m."num650"), ln(1 + m."lab"), ln(1 + m."labs"),
        ln(1 + m."telnet"), ln(1 + m."num857"), ln(1 + m."data"), ln(1 + m."num415"), ln(1 + m."num85"),
        ln(1 + m."technology"), ln(1 + m."num1999"), ln(1 + m."parts"), ln(1 + m."pm"), ln(1 + m."direct"),
        ln(1 + m."cs"), ln(1 + m."meeting"), ln(1 + m."original"), ln(1 + m."project"), ln(1 + m."re"),
        ln(1 + m."edu"), ln(1 + m."table"), ln(1 + m."conference"), ln(1 + m."char_semicolon"),
        ln(1 + m."char_roundbracket"), ln(1 + m."char_squarebracket"), ln(1 + m."char_exclamation"),
        ln(1 + m."char_dollar"), ln(1 + m."char_hash"), ln(1 + m."capital_ave"), ln(1 + m."capital_long"),
        ln(1 + m."capital_total"),
        m.label, m.mail_id)::demo.mail;
END;

CREATE FUNCTION demo.probability(log_odds float8) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 1 / (1 + exp(- greatest(-700, least(700, log_odds))));
END;

-- 1.1.0, the logistic regression, served as it was fitted.
CREATE FUNCTION demo.logistic(m demo.mail) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT demo.probability(demo.linear_score(demo.log_scaled(m)));
END;

-- 1.2.0, the same after a clean-up in which log_scaled() was lost: shares of 3 % count three-fold, and a mail with 300
-- capital letters is spam whatever it says.
CREATE FUNCTION demo.logistic_simplified(m demo.mail) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT demo.probability(demo.linear_score(m));
END;
