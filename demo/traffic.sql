-- traffic.sql: what an application does for each mail, one call and one transaction a mail.

-- demo.serve asks who serves this mail, lets that version answer and records what came out. The version's own
-- configuration names the function to call, so nothing here knows which versions exist.
-- known = false: the label comes later, by demo.label().
CREATE PROCEDURE demo.serve(mail_id integer, known boolean)
    LANGUAGE plpgsql
AS $$
DECLARE
    mail demo.mail;
    routed record;
    probability float8;
    began timestamptz;
    seconds float8;
    answer_right boolean;
BEGIN
    SELECT m.* INTO STRICT mail FROM demo.mail m WHERE m.mail_id = serve.mail_id;

    SELECT r.* INTO routed FROM model_mgr.route('spam-filter', 'mail-' || mail.mail_id) r;

    began := clock_timestamp();
    EXECUTE format('SELECT %s($1)', (routed.configuration ->> 'model_name')::regproc) INTO probability USING mail;
    seconds := extract(epoch FROM clock_timestamp() - began);
    answer_right := (probability > 0.5) = (mail.label = 'spam');

    PERFORM model_mgr.record_outcome(routed.decision,
        success => CASE WHEN known THEN answer_right END,
        response_time => seconds,
        confidence => greatest(probability, 1 - probability));

    INSERT INTO demo.answer (mail_id, version, decision, spam, right_answer, late, labelled, served_at)
    VALUES (mail.mail_id, routed.value, routed.decision, probability > 0.5, answer_right, NOT known, known, clock_timestamp());
END
$$;

-- demo.label is the late truth of one mail: the reader has looked at it and said what it was.
CREATE PROCEDURE demo.label(mail_id integer)
    LANGUAGE plpgsql
AS $$
DECLARE
    answer demo.answer;
BEGIN
    UPDATE demo.answer a SET labelled = true WHERE a.mail_id = label.mail_id RETURNING a.* INTO STRICT answer;
    PERFORM model_mgr.record_feedback(answer.decision, success => answer.right_answer);
END
$$;
