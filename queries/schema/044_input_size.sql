-- How long the judged input was, so that a change of its mix is told from a change of quality: bit length of the number of
-- characters (10 for 512 to 1023), 0 where it is not known.
ALTER TABLE evaluations ADD COLUMN IF NOT EXISTS input_size UInt8 DEFAULT 0;
DROP VIEW IF EXISTS usage;
CREATE VIEW IF NOT EXISTS usage AS
SELECT project, measure.1 AS name, '' AS evaluator_version, 'code' AS source, '' AS author, trace_id, span_id,
    measure.2 AS score, '' AS label, measure.3 AS passed, measure.4 AS explanation, '' AS error, start_time AS span_time,
    service, environment, toLowCardinality(if(spans.request_model != '', spans.request_model, response_model)) AS request_model,
    prompt_name, prompt_version, system_hash, '' AS segment, sample_weight,
    '' AS experiment_id, ingested_at AS created_at, conversation_id, 'span' AS unit, toUInt8(0) AS input_size
FROM spans
ARRAY JOIN [
    ('error_rate', toNullable(toFloat64(status = 'ERROR')), if(status = 'ERROR', 'fail', 'pass'), concat(error_type, ' ', status_message)),
    ('latency', if(status = 'ERROR' OR duration_ns = 0, NULL, log(duration_ns / 1e6)), 'unknown', concat(toString(round(duration_ns / 1e6)), ' ms')),
    ('ttft', if(ttft_s > 0, log(ttft_s * 1e3), NULL), 'unknown', concat(toString(round(ifNull(ttft_s, 0) * 1e3)), ' ms')),
    ('cost', if(status = 'ERROR', NULL, toFloat64(cost_usd)), 'unknown', concat('$', toString(ifNull(cost_usd, 0)))),
    ('input_tokens', if(status = 'ERROR', NULL, toFloat64(input_tokens)), 'unknown', concat(toString(ifNull(input_tokens, 0)), ' tokens')),
    ('output_tokens', if(status = 'ERROR', NULL, toFloat64(output_tokens)), 'unknown', concat(toString(ifNull(output_tokens, 0)), ' tokens'))
] AS measure
WHERE role = 'call' AND measure.2 IS NOT NULL
