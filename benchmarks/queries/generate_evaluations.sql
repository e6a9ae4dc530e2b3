-- One evaluation for every span there is: five evaluators, of which one gets worse in the last two days.
INSERT INTO evaluations
    (project, evaluation_id, name, evaluator_version, source, trace_id, span_id, score, passed, span_time, service,
     environment, request_model, prompt_name, prompt_version, system_hash, segment)
SELECT
    project, toUUID(concat(substring(trace_id, 1, 16), substring(span_id, 1, 16))) AS evaluation_id,
    ['faithfulness', 'tone', 'length', 'token_f1', 'refusal'][sipHash64(span_id) % 5 + 1] AS name, '1', 'code', trace_id, span_id,
    least(1, greatest(0, 0.8 + randNormal(0, 0.15) - if(name = 'faithfulness' AND start_time > '2026-11-29', 0.08, 0))) AS score,
    if(score > 0.5, 'pass', 'fail') AS passed, start_time, service, environment, request_model, prompt_name, prompt_version,
    system_hash, attributes['evalspan.tag.plan']
FROM spans
SETTINGS final = 0, max_insert_threads = 1, max_threads = 1
