-- Every k-th call of the period and its baseline, by hash, so that about `sample` of each side are read.
WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
    AND start_time >= baseline_time AND start_time < until_time
    AND role = 'call' AND operation != 'embeddings' AND sample_weight > 0
    AND sipHash64(trace_id, span_id) % assumeNotNull((
        SELECT greatest(1, intDiv(count(), 2 * {sample:UInt32})) FROM spans
        WHERE project = {project:String} AND ({service:String} = '' OR service = {service:String}) AND ({environment:String} = '' OR environment = {environment:String})
            AND start_time >= baseline_time AND start_time < until_time
            AND role = 'call' AND operation != 'embeddings' AND sample_weight > 0)) = 0
